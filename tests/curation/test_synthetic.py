"""The synthetic cohort: valid, repeatable, true to its own description."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from curation import Study, Volume, read_study
from curation.errors import OutputExistsError
from curation.segmentation import segmentations
from curation.synthetic import SyntheticStudy, draw_patient, write_cohort, write_patient
from tests.curation.conformance import errors_of


@pytest.fixture(scope="module")
def studies(cohort: list[SyntheticStudy]) -> list[Study]:
    return [read_study(item.folder) for item in cohort]


def truth_of(item: SyntheticStudy) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(item.truth.read_text())
    return content


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [str(path.relative_to(folder)).encode() for path in files]
    return hashlib.sha256(b"".join(n + path.read_bytes() for n, path in zip(names, files, strict=True))).hexdigest()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_kind_of_file_conforms(cohort: list[SyntheticStudy], number: int) -> None:
    """dciodvfy finds no error in any kind of series of any vendor."""
    for folder in sorted(path for path in cohort[number].folder.iterdir() if path.is_dir()):
        first = sorted(folder.iterdir())[0]
        assert errors_of(first) == [], first.parent.name


@pytest.mark.slow
def test_every_file_of_a_patient_conforms(cohort: list[SyntheticStudy]) -> None:
    """All files of one patient, not one per series."""
    assert [path.name for path in cohort[0].folder.rglob("*.dcm") if errors_of(path)] == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_reader_finds_what_was_meant(studies: list[Study], number: int) -> None:
    """Roles, planes, volumes and b-values are found in each vendor's way of storing them."""
    study = studies[number]
    images = [series for series in study.series if series.modality == "MR"]
    assert [(s.role, s.plane, s.n_volumes) for s in images] == [
        ("t2w", "sagittal", 1), ("t2w", "axial", 1), ("t2w", "coronal", 1), ("dwi", "axial", 3),
        ("adc", "axial", 1), ("dce", "axial", 12),
    ]  # fmt: skip
    assert images[3].b_values == (50, 400, 800)
    assert images[5].acquisition_times_s == tuple(9.0 * k for k in range(12))
    assert study.problems == ()
    assert [series.problems for series in study.series] == [()] * len(study.series)


def test_vendors_store_dynamic_series_differently(studies: list[Study]) -> None:
    """Siemens: one DICOM series per time point; GE and Philips: one series."""
    assert [len(study.with_role("dce")[0].uids) for study in studies] == [12, 1, 1]


def test_the_mask_marks_the_lesion(cohort: list[SyntheticStudy], studies: list[Study]) -> None:
    """The mask has the volume and place that the truth states, and low ADC; one patient has none."""
    assert [item.lesion for item in cohort] == [True, True, False]
    for item, study in zip(cohort, studies, strict=True):
        static = study.default_static
        assert static is not None
        found = segmentations(study, static)
        assert len(found) == item.lesion
        if not found:
            continue
        lesion, mask = truth_of(item)["lesion"], found[0].segments[0].mask
        assert int(mask.sum()) == lesion["voxels"]
        centroid = static.volume().to_lps(np.argwhere(mask)).mean(axis=0)
        assert np.linalg.norm(centroid - lesion["centre_mm"]) < 6
        adc = study.with_role("adc")[0].volume()
        inside = adc.sample(static.volume().to_lps(np.argwhere(mask)))
        # Partial volume at the rim of a thin lesion: clearly below the transition zone's 1380, not all at 640.
        assert lesion["adc"] == 640
        assert float(np.median(inside)) < 1000


def correlation(first: Volume, second: Volume, transform: np.ndarray[Any, Any]) -> float:
    """Correlate a volume with another one that is looked up through a transform, in the middle of both."""
    grid = np.stack(np.meshgrid(*(np.arange(n // 4, 3 * n // 4) for n in first.shape), indexing="ij"), axis=-1)
    points = first.to_lps(grid)
    moved = points @ transform[:3, :3].T + transform[:3, 3]
    return float(np.corrcoef(first.sample(points).ravel(), second.sample(moved).ravel())[0, 1])


def test_the_stated_motion_is_the_motion(cohort: list[SyntheticStudy], studies: list[Study]) -> None:
    """Looked up through the stated transforms, later volumes fit the first better than without."""
    for item, study in zip(cohort, studies, strict=True):
        (stated,) = (entry["transforms"] for entry in truth_of(item)["series"] if entry["kind"] == "dwi")
        dwi = study.with_role("dwi")[0]
        reference = dwi.volume(0)
        assert np.array_equal(stated[0], np.eye(4))
        for k in (1, 2):
            volume = dwi.volume(k)
            transform = np.array(stated[k])
            assert correlation(volume, reference, transform) > correlation(volume, reference, np.eye(4)) + 0.01


def test_contrast_agent_reaches_the_lesion_first(cohort: list[SyntheticStudy], studies: list[Study]) -> None:
    """After arrival the lesion brightens, before it nothing does."""
    study = studies[0]
    static, (dce,) = study.default_static, study.with_role("dce")
    assert static is not None
    points = static.volume().to_lps(np.argwhere(segmentations(study, static)[0].segments[0].mask))
    curve = [float(dce.volume(k).sample(points).mean()) for k in (0, 1, 6)]
    assert curve[1] == pytest.approx(curve[0], rel=0.05)
    assert curve[2] > 1.5 * curve[0]


def test_the_same_seed_gives_identical_bytes(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A patient does not depend on the size of the cohort or on the day."""
    again = write_patient(tmp_path, draw_patient(0, 1))
    assert digest(again.folder.parent) == digest(cohort[0].folder.parent)


def test_patients_and_seeds_differ() -> None:
    """Gland, scanner and lesion differ between patients, and another seed gives other patients."""
    patients = [draw_patient(0, number) for number in range(1, 5)]
    assert len({patient.gland_radii for patient in patients}) == 4
    assert {patient.scanner for patient in patients} == {"siemens", "ge", "philips"}
    assert draw_patient(1, 1).gland_radii != patients[0].gland_radii


def test_patients_are_clearly_synthetic(cohort: list[SyntheticStudy]) -> None:
    """Name, maker and description say so."""
    header = pydicom.dcmread(sorted(cohort[1].folder.rglob("*.dcm"))[0], stop_before_pixels=True)
    assert header.PatientName == "Synthetic^Patient02"
    assert header.Manufacturer.startswith("Synthetic")


def test_a_patient_stays_small(cohort: list[SyntheticStudy]) -> None:
    """Under 12 MB each."""
    for item in cohort:
        assert sum(path.stat().st_size for path in item.folder.rglob("*.dcm")) < 12e6


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder of that name stops the whole cohort before anything is written."""
    (tmp_path / "SYNTHETIC-0-02").mkdir()
    with pytest.raises(OutputExistsError, match="SYNTHETIC-0-02"):
        write_cohort(tmp_path, patients=2)
    assert [path.name for path in tmp_path.iterdir()] == ["SYNTHETIC-0-02"]
