"""``curate run|motion-correct|coregister``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from curation.cli.output import Json, bar, print_json, reported, rich_table, stages
from curation.errors import IrregularSeriesError, MissingDataError, ParameterError
from curation.pipeline import Plan, to_curate
from curation.registration.parameters import CurationMetadata, RegistrationParameters, read_curation_metadata
from curation.run import CuratedStudy, curate_studies
from curation.series import Series
from curation.study import Study, read_studies


class EngineName(StrEnum):
    """What ``--engine`` takes."""

    LIGHTBOX = "lightbox"
    DIPY = "dipy"


class AcceptName(StrEnum):
    """What ``--accept`` takes."""

    EARNED = "earned"
    ALWAYS = "always"
    NEVER = "never"


Source = Annotated[Path, typer.Argument(help="Folder of the DICOM files of one or more studies, or a file.")]
Out = Annotated[
    Path, typer.Option(help="Folder for results; one subfolder per study. Made if there is none.", file_okay=False)
]
Engine = Annotated[EngineName, typer.Option(help="lightbox, or dipy: the algorithm of the ProCancer-I tool.")]
Parameters = Annotated[
    list[Path] | None,
    typer.Option(
        "--parameters",
        help="JSON file with the curation metadata of one function (ProCancer-I schema): its engine and parameters "
        "are used. May be given once per function.",
        exists=True,
        dir_okay=False,
    ),
]
Static = Annotated[
    str | None,
    typer.Option(help="Number or UID of the series to lay others on. Default: the last axial T2w of one volume."),
]
Acceptance = Annotated[
    AcceptName,
    typer.Option(
        help="earned: a co-registration replaces the scanner's positions only if it is stable, plausible and edges "
        "agree better. always: use what was found. never: keep the positions."
    ),
]
Gland = Annotated[bool, typer.Option("--refine-gland", help="Follow the gland by itself after the whole pelvis.")]
Again = Annotated[bool, typer.Option("--again", help="Compute everything, also what is there already.")]
Chosen = Annotated[
    list[str] | None, typer.Option("--series", help="Number or UID of a series; may be repeated. Default: all.")
]


def run(  # each parameter is an option
    source: Source,
    out: Out,
    engine: Engine = EngineName.LIGHTBOX,
    parameters: Parameters = None,
    static: Static = None,
    accept: Acceptance = AcceptName.EARNED,
    refine_gland: Gland = False,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Correct, co-register and write all diffusion and dynamic series of a study, with a report in pictures."""
    with reported(as_json):
        plan = _plan(engine, parameters, accept, refine_gland, again)
        studies = _read(source)
        _curate(studies, out, plan, static, None, as_json, source)


def motion_correct(
    source: Source,
    out: Out,
    series: Chosen = None,
    engine: Engine = EngineName.LIGHTBOX,
    parameters: Parameters = None,
    refine_gland: Gland = False,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Correct the motion between the volumes of series, and write the corrected series."""
    with reported(as_json):
        plan = _plan(engine, parameters, AcceptName.EARNED, refine_gland, again, motion_only=True)
        _curate(_read(source), out, plan, None, series, as_json, source)


def coregister(
    source: Source,
    out: Out,
    series: Chosen = None,
    static: Static = None,
    engine: Engine = EngineName.LIGHTBOX,
    parameters: Parameters = None,
    accept: Acceptance = AcceptName.EARNED,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Correct motion in series and lay them on the axial T2w, or on another static series."""
    with reported(as_json):
        plan = _plan(engine, parameters, accept, False, again)
        _curate(_read(source), out, plan, static, series, as_json, source)


def _read(source: Path) -> tuple[Study, ...]:
    with bar("Reading headers") as progress:
        return read_studies(source, progress=progress)


def _plan(
    engine: EngineName,
    files: Sequence[Path] | None,
    accept: AcceptName,
    refine_gland: bool,
    again: bool,
    *,
    motion_only: bool = False,
) -> Plan:
    found: dict[str, CurationMetadata] = {}
    for file in files or ():
        metadata = _metadata(file)
        if metadata.function in found:
            raise ParameterError(f"Two files give parameters for {metadata.function}; give one.")
        found[metadata.function] = metadata
    engines = {metadata.engine for metadata in found.values()}
    if len(engines) > 1:
        raise ParameterError("The files name two engines; a study is curated with one.")
    chosen = engines.pop() if engines else engine.value

    def parameters_of(function: str) -> RegistrationParameters | None:
        return found[function].parameters if function in found else None

    plan = Plan(
        engine=chosen,
        motion_parameters=parameters_of("motion_correction"),
        coregistration_parameters=parameters_of("coregistration"),
        accept=accept.value,
        refine_gland=refine_gland,
        again=again,
        motion_only=motion_only,
    )
    plan.check()
    return plan


def _metadata(file: Path) -> CurationMetadata:
    try:
        return read_curation_metadata(file.read_bytes())
    except ParameterError as error:
        raise ParameterError(f"{file.name}: {error}") from error


def _curate(  # the last step of three commands
    studies: Sequence[Study],
    out: Path,
    plan: Plan,
    static: str | None,
    chosen: Sequence[str] | None,
    as_json: bool,
    source: Path,
) -> None:
    selection = {study.uid: [_moving(study, name) for name in chosen or ()] or to_curate(study) for study in studies}
    statics = {study.uid: _static(study, static) for study in studies} if static else {}
    with stages() as tell:
        done = curate_studies(studies, out, plan, selection, statics, tell)
    if as_json:
        print_json({"source": str(source), "out": str(out), "studies": [study.to_json() for study in done]})
    else:
        console = Console()
        for study in done:
            _print(console, study)
    if any(study.failed for study in done):
        raise typer.Exit(1)


def _series(study: Study, name: str) -> Series:
    """Return the series with a number or an identifier."""
    found = [s for s in study.series if name in (*s.uids, s.uid) or (name.isdigit() and s.number == int(name))]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{s.number} ({s.description or s.role})" for s in study.series if s.n_volumes)
    what = "no series" if not found else f"{len(found)} series"
    raise MissingDataError(f"There is {what} {name!r}; give a number or a Series Instance UID of: {there}.")


def _moving(study: Study, name: str) -> Series:
    series = _series(study, name)
    if not series.regular:
        raise IrregularSeriesError(f"Series {name} has no regular volumes. {' '.join(map(str, series.problems))}")
    return series


def _static(study: Study, name: str) -> Series:
    series = _moving(study, name)
    if series.n_volumes > 1:
        raise IrregularSeriesError(f"A static series has one volume; series {name} has {series.n_volumes}.")
    return series


def _print(console: Console, study: CuratedStudy) -> None:
    title = f"{study.study.patient_id or 'no patient ID'}  {study.study.date or 'no date'}"
    console.print(f"[bold]{escape(title)}[/bold]  [dim]{study.study.uid}[/dim]")
    for line in study.verdicts:
        console.print(escape(line), soft_wrap=True, highlight=False)
    own = [problem for curated in study.series for problem in curated.problems]
    for problem in (*study.problems, *own):
        console.print(f"[yellow]! {escape(str(problem))}[/yellow]", soft_wrap=True)
    table = rich_table("Written", "On T2w", "Files", "Folder")
    for written in (w for curated in study.series for w in curated.written):
        there = " (was there)" if written.from_store else ""
        files = str(written.stored.files)
        table.add_row(written.role + there, "yes" if written.on_static else "", files, escape(written.stored.folder))
    if table.row_count:
        console.print(table)
    if study.report is not None:
        console.print(f"Report: {escape(str(study.report))}   {study.seconds:.1f} s", soft_wrap=True, highlight=False)
    console.print()
