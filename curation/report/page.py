"""The report as one HTML file that asks for nothing from anywhere."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from curation.comparison import show_adc, show_displacement, show_middle_slices, show_montage, show_overlay
from curation.drawing import Picture
from curation.errors import CurationError
from curation.files import write_atomically
from curation.registration.results import engine_version
from curation.report import numbers
from curation.report.content import SeriesReport, StudyReport
from curation.report.images import Gallery
from curation.report.markup import bullets, details, escaped, facts, json_block, paragraph, section, table
from curation.report.style import CSS
from curation.report.words import needs_a_look, one_line, role_name, sentences
from curation.tables import series_table

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SHOWN_PATH: Final = 3  # parts of a path: enough to find the file, without where the data lie on this machine

_Drawn = tuple[Callable[[], Picture], str]


def write_report(path: str | os.PathLike[str], report: StudyReport) -> Path:
    """Write the report of a study as one HTML file.

    The file holds its pictures and its style, asks for nothing from anywhere and runs no program. Text from headers
    is escaped and of bounded length, and so are tables and pictures. Without matplotlib it holds a sentence in place
    of each picture.

    Parameters
    ----------
    path : path
        Of the file; its folder must exist. A file already there is replaced.
    report : StudyReport
        Pictures and numbers are computed from its results, about 3 s for one study.

    Returns
    -------
    Path
        `path`.
    """
    return write_atomically(Path(path), page(report).encode("utf-8"))


def page(report: StudyReport) -> str:
    """Return the report as HTML."""
    drawn = [_pictures(one) for one in report.series]
    gallery = Gallery(sum(map(len, drawn)))
    body = [
        _series(number, one, own, gallery) for number, (one, own) in enumerate(zip(report.series, drawn, strict=True))
    ]
    name = one_line(f"Curation of {report.study.patient_id or 'a study'}, {report.study.date or 'no date'}", 120)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(name)}</title><style>{CSS}</style></head><body>"
        f"<header>{_head(report)}</header><main>{_overview(report)}{''.join(body)}{_study(report)}{_origin(report)}</main>"
        "<footer><p>Pictures show the region around the centre; where nothing else is said, grey values by percentiles "
        "and linear interpolation. This report says what was computed. Whether a result is used is for a person "
        "to decide.</p></footer></body></html>"
    )


def _head(report: StudyReport) -> str:
    study = report.study
    created = report.created or datetime.datetime.now().astimezone()
    static = "none" if report.static is None else f"{report.static.number or ''} {report.static.description}".strip()
    pairs: list[tuple[str, object]] = [
        ("Patient ID", study.patient_id or "none"),
        ("Study date", study.date or "none"),
        ("Static series (T2w)", static),
        ("Series worked on", len(report.series)),
        ("Duration", "" if report.seconds is None else f"{report.seconds:.1f} s"),
        ("Made", created.strftime("%Y-%m-%d %H:%M %Z").strip()),
    ]
    return f"<h1>Curation report</h1>{facts(pairs)}"


def _overview(report: StudyReport) -> str:
    if not report.series:
        text = "No series was worked on: the study holds no regular diffusion-weighted or dynamic series."
        return section("overview", "What was found", paragraph(text))
    items = []
    for number, one in enumerate(report.series):
        mark = _mark(one)
        title = f'<a href="#series-{number}">{escaped(_title(one))}</a>'
        items.append(f"<li>{title} {mark}{paragraph(' '.join(sentences(one)) or 'Nothing was done.')}</li>")
    listed = f'<div class="panel"><ul class="overview">{"".join(items)}</ul></div>'
    return section("overview", "What was found", listed)


def _title(one: SeriesReport) -> str:
    number = "" if one.series.number is None else f"{one.series.number} "
    return f"{role_name(one.series)}: {number}{one_line(one.series.description, 64) or 'no description'}"


def _mark(one: SeriesReport) -> str:
    if needs_a_look(one):
        return (
            '<span class="mark look"><span aria-hidden="true">\N{BLACK UP-POINTING TRIANGLE}</span> look at it</span>'
        )
    return '<span class="mark calm"><span aria-hidden="true">\N{WHITE CIRCLE}</span> nothing flagged</span>'


def _series(number: int, one: SeriesReport, drawn: list[_Drawn], gallery: Gallery) -> str:
    words = "".join(paragraph(sentence, "verdict") for sentence in sentences(one))
    parts = [
        f'<div class="panel">{_mark(one)}{words}{bullets(one.notes, "muted")}</div>',
        _problems(one),
        "".join(_figure(draw, caption, gallery) for draw, caption in drawn),
        _numbers(one),
        _made(one),
    ]
    return section(f"series-{number}", _title(one), "".join(parts))


def _pictures(one: SeriesReport) -> list[_Drawn]:
    """Return what draws each picture of a series, with its caption."""
    moved, fixed, adc = one.motion, one.coregistration, one.adc
    drawn: list[_Drawn] = []
    if moved is not None and len(moved.sources) > 1:
        drawn += [
            (lambda: show_displacement(moved), "Displacement and rotation. Of each volume against the reference."),
            (lambda: show_montage(moved), "Middle slice. Before (above) and after correction, with guide lines."),
            (lambda: show_middle_slices(moved), "Cuts through all volumes. Edges that step are motion."),
        ]
    if fixed is not None:
        text = "Overlay on the static series. Moving green, static red; what agrees is pale yellow."
        drawn.append((lambda: show_overlay(fixed), text))
    if adc is not None:
        moving = moved is not None and any(not np.array_equal(t, np.eye(4)) for t in moved.transforms)
        before = adc.before if moving else None
        title = one.series.description
        text = "ADC. In one fixed window; the difference to the scanner's map where there is one."
        drawn.append((lambda: show_adc(adc.fit, before=before, vendor=adc.vendor, title=title), text))
    return drawn


def _figure(draw: Callable[[], Picture], caption: str, gallery: Gallery) -> str:
    try:
        return gallery.figure(draw(), caption)
    except CurationError as error:  # a report without one of its pictures is better than none
        return paragraph(f"{caption.split('.', 1)[0]}: no picture. {error}")


def _numbers(one: SeriesReport) -> str:
    moved, fixed, adc = one.motion, one.coregistration, one.adc
    made: list[Callable[[], str]] = []
    if moved is not None and len(moved.sources) > 1:
        made.append(lambda: numbers.motion_table(moved))
    if fixed is not None:
        made.append(lambda: numbers.position_table(fixed))
    if adc is not None:
        made.append(lambda: numbers.adc_table(adc))
    made.append(lambda: numbers.quality_table(one))
    inner = "".join(map(_computed, made))
    measures = paragraph(numbers.MEASURES, "muted") if len(made) > 1 else ""
    return f"<h3>Numbers</h3>{measures}{inner}" if inner else ""


def _computed(make: Callable[[], str]) -> str:
    try:
        return make()
    except CurationError as error:
        return paragraph(f"These numbers could not be computed: {error}")


def _problems(one: SeriesReport) -> str:
    found = [*one.series.problems, *one.problems]
    return f"<h3>Problems</h3>{bullets(found, 'problems')}" if found else ""


def _made(one: SeriesReport) -> str:
    """Return what was written, how, and how long it took."""
    written = [(w.description, w.folder, w.files) for w in one.written]
    parts = [table("Written series.", ("Series", "Folder", "Files"), written)]
    if one.followers:
        named = ", ".join(one_line(follower.description or follower.uid, 64) for follower in one.followers)
        parts.append(paragraph(f"With the same transform: {named}."))
    if one.motion is not None:
        made = one.motion
        parts.append(_parameters("Motion correction", made.engine, made.engine_version, made.parameters.to_json()))
    if one.coregistration is not None:
        fixed = one.coregistration
        parts.append(_parameters("Co-registration", fixed.engine, fixed.engine_version, fixed.parameters.to_json()))
    if one.seconds:
        steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in one.seconds.items())
        parts.append(paragraph(f"Time: {steps}.", "muted"))
    inner = "".join(parts)
    return f"<h3>How it was made</h3>{inner}" if inner else ""


def _parameters(name: str, engine: str, version: str, parameters: dict[str, object]) -> str:
    return details(f"{name}: engine {engine} {version}, parameters", json_block(parameters))


def _study(report: StudyReport) -> str:
    listed = series_table(report.study)
    parts = [
        table("All series of the study. Shape counts volumes, slices, rows and columns.", listed.columns, listed.rows)
    ]
    problems = [*report.study.problems, *report.problems]
    if problems:
        parts.append(f"<h3>Problems of the study</h3>{bullets(problems, 'problems')}")
    quarantined = [(_short_path(path), code) for path, code in report.study.quarantine]
    parts.append(table("Files that were set aside.", ("File", "Reason"), quarantined))
    return section("study", "The study", "".join(parts))


def _origin(report: StudyReport) -> str:
    engines = {(r.engine, r.engine_version) for one in report.series for r in (one.motion, one.coregistration) if r}
    pairs: list[tuple[str, object]] = [
        ("Study Instance UID", report.study.uid),
        ("Engine", ", ".join(f"{engine} {version}" for engine, version in sorted(engines))),
        ("Version", f"lightbox {engine_version('lightbox')}"),
        ("Python", platform.python_version()),
        ("NumPy", np.__version__),
    ]
    uids = [(role_name(one.series), one.series.description, one.series.uid) for one in report.series]
    sources = table("Sources.", ("Role", "Description", "Series Instance UID"), uids)
    return section("origin", "Where it comes from", facts(pairs) + details("Identifiers of the series", sources))


def _short_path(path: Path) -> str:
    return "/".join(path.parts[-_SHOWN_PATH:])
