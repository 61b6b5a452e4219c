"""The notebooks run from top to bottom, with and without data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient

from curation import read_study
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
    monkeypatch.setenv("MPLCONFIGDIR", matplotlib.get_cachedir())
    monkeypatch.setenv("HOME", str(root))
    notebook = stored(name)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(root)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def shown(outputs: list[Any]) -> tuple[str, int]:
    """Return all text and the number of pictures."""
    data = [output.get("data", {}) for output in outputs]
    text = "\n".join(d.get("text/plain", "") + d.get("text/html", "") for d in data)
    return text + printed(outputs), sum("image/png" in d for d in data)


def printed(outputs: list[Any]) -> str:
    """Return what was printed; warnings would be there too."""
    return "".join(output.get("text", "") for output in outputs if output.output_type == "stream")


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


def test_a_synthetic_study_is_curated(
    cohort: list[SyntheticStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Motion of DWI and DCE, overlays, ADC; five series are written, and read back from the home."""
    (tmp_path / "demo").symlink_to(cohort[0].folder.parents[1], target_is_directory=True)
    outputs = run("20_curate_a_study.ipynb", tmp_path, monkeypatch)
    text, pictures = shown(outputs)
    assert pictures == 8
    assert "The scanner's positions are kept. Edge overlap" in text
    assert "Recomputed over scanner: 1.0" in text
    assert "motion_correction by lightbox" in text
    assert not [output for output in outputs if output.get("name") == "stderr"]
    place = tmp_path / "curated" / "demo" / cohort[0].folder.relative_to(cohort[0].folder.parents[1])
    made = read_study(place)
    assert sorted(series.role for series in made.series if series.n_volumes) == ["adc", "dce", "dce", "dwi", "dwi"]
    assert all(series.curation_result for series in made.series if series.n_volumes)


def test_curation_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a dataset it runs to its end, with sentences in place of pictures, and writes nothing."""
    text, pictures = shown(run("20_curate_a_study.ipynb", tmp_path, monkeypatch))
    assert "Ask the data controller" in text
    assert "DWI: none; what needs it is left out below" in text
    assert pictures == 8
    assert not (tmp_path / "curated").exists()


def test_a_real_study_is_curated(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ProstateX-0000 has DWI and no DCE."""
    (tmp_path / "prostatex").symlink_to(real_data / "prostatex", target_is_directory=True)
    text, _ = shown(run("20_curate_a_study.ipynb", tmp_path, monkeypatch))
    assert "DCE: none; what needs it is left out below" in text
    assert "Recomputed over scanner: 1.06 in the median." in text
    assert "ep2d_diff_tra_DYNDIST motion-corrected" in text
