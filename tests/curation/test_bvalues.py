"""b-values where each vendor keeps them."""

from __future__ import annotations

import struct

import pytest
from pydicom.dataset import Dataset

from curation.bvalues import b_value


def private(group: int, creator: str, element: int, vr: str, value: object) -> Dataset:
    dataset = Dataset()
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


def standard(value: float) -> Dataset:
    dataset = Dataset()
    dataset.DiffusionBValue = value
    return dataset


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
        (Dataset(), None),
    ],
)
def test_b_value_is_found(dataset: Dataset, b: float | None) -> None:
    """Each vendor's element gives its b-value; another vendor's element of the same number none."""
    assert b_value(dataset) == b


@pytest.mark.parametrize(("manufacturer", "b"), [("SIEMENS", 50.0), ("GE MEDICAL SYSTEMS", None)])
def test_manufacturer_stands_in_for_a_lost_creator(manufacturer: str, b: float | None) -> None:
    """An element without its creator counts only if the manufacturer fits."""
    dataset = private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "50")
    del dataset[0x0019_0010]
    dataset.Manufacturer = manufacturer
    assert b_value(dataset) == b
