"""Lists of datasets and series as tables, for notebooks and the command line alike."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.dataset import Dataset
from curation.series import Series
from curation.study import Study

NO_DATASET = (
    "No dataset is open to you here. Ask the data controller of your project for a grant; "
    "when you have it, stop and start your server."
)
NO_STUDY = "No study is open."

BY = "\N{MULTIPLICATION SIGN}"

_CELL = "text-align:left;padding:4px 12px 4px 0;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Table:
    """Column names and rows of text; a notebook shows it as a table.

    Parameters
    ----------
    columns : tuple of str
    rows : tuple of tuple of str
    empty : str
        What to say where there are no rows.
    values : tuple of mapping, optional
        For programs: one mapping per row, of names to numbers, texts, lists and None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""
    values: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def records(self) -> list[dict[str, Any]]:
        """One dictionary per row, as ``pandas.DataFrame(table.records)`` takes them.

        The values for programs where the table has them, else the cells by the names of their columns.
        """
        if self.values:
            return [dict(value) for value in self.values]
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_json(self) -> dict[str, Any]:
        """Return columns and records as a JSON object."""
        return {"columns": list(self.columns), "records": self.records}

    def __str__(self) -> str:
        if not self.rows:
            return self.empty
        lines = (self.columns, *self.rows)
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        padded = ("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(line.rstrip() for line in padded)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{html.escape(self.empty)}</p>"
        head = "".join(f'<th scope="col" style="{_CELL}">{html.escape(name)}</th>' for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def dataset_table(datasets: Sequence[Dataset]) -> Table:
    """Return one row per dataset; without any, what to do."""
    rows = ((d.id, d.title, d.version, d.digest, str(d.path)) for d in datasets)
    return Table(("Dataset", "Title", "Version", "Digest", "Folder"), tuple(rows), NO_DATASET)


def series_table(study: Study | None) -> Table:
    """Return one row per series of a study; without one, a line that says so."""
    columns = (
        "No.",
        "Role",
        "Plane",
        "Description",
        f"Shape v{BY}z{BY}y{BY}x",
        f"Spacing z{BY}y{BY}x (mm)",
        "b (s/mm²)",
        "Problems",
    )
    rows = () if study is None else tuple(series_row(series) for series in study.series)
    return Table(columns, rows, NO_STUDY)


def series_row(series: Series) -> tuple[str, ...]:
    """Return the cells of one series."""
    images = series.n_volumes > 0
    return (
        "" if series.number is None else str(series.number),
        series.role if series.modality in ("MR", "") else series.modality,
        series.plane if images else "",
        series.description,
        BY.join(str(n) for n in series.shape) if images else "",
        BY.join(f"{mm:.2f}" for mm in series.spacing_mm) if images else "",
        b_value_text(series.b_values),
        " ".join(str(problem) for problem in series.problems),
    )


def b_value_text(b_values: tuple[float, ...] | None) -> str:
    """Return the distinct b-values with how often each occurs: ``0, 50, 1000 (12)``."""
    if b_values is None:
        return ""
    counts = {b: b_values.count(b) for b in sorted(set(b_values))}
    return ", ".join(f"{b:g}" if n == 1 else f"{b:g} ({n})" for b, n in counts.items())
