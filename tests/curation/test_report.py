"""The report: what it says, that nothing from a header can break it, and how it looks in a browser."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from curation import (
    AdcReport,
    MotionCorrection,
    Picture,
    SeriesReport,
    StudyReport,
    WrittenSeries,
    compare_adc,
    coregister,
    fit_adc,
    image_quality,
    motion_correct,
    normalise_adc,
    read_study,
    recompute_adc,
    write_report,
)
from curation.drawing import new_figure
from curation.problems import Problem
from curation.report import verdict
from curation.report.images import BUDGET, MOST_PICTURES, Gallery, encode
from curation.report.markup import MOST_ROWS, bullets, table
from curation.report.page import page
from curation.report.style import CSS
from curation.series import Series
from curation.study import Study
from curation.synthetic import SyntheticStudy
from tests.conftest import CHROMIUM
from tests.curation.registration.scenes import moved_by, scene, series_of

HOSTILE = "<script>alert(1)</script>\"'><img src=http://x.example/a.png onerror=alert(1)>\u202e\x07\n$\\frac{"
VOID = {"meta", "img"}


def curated(study: Study, series: Series) -> SeriesReport:
    """Do with a series what a run does."""
    moved = motion_correct(series)
    fixed = None if study.default_static is None else coregister(moved, study.default_static)
    written = (WrittenSeries("DWI motion-corrected", Path("a/b"), 57),)
    quality = image_quality(moved.sources[moved.reference])
    return SeriesReport(series, moved, fixed, _adc(study, moved), quality, written=written, seconds={"motion": 0.2})


def _adc(study: Study, moved: MotionCorrection) -> AdcReport | None:
    if moved.series.role != "dwi" or moved.series.b_values is None:
        return None
    fit, before = recompute_adc(moved).fit, fit_adc(moved.sources, moved.series.b_values)
    vendor, note = normalise_adc(study.with_role("adc")[0].volume())
    return AdcReport(fit, before, vendor, compare_adc(fit, vendor), compare_adc(before, vendor), (note,))


def whole(folder: Path) -> StudyReport:
    study = read_study(folder)
    reports = [curated(study, series) for series in study.series if series.role in ("dwi", "dce")]
    return StudyReport(study, tuple(reports), study.default_static, seconds=1.5)


@pytest.fixture(scope="module")
def report(cohort: list[SyntheticStudy]) -> StudyReport:
    """A synthetic patient's DWI and DCE, both with motion."""
    return whole(cohort[0].folder)


@pytest.fixture(scope="module")
def html(report: StudyReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report") / "report.html", report)


class Page(HTMLParser):
    """Collects what a page is made of, and fails where an element is not closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", ["document"]
        self.feed(text)
        self.close()
        assert self._open == ["document"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_verdict_comes_first_in_words(report: StudyReport, html: Path) -> None:
    """What moved, by how much, what was kept and why, and where to look: before pictures and numbers."""
    found = Page(html.read_text(encoding="utf-8"))
    words = verdict(report.series[0])
    assert re.match(r"DWI: 2 of 3 volumes moved, up to 3\.\d mm; corrected\. ", words)
    assert "Kept the scanner's position on T2 (t2_tse_tra). Edge overlap goes from" in words
    assert "Look at: volume 2 (large motion), volume 3 (large motion)." in words
    assert found.text.index(words.removeprefix("DWI: ")) < found.text.index("Displacement and rotation.")
    assert "approved" not in found.text.lower()
    assert "Duration1.5 s" in found.text


def test_the_page_is_whole_and_accessible(html: Path) -> None:
    """Headings in order, a name for every picture and table, nothing from outside, no program, less than 3 MB."""
    text = html.read_text(encoding="utf-8")
    found = Page(text)
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    pictures = found.all("img")
    assert len(pictures) == 9
    assert all((p["alt"] or "") and (p["src"] or "").startswith("data:image/png;base64,") for p in pictures)
    assert len(found.all("caption")) == len(found.all("table")) >= 8
    assert all((link["href"] or "").startswith("#") for link in found.all("a"))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in found.elements}
    identifiers = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert html.stat().st_size < 3_000_000


def test_numbers_are_there_with_what_they_mean(report: StudyReport, html: Path) -> None:
    """Displacement per volume, agreement, ADC, quality, engine and parameters."""
    text = Page(html.read_text(encoding="utf-8")).text
    moved = report.series[0].motion
    assert moved is not None
    assert f"2400{moved.displacement_mm[1]:.2f}{moved.rotation_degrees[1]:.2f}" in text
    for words in (
        "NMI before",
        "Edge overlap after",
        "95 % limits of agreement",
        "SNR",
        "Ghosting",
        "registration_steps",
    ):
        assert words in text
    assert report.study.uid in text
    assert report.study.patient_id in text


def hostile(series: Series) -> Series:
    problem = Problem("x", HOSTILE, (Path(HOSTILE.replace("/", "|")),), blocking=True)
    return dataclasses.replace(series, description=HOSTILE, uid=HOSTILE, problems=(problem,))


def test_text_from_files_stays_text() -> None:
    """Markup, quotes, control characters and direction marks in headers, problems and paths do nothing."""
    series = hostile(series_of([scene(), scene(moved_by((2, 1, 0), (0, 0, 0)), seed=1)], b_values=(50, 800)))
    moved = dataclasses.replace(motion_correct(dataclasses.replace(series, problems=())), series=series)
    problems = (*series.problems, Problem("unreadable", HOSTILE, (Path("a/b/c") / HOSTILE.replace("/", "|"),)))
    study = Study(HOSTILE, HOSTILE, None, (series,), problems, series)
    written = (WrittenSeries(HOSTILE, Path(HOSTILE), 1),)
    one = SeriesReport(
        series, moved, written=written, followers=(series,), problems=problems, notes=(HOSTILE,), seconds={HOSTILE: 1}
    )
    text = page(StudyReport(study, (one,), series, problems))
    found = Page(text)
    assert not found.all("script")
    assert all("onerror" not in attributes for _, attributes in found.elements)
    assert all((picture["src"] or "").startswith("data:") for picture in found.all("img"))
    assert not set("\u202e\x07") & set(text)
    assert "<script>alert(1)</script>" in found.text


def test_what_is_not_there_is_said() -> None:
    """Nothing to work on, one volume, no motion looked for: a sentence each; no result is invented."""
    empty = page(StudyReport(Study("1.2", "", None, (), (), None)))
    assert "No series was worked on" in empty
    single = series_of([scene()])
    assert verdict(SeriesReport(single, MotionCorrection.none(single))).endswith("there is no motion to correct.")
    pair = series_of([scene(), scene()])
    assert verdict(SeriesReport(pair)) == "DWI: Motion between its volumes was not looked for."
    assert "left as acquired" in verdict(SeriesReport(pair, MotionCorrection.none(pair)))
    failed = SeriesReport(pair, problems=(Problem("step-failed", "No."),))
    assert "1 step did not go as meant" in verdict(failed)
    assert "look at it" in page(StudyReport(Study("1.2", "P", None, (pair,), (), None), (failed,)))


def test_a_refused_picture_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the report has sentences in place of pictures, and all numbers."""
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.font_manager"):
        monkeypatch.setitem(sys.modules, name, None)
    series = series_of([scene(), scene()])
    text = page(
        StudyReport(Study("1.2", "P", None, (series,), (), None), (SeriesReport(series, motion_correct(series)),))
    )
    assert text.count("no picture.") == 3
    assert "pip install" in text
    assert "Edge overlap before" in text


def noisy(seed: int) -> Picture:
    figure = new_figure(10, 8)
    values = np.random.default_rng(seed).integers(0, 255, (800, 1000, 3), dtype=np.uint8)
    figure.add_axes((0, 0, 1, 1)).imshow(values)
    return Picture(figure, "noise")


def test_pictures_stay_within_their_budget() -> None:
    """The worst picture shrinks to its share; beyond the largest number there are sentences."""
    data, (width, height) = encode(noisy(0), 400_000)
    assert len(data) <= 400_000
    assert width < 960
    assert abs(width / height - 1.25) < 0.01
    gallery = Gallery(1000)
    small = Picture(new_figure(1, 1), "x")
    shown = [gallery.figure(small, "A picture.") for _ in range(MOST_PICTURES + 1)]
    assert ["<img" in one for one in shown] == [True] * MOST_PICTURES + [False]
    assert BUDGET * 4 / 3 < 3_000_000


def test_tables_and_lists_are_bounded() -> None:
    """What is left out is counted."""
    long = table("Many. Rows.", ("a",), [(str(n),) for n in range(MOST_ROWS + 5)])
    assert long.count("<tr>") == MOST_ROWS + 1
    assert "5 more are left out" in long
    assert "and 5 more" in bullets(str(n) for n in range(MOST_ROWS + 5))
    assert table("None.", ("a",), []) == ""


def luminance(code: str) -> float:
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_have_contrast() -> None:
    """WCAG 2 AA, 4.5 to 1, for all text on both grounds, light, dark and printed."""
    palettes = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    assert len(palettes) == 3
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", palette))
        for ground in ("surface", "panel"):
            for ink in ("text", "muted", "info", "pending", "danger"):
                light, dark = sorted((luminance(colours[ground]), luminance(colours[ink])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)


def test_a_real_study_has_a_report(real_data: Path, tmp_path: Path) -> None:
    """ProstateX-0000: no motion, the scanner's position kept, the ADC near the scanner's."""
    report = whole(real_data / "prostatex" / "ProstateX-0000")
    path = write_report(tmp_path / "report.html", report)
    assert path.stat().st_size < 3_000_000
    words = verdict(report.series[0])
    assert "left as acquired. Kept the scanner's position on T2 (t2_tse_tra)." in words
    assert "ADC recomputed: in the median 6 % above the scanner's map." in words


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_a_browser_shows_it(
    browser: Browser, html: Path, width: int, scheme: str, look_at: Callable[[str], Path]
) -> None:
    """No request, no message in the console, nothing over the edge; parameters open by keyboard; pictures load."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    shown, said, asked = context.new_page(), [], []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(html.as_uri())
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.locator("summary").first.focus()
    shown.keyboard.press("Enter")
    assert shown.locator("pre").first.is_visible()
    shown.screenshot(path=look_at(f"report-{width}.png"), full_page=True)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [html.as_uri()]
    context.close()


@pytest.fixture
def look_at(tmp_path: Path) -> Callable[[str], Path]:
    """Where a screenshot goes: to the folder LIGHTBOX_PICTURES for people to look at, else away."""
    named = os.environ.get("LIGHTBOX_PICTURES")
    folder = Path(named) if named else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: folder / name
