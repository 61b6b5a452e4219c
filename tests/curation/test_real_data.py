"""Real scanners' files: Siemens, Philips, GE, and a segmentation by another tool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
    assert siemens.problems == ()
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
