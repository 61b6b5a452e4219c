"""``curate synth|scan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from curation.cli.output import Json, bar, print_json, reported, rich_table
from curation.series import Series
from curation.study import Study, read_studies
from curation.tables import series_table


def synth(
    out: Annotated[Path, typer.Option(help="Folder for the cohort; made if there is none.", file_okay=False)],
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files, byte for byte.")] = 0,
    as_json: Json = False,
) -> None:
    """Write synthetic prostate MRI studies as real, valid DICOM; nobody's data."""
    from curation.synthetic import write_cohort

    with reported(as_json), bar("Writing patients") as progress:
        studies = write_cohort(out, patients=patients, seed=seed, progress=progress)
    rows = [
        {"patient_id": s.patient_id, "folder": str(s.folder), "truth": str(s.truth), "lesion": s.lesion}
        for s in studies
    ]
    if as_json:
        print_json({"out": str(out), "seed": seed, "studies": rows})
        return
    table = rich_table("Patient", "Study folder", "Lesion")
    for study in studies:
        table.add_row(study.patient_id, escape(str(study.folder)), "yes" if study.lesion else "none")
    Console().print(table)


def scan(
    path: Annotated[Path, typer.Argument(help="A folder with one or more studies, or a file.")],
    as_json: Json = False,
) -> None:
    """List the series of each study: role, plane, shape, spacing, b-values, problems."""
    with reported(as_json), bar("Reading headers") as progress:
        studies = read_studies(path, progress=progress)
    if as_json:
        print_json({"path": str(path), "studies": [_study_json(study) for study in studies]})
        return
    console = Console()
    for study in studies:
        _print_study(console, study)


def _print_study(console: Console, study: Study) -> None:
    found = series_table(study)
    table = rich_table(*found.columns)
    for row in found.rows:
        table.add_row(*(escape(cell) for cell in row))
    title = f"{study.patient_id or 'no patient ID'}  {study.date or 'no date'}"
    console.print(f"[bold]{escape(title)}[/bold]  [dim]{study.uid}[/dim]")
    console.print(table)
    for problem in study.problems:
        console.print(f"[yellow]! {escape(str(problem))}[/yellow]", soft_wrap=True)
    console.print()


def _study_json(study: Study) -> dict[str, Any]:
    return {
        "uid": study.uid,
        "patient_id": study.patient_id,
        "date": None if study.date is None else study.date.isoformat(),
        "default_static": None if study.default_static is None else study.default_static.uid,
        "problems": [problem.to_json() for problem in study.problems],
        "quarantine": [{"path": str(path), "code": code} for path, code in study.quarantine],
        "series": [_series_json(series) for series in study.series],
    }


def _series_json(series: Series) -> dict[str, Any]:
    return {
        "uid": series.uid,
        "uids": series.uids,
        "number": series.number,
        "description": series.description,
        "modality": series.modality,
        "role": series.role,
        "plane": series.plane,
        "shape": series.shape,
        "spacing_mm": series.spacing_mm,
        "b_values": series.b_values,
        "gradient_directions": series.gradient_directions,
        "acquisition_times_s": series.acquisition_times_s,
        "files": len(series.paths),
        "problems": [problem.to_json() for problem in series.problems],
    }
