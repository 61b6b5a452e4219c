"""The notebooks run from top to bottom, with and without data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from curation.synthetic import SyntheticStudy

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
HEADINGS = ["Goal", "Input", "Output", "Runtime", "Imports"]


def stored(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]


def run(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Execute a notebook and return the outputs of its cells."""
    monkeypatch.setenv("LIGHTBOX_DATASETS", str(root))
    monkeypatch.setenv("LIGHTBOX_DATASETS_INFO", "")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOKS.parent))
    notebook = stored(name)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(root)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def shown(outputs: list[Any]) -> tuple[str, int]:
    """Return all text and the number of pictures."""
    data = [output.get("data", {}) for output in outputs]
    text = "\n".join(d.get("text/plain", "") + d.get("text/html", "") for d in data)
    return text, sum("image/png" in d for d in data)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_stored_clean(path: Path) -> None:
    """No outputs, cell identifiers, the fixed headings in their order, no deep imports."""
    notebook = stored(path.name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE)[:5] == HEADINGS


def test_start_here_shows_a_synthetic_study(
    cohort: list[SyntheticStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table of datasets, table of series, T2w and DWI with the outline."""
    (tmp_path / "demo").symlink_to(cohort[0].folder.parents[1], target_is_directory=True)
    text, pictures = shown(run("00_start_here.ipynb", tmp_path, monkeypatch))
    assert "demo" in text
    assert "50, 400, 800" in text
    assert pictures == 2


def test_start_here_works_without_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says to ask for a grant and ends without an error."""
    text, _ = shown(run("00_start_here.ipynb", tmp_path, monkeypatch))
    assert "Ask the data controller" in text


def test_start_here_shows_a_real_study(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ProstateX has no segmentation and is shown without outline."""
    (tmp_path / "prostatex").symlink_to(real_data / "prostatex", target_is_directory=True)
    text, pictures = shown(run("00_start_here.ipynb", tmp_path, monkeypatch))
    assert "t2_tse_tra" in text
    assert pictures == 2
