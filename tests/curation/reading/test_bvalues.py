"""b-values and gradient directions where each vendor keeps them."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import pytest
from pydicom.dataset import Dataset

from curation.reading.bvalues import b_value, gradient_direction
from tests.curation.reading.encoded import values_of
from tests.curation.reading.test_mosaic import csa


def private(group: int, creator: str, element: int, vr: str, value: object) -> Dataset:
    dataset = Dataset()
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


def standard(value: float) -> Dataset:
    dataset = Dataset()
    dataset.DiffusionBValue = value
    return dataset


def with_csa(**values: str) -> Dataset:
    """A diffusion image whose diffusion is told by the CSA header alone; values separated by blanks."""
    fields = [(name, "FD", tuple(text.split())) for name, text in values.items()]
    dataset = private(0x0029, "SIEMENS CSA HEADER", 0x10, "OB", csa(fields))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    return dataset


def sequence(name: str) -> Dataset:
    dataset = Dataset()
    dataset.SequenceName = name
    return dataset


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    ("dataset", "b"),
    [
        (standard(800.0), 800.0),
        (standard(0.0010000000474974513), 0.001),
        (private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "400"), 400.0),
        (private(0x0019, "SIEMENS MR HEADER", 0x0C, "UN", b"800 "), 800.0),
        (private(0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000", "8", "0", "0"]), 1000.0),
        (private(0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000000050", "8", "0", "0"]), 50.0),
        (private(0x0043, "GEMS_PARM_01", 0x39, "UN", b"1000001400\\8\\0\\0 "), 1400.0),
        (private(0x2001, "Philips Imaging DD 001", 0x03, "FL", 0.002), 0.002),
        (private(0x2001, "Philips Imaging DD 001", 0x03, "UN", struct.pack("<f", 1500)), 1500.0),
        (private(0x0019, "GEMS_ACQU_01", 0x0C, "IS", "7"), None),
        (with_csa(B_value="650"), 650.0),
        (sequence("*ep_b800t"), 800.0),
        (sequence("ep_b1000#12"), 1000.0),
        (sequence("*ep_b50_800"), None),
        (sequence("*tse2d1_25"), None),
        (Dataset(), None),
    ],
)
def test_b_value_is_found(dataset: Dataset, b: float | None, explicit: bool) -> None:
    """Each vendor's element gives its b-value, typed or not; another vendor's element of the same number none."""
    assert b_value(values_of(dataset, explicit=explicit)) == b


@pytest.mark.parametrize(("manufacturer", "b"), [("SIEMENS", 50.0), ("GE MEDICAL SYSTEMS", None)])
def test_manufacturer_stands_in_for_a_lost_creator(manufacturer: str, b: float | None) -> None:
    """An element without its creator counts only if the manufacturer fits."""
    dataset = private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "50")
    del dataset[0x0019_0010]
    dataset.Manufacturer = manufacturer
    assert b_value(values_of(dataset)) == b


DIRECTION = (0.0, 0.6, 0.8)
AXIAL = [1, 0, 0, 0, 1, 0]


def directed(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def three(group: int, creator: str, first: int, vr: str, values: Sequence[object], **others: object) -> Dataset:
    dataset = directed(**others)
    block = dataset.private_block(group, creator, create=True)
    for number, value in enumerate(values):
        block.add_new(first + number, vr, value)
    return dataset


def ge(**changes: object) -> Dataset:
    others = {"ImageOrientationPatient": AXIAL, "InPlanePhaseEncodingDirection": "COL", "PatientPosition": "HFS"}
    return three(0x0019, "GEMS_ACQU_01", 0xBB, "DS", ["0.1", "-0.6", "0.8"], **{**others, **changes})


PACKED = [struct.pack("<f", value) for value in DIRECTION]
GE_LPS = tuple(v / math.sqrt(1.01) for v in (-0.1, 0.6, 0.8))


@pytest.mark.parametrize(
    ("dataset", "direction"),
    [
        (directed(DiffusionGradientOrientation=[0.0, 1.2, 1.6]), DIRECTION),
        (directed(DiffusionGradientOrientation=[0.0, 0.0, 0.0]), None),
        (directed(DiffusionGradientOrientation=list(DIRECTION), DiffusionDirectionality="ISOTROPIC"), None),
        (private(0x0019, "SIEMENS MR HEADER", 0x0E, "FD", list(DIRECTION)), DIRECTION),
        (private(0x0019, "SIEMENS MR HEADER", 0x0E, "UN", struct.pack("<3d", *DIRECTION)), DIRECTION),
        (with_csa(DiffusionGradientDirection="0.0 0.6 0.8"), DIRECTION),
        (three(0x2005, "Philips MR Imaging DD 001", 0xB0, "FL", DIRECTION), DIRECTION),
        (three(0x2005, "Philips MR Imaging DD 001", 0xB0, "UN", PACKED), DIRECTION),
        (ge(), GE_LPS),
        (ge(InPlanePhaseEncodingDirection="ROW"), None),
        (ge(PatientPosition="FFS"), None),
        (ge(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), None),
        (private(0x0019, "SIEMENS MR HEADER", 0x0E, "UN", b"odd"), None),
        (Dataset(), None),
    ],
)
def test_direction_is_found(dataset: Dataset, direction: tuple[float, ...] | None) -> None:
    """Unit vectors in LPS; GE's axes are turned where the rule is known and left out where it is not."""
    found = gradient_direction(values_of(dataset))
    assert found == (None if direction is None else pytest.approx(direction, abs=1e-6))


def test_values_that_are_no_numbers_are_remembered() -> None:
    """A malformed element gives none and is named; the next source is asked."""
    dataset = private(0x0019, "SIEMENS MR HEADER", 0x0C, "UN", b"\xff\xfe")
    dataset.SequenceName = "*ep_b800t"
    values = values_of(dataset)
    assert b_value(values) == 800
    assert values.flaws == {0x0019_100C}
