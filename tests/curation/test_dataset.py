"""The datasets of a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation import datasets
from curation.errors import DatasetError
from tests.curation.conftest import MakeSeries


def point_to(monkeypatch: pytest.MonkeyPatch, root: Path, info: str = "") -> None:
    monkeypatch.setenv("LIGHTBOX_DATASETS", str(root))
    monkeypatch.setenv("LIGHTBOX_DATASETS_INFO", info)


def test_folders_are_datasets_and_information_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced datasets have title, version and digest; one without a folder is left out."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "demo").mkdir()
    entries = [{"id": "demo", "title": "Demo", "version": "3", "digest": "sha256:1"}, {"id": "gone"}]
    point_to(monkeypatch, tmp_path, json.dumps(entries))
    found = [(d.id, d.path, d.title, d.version, d.digest) for d in datasets()]
    assert found == [
        ("demo", tmp_path / "demo", "Demo", "3", "sha256:1"),
        ("plain", tmp_path / "plain", "plain", "", ""),
    ]


def test_no_folder_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the folder the list is empty."""
    point_to(monkeypatch, tmp_path / "none")
    assert datasets() == []


@pytest.mark.parametrize("info", ["{", "[1]", '[{"title": "x"}]', "7"])
def test_bad_information_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str) -> None:
    """Anything but a list of objects with id raises and names the variable."""
    point_to(monkeypatch, tmp_path, info)
    with pytest.raises(DatasetError, match="LIGHTBOX_DATASETS_INFO"):
        datasets()


def test_studies_are_found_by_their_headers(
    make_series: MakeSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that holds all series of a study, or the only series itself; in order, text files passed over."""
    for patient, study, series in (("b", "1", "x"), ("a", "1", "x"), ("a", "1", "y"), ("a", "2", "x")):
        place = f"{patient}/{study}/{series}"
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        uid = f"2.25.{ord(patient)}{study}"
        make_series(2, lambda d, z, uid=uid: setattr(d, "StudyInstanceUID", uid), place)
        (tmp_path / place / "000.txt").write_text("no DICOM")
    point_to(monkeypatch, tmp_path.parent)
    (dataset,) = (d for d in datasets() if d.path == tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in dataset.studies()] == ["a/1", "a/2/x", "b/1/x"]


def test_scattered_studies_are_refused(
    make_series: MakeSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that goes on behind another one cannot be one folder."""
    for place, uid in (("d/1", "2.25.1"), ("d/2", "2.25.2"), ("d/3", "2.25.1")):
        (tmp_path / "d").mkdir(exist_ok=True)
        make_series(1, lambda d, z, uid=uid: setattr(d, "StudyInstanceUID", uid), place)
    point_to(monkeypatch, tmp_path)
    with pytest.raises(DatasetError, match="read_studies"):
        list(datasets()[0].studies())


def test_an_empty_dataset_has_no_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without DICOM yields nothing."""
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    point_to(monkeypatch, tmp_path)
    assert list(datasets()[0].studies()) == []
