"""Real scanners' files: Siemens, Philips, GE, and a segmentation by another tool."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from curation import Study, read_study
from curation.segmentation import Segment, read_seg, segmentations, write_seg
from tests.curation.conformance import errors_of


@pytest.fixture(scope="module")
def siemens(real_data: Path) -> Study:
    return read_study(real_data / "prostatex" / "ProstateX-0000")


def test_prostatex_roles_and_shapes(siemens: Study) -> None:
    """T2w in three planes, DWI with three b-values in one series, ADC, calculated b, PD."""
    found = [(s.role, s.plane, s.shape) for s in siemens.series]
    assert found == [
        ("t2w", "sagittal", (1, 19, 320, 320)),
        ("t2w", "axial", (1, 19, 384, 384)),
        ("t2w", "coronal", (1, 15, 320, 320)),
        ("dwi", "axial", (3, 19, 128, 84)),
        ("adc", "axial", (1, 19, 128, 84)),
        ("calculated-b", "axial", (1, 19, 128, 84)),
        ("pd", "axial", (1, 16, 128, 128)),
    ]
    assert [problem.code for problem in siemens.problems] == ["absent-attributes"]
    assert "ReferringPhysicianName (164 of 164 files)" in str(siemens.problems[0])
    assert [s.problems for s in siemens.series] == [()] * 7
    assert siemens.default_static is siemens.series[1]
    assert siemens.date is not None
    assert siemens.date.isoformat() == "2011-07-07"


def test_prostatex_b_values(siemens: Study) -> None:
    """b from the private element that is stored as bytes; the ADC map has none."""
    (dwi,), (adc,), (calculated,) = (siemens.with_role(role) for role in ("dwi", "adc", "calculated-b"))
    assert dwi.b_values == (50, 400, 800)
    assert adc.b_values is None
    assert calculated.b_values == (1000,)
    means = [float(dwi.volume(k).array.mean()) for k in range(3)]
    assert means == sorted(means, reverse=True)


DESCRIPTIONS = (
    "SeriesDescription", "ProtocolName", "StudyDescription", "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
)  # fmt: skip


def deidentified(source: Path, target: Path, *keywords: str, private: bool = False) -> Study:
    """Copy a study without descriptions, further attributes and, if asked, private elements; then read it."""
    target.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, path in enumerate(sorted(source.rglob("*"))):
            if not path.is_file() or path.suffix in (".bval", ".bvec", ".json"):
                continue
            dataset = pydicom.dcmread(path)
            for keyword in (*DESCRIPTIONS, *keywords):
                dataset.pop(keyword, None)
            if private:
                dataset.remove_private_tags()
            dataset.save_as(target / f"{number}.dcm")
    return read_study(target)


STUDIES = ("prostatex/ProstateX-0000", "prostatex/ProstateX-0218", "philips_dwi", "ge_dwi")


@pytest.mark.parametrize("folder", STUDIES)
def test_roles_survive_the_loss_of_descriptions(real_data: Path, tmp_path: Path, folder: str) -> None:
    """Without descriptions every real series keeps its role and b-values; without private elements its role."""
    source = real_data / folder
    before = [(s.number, s.role, s.b_values) for s in read_study(source).series]
    after = deidentified(source, tmp_path / "a")
    assert [(s.number, s.role, s.b_values) for s in after.series] == before
    bare = deidentified(source, tmp_path / "b", private=True)
    assert [(s.number, s.role) for s in bare.series] == [(number, role) for number, role, _ in before]


def test_b_values_are_not_invented(real_data: Path, tmp_path: Path) -> None:
    """Where they stood in private elements and in Sequence Name alone, they are unknown and named as that."""
    study = deidentified(real_data / STUDIES[0], tmp_path / "a", "SequenceName", private=True)
    (dwi,), (calculated,) = study.with_role("dwi"), study.with_role("calculated-b")
    for series, count in ((dwi, 3), (calculated, 1)):
        assert series.n_volumes == count
        assert series.b_values is None
        assert [problem.code for problem in series.problems] == ["unknown-b-values"]


def test_sequence_name_stands_in_for_lost_private_elements(real_data: Path, tmp_path: Path) -> None:
    """Siemens names the b-value of an acquired image in Sequence Name."""
    study = deidentified(real_data / STUDIES[0], tmp_path / "a", private=True)
    assert study.with_role("dwi")[0].b_values == (50, 400, 800)
    assert study.with_role("calculated-b")[0].b_values is None


def test_a_dwi_in_three_series_is_joined(siemens: Study, tmp_path: Path) -> None:
    """Split into one series per b-value it comes back as it was; ADC and calculated b stay apart."""
    (dwi,) = siemens.with_role("dwi")
    for series in siemens.series:
        for number, path in enumerate(series.paths):
            dataset = pydicom.dcmread(path)
            if series is dwi:
                k = number // 19
                dataset.SeriesInstanceUID, dataset.SeriesNumber = f"2.25.{k}", 60 + k
            dataset.save_as(tmp_path / f"{series.number}-{number}.dcm")
    study = read_study(tmp_path)
    (joined,) = study.with_role("dwi")
    assert [p.code for p in joined.problems] == ["joined-series"]
    assert (joined.shape, joined.b_values) == (dwi.shape, dwi.b_values)
    assert joined.acquisition_times_s == dwi.acquisition_times_s
    assert np.array_equal(joined.volume(2).array, dwi.volume(2).array)
    assert len(study.with_role("adc")) == len(study.with_role("calculated-b")) == 1


def test_axial_slices_run_to_superior(siemens: Study) -> None:
    """The tilted axial stack keeps 3 mm x 0.5 mm x 0.5 mm and goes from feet to head."""
    static = siemens.default_static
    assert static is not None
    volume = static.volume()
    assert volume.spacing_mm == (3.0, 0.5, 0.5)
    assert volume.to_lps((18, 0, 0))[2] > volume.to_lps((0, 0, 0))[2]


def test_twist_is_one_series_on_the_acquisition_clock(real_data: Path) -> None:
    """Twelve DICOM series are one DCE series; the first step lasts 8.895 s by Acquisition Time."""
    study = read_study(real_data / "prostatex" / "ProstateX-0218")
    (dce,) = study.with_role("dce")
    assert dce.shape == (12, 20, 160, 160)
    assert len(dce.uids) == 12
    assert dce.acquisition_times_s is not None
    assert dce.acquisition_times_s[:3] == (0.0, 8.895, 13.13)
    assert study.default_static is study.with_role("t2w", "axial")[0]
    assert not np.array_equal(dce.volume(0).array, dce.volume(11).array)


@pytest.mark.parametrize(("folder", "shape"), [("philips_dwi", (17, 32, 112, 112)), ("ge_dwi", (7, 2, 256, 256))])
def test_b_values_equal_another_converters(real_data: Path, folder: str, shape: tuple[int, ...]) -> None:
    """Every volume is kept, in order, with fractional b-values that mark repeated b = 0."""
    study = read_study(real_data / folder)
    (series,) = study.series
    expected = tuple(float(b) for b in (real_data / folder / "expected.bval").read_text().split())
    assert series.role == "dwi"
    assert series.shape == shape
    assert series.b_values == expected
    assert {problem.code for problem in study.problems} == {"not-dicom", "no-static-series"}


def test_segmentation_of_another_tool(real_data: Path) -> None:
    """Overlapping segments written by dcmqi keep their voxel counts on the grid of the CT."""
    study = read_study(real_data / "dcmqi")
    (ct,) = (series for series in study.series if series.modality == "CT")
    (found,) = segmentations(study, ct)
    assert [int(s.mask.sum()) for s in found.segments] == [9602, 11888, 10743, 6693, 4713]
    assert found.segments[0].mask.shape == ct.shape[1:]


def test_masks_on_real_images_conform(siemens: Study, tmp_path: Path) -> None:
    """Masks on a de-identified tilted series come back equal, and the file conforms."""
    static = siemens.default_static
    assert static is not None
    mask = np.zeros(static.shape[1:], dtype=bool)
    mask[8:11, 100:120, 150:170] = True
    path = write_seg(tmp_path / "seg.dcm", [Segment("Lesion", mask)], static)
    assert np.array_equal(read_seg(path, static).segments[0].mask, mask)
    assert errors_of(path) == []
