"""Values from hostile headers, decimal strings of a grid, and the scale of stored values."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from curation import Volume
from curation.derived.cleaning import UNICODE, character_set, clean, clean_text
from curation.derived.grid import plane_attributes, slice_positions
from curation.derived.scaling import choose_scale, stage, window
from curation.errors import DerivedError
from curation.geometry import plane_affine

FLOATS = st.floats(-(2.0**30), 2.0**30, width=32)


def header(keyword: str, vr: str, value: object) -> Dataset:
    dataset = Dataset()
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.add_new(keyword, vr, value)
    return dataset


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "expected"),
    [
        ("PatientName", "PN", "Doe^Jane=x^y=z=more", "Doe^Jane=x^y=z"),
        ("PatientName", "UT", "A" * 100, "A" * 64),
        ("PatientID", "LO", "tab\there", "tab here"),
        ("PatientSex", "CS", "m", "M"),
        ("PatientSex", "CS", "W", None),
        ("PatientBirthDate", "LO", "1950.01.02", "19500102"),
        ("PatientBirthDate", "LO", "19501301", None),
        ("StudyTime", "LO", "09:30:15.5", "093015.5"),
        ("StudyTime", "LO", "0960", None),
        ("EchoTime", "LO", "1.23456789012345678", "1.23456789012346"),
        ("EchoTime", "LO", "inf", None),
        ("EchoTrainLength", "LO", "7.0", 7),
        ("EchoTrainLength", "LO", "99999999999", None),
        ("DiffusionBValue", "LO", "800", 800.0),
        ("SequenceVariant", "CS", ["SK", "", "lower case is longer"], "SK"),
        ("PatientWeight", "OB", b"70 ", "70"),
        ("StudyDescription", "SQ", [Dataset()], None),
        ("AcquisitionDateTime", "LO", "20260105093000.5+0100", "20260105093000.5+0100"),
    ],
)
def test_values_are_mended_or_left_out(keyword: str, vr: str, value: object, expected: object) -> None:
    """A value fits its representation afterwards, or there is none."""
    assert clean(header(keyword, vr, value), keyword) == expected


@given(st.text(max_size=3000), st.sampled_from(["SH", "LO", "ST", "LT", "PN"]))
def test_any_text_becomes_valid(text: str, vr: str) -> None:
    """pydicom's own check of the representation finds nothing."""
    cleaned = clean_text(text, vr)
    pydicom.valuerep.validate_value(vr, cleaned, pydicom.config.RAISE)
    assert clean_text(cleaned, vr) == cleaned


def test_character_set_of_the_source_is_kept_where_it_suffices() -> None:
    """Latin-1 for a Latin-1 name, Unicode where something does not fit or none is declared."""
    latin = header("SpecificCharacterSet", "CS", "ISO_IR 100")
    assert character_set(latin, [header("PatientName", "PN", "Müller")]) == "ISO_IR 100"
    assert character_set(latin, [header("PatientName", "PN", "Ωmega")]) == UNICODE
    assert character_set(Dataset(), [Dataset()]) == UNICODE
    assert character_set(header("SpecificCharacterSet", "CS", ["", "ISO 2022 IR 87"]), []) == UNICODE


@given(st.lists(FLOATS, min_size=2, max_size=50))
@settings(deadline=None)
def test_stored_values_are_within_half_a_step(tmp_path_factory: pytest.TempPathFactory, found: list[float]) -> None:
    """Whatever the range, the value read lies within half of range / 65535 (one step less with negative values)."""
    values = np.array(found, dtype=np.float32).reshape(1, 1, -1)
    staged = stage([Volume(values, np.eye(4))], tmp_path_factory.mktemp("values"), lambda: None)
    scale = choose_scale(staged)
    assert all(len(text) <= 16 for text in (scale.slope, scale.intercept))
    again = scale.stored(values) * float(scale.slope) + float(scale.intercept)
    step = (float(values.max()) - float(values.min())) / 65534
    largest = float(np.abs(values).max())
    assert np.abs(again - values).max() <= step * 0.501 + largest * 1e-9


@pytest.mark.parametrize(
    ("values", "slope", "intercept", "signed"),
    [
        ([0, 7, 65535], "1", "0", False),
        ([-32768, 0, 32767], "1", "0", True),
        ([-1, 40000], None, None, True),
        ([0.5, 0.5], "1", "0.5", False),
        ([0, 0.5], None, "0.0", False),
    ],
)
def test_scale(tmp_path: Path, values: list[float], slope: str | None, intercept: str | None, signed: bool) -> None:
    """Whole numbers that fit are stored as they are; zero stays zero."""
    array = np.array(values, dtype=np.float32).reshape(1, 1, -1)
    scale = choose_scale(stage([Volume(array, np.eye(4))], tmp_path, lambda: None))
    assert scale.signed == signed
    assert slope in (None, scale.slope)
    assert intercept in (None, scale.intercept)
    zero = scale.stored(np.zeros(1, dtype=np.float32))[0] * float(scale.slope) + float(scale.intercept)
    assert 0 not in values or abs(zero) < 1e-9


def sampled(array: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [array.astype(np.float32)]


def test_window_leaves_out_the_empty_surroundings() -> None:
    """Zeros beyond a resampled image do not count, unless there is nothing else."""
    centre, width = window(sampled(np.r_[np.zeros(10_000), np.linspace(100, 200, 1001)]))
    assert (centre, width) == pytest.approx((150, 98))
    assert window(sampled(np.zeros(10))) == (0, 0)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """The error counts them and names the volume."""
    bad = np.ones((1, 2, 3), dtype=np.float32)
    bad[0, 0, :2] = np.nan, np.inf
    with pytest.raises(DerivedError, match=r"Volume 1 holds 2 value.*not finite"):
        stage([Volume(np.ones((1, 2, 3)), np.eye(4)), Volume(bad, np.eye(4))], tmp_path, lambda: None)


def test_volumes_of_other_grids_are_refused(tmp_path: Path) -> None:
    """Another shape, place or frame of reference than the first volume's, and no volume at all."""
    first = Volume(np.ones((2, 2, 3)), np.eye(4), "1.2")
    moved = np.eye(4)
    moved[0, 3] = 0.1
    others = {
        "shape": Volume(np.ones((2, 3, 3)), np.eye(4), "1.2"),
        "lies elsewhere": Volume(np.ones((2, 2, 3)), moved, "1.2"),
        "frame of reference": Volume(np.ones((2, 2, 3)), np.eye(4), "1.3"),
    }
    for message, other in others.items():
        with pytest.raises(DerivedError, match=message):
            stage([first, other], tmp_path, lambda: None)
    with pytest.raises(DerivedError, match="no volume"):
        stage([], tmp_path, lambda: None)


@given(
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(0.1, 5)] * 3),
    st.booleans(),
)
def test_any_grid_survives_decimal_strings(
    origin: tuple[float, ...], angles: tuple[float, ...], spacing: tuple[float, ...], flipped: bool
) -> None:
    """Sixteen characters hold a place to a nanometre and directions to unit length, left-handed grids too."""
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(angles).as_matrix()[:, ::-1] * spacing
    affine[:3, 0] *= 1 if flipped else -1
    affine[:3, 3] = origin
    plane = plane_attributes(affine, None)
    directions = np.array(plane.ImageOrientationPatient, dtype=float).reshape(2, 3)
    assert np.abs(np.linalg.norm(directions, axis=1) - 1).max() < 1e-10
    positions = slice_positions(affine, 20)
    again = plane_affine(positions[0], directions.ravel(), plane.PixelSpacing, positions[1] - positions[0])
    far = np.array([20, 400, 400, 1])
    assert np.abs((again - affine) @ far).max() < 1e-6
    assert float(plane.SpacingBetweenSlices) == pytest.approx(spacing[0])


def test_grids_that_dicom_cannot_hold_are_refused() -> None:
    """Rows and columns askew, and sheared slices."""
    askew, sheared = np.eye(4), np.eye(4)
    askew[2, 1] = 0.1
    sheared[1, 0] = 0.3
    with pytest.raises(DerivedError, match="right angle"):
        plane_attributes(askew, 3)
    with pytest.raises(DerivedError, match=r"sheared by 0\.30 mm"):
        plane_attributes(sheared, 3)
