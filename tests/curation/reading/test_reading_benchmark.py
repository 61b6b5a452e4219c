"""The benchmark of reading, on few files: what it builds is one study, and its readers agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reading import build_study, measure
from curation import read_study
from tests.curation.conftest import MakeSeries


def test_a_study_is_built_of_copies(make_series: MakeSeries, tmp_path: Path) -> None:
    """Fresh identifiers make one study of repeated files, without copies or clashes."""
    paths = make_series(3)
    (tmp_path / "study").mkdir()
    build_study(tmp_path / "study", iter(paths * 3), 8)
    study = read_study(tmp_path / "study")
    assert sorted(series.shape[1] for series in study.series) == [2, 3, 3]
    assert study.quarantine == ()


def test_figures_without_real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real data absent, a synthetic cohort stands in and is named; all figures are there."""
    monkeypatch.setenv("LIGHTBOX_DATA", str(tmp_path / "nothing"))
    figures = measure(tmp_path, files=60, rounds=1)
    assert (figures["data"], figures["files"]) == ("synthetic", 60)
    assert set(figures["peers"]) == {
        "pydicom_load_ms", "simpleitk_load_ms", "dcm2niix_load_ms", "pydicom_headers_per_second",
    }  # fmt: skip
    assert min(figures["load_ms"], figures["headers_per_second"], figures["study_seconds"]) > 0
