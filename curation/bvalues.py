"""Diffusion b-values, from the standard attribute and from where each vendor hides them.

=========  ============  =============================  ==================================================
vendor     element       private creator                content
=========  ============  =============================  ==================================================
standard   (0018,9087)                                  Diffusion b-value, FD, s/mm2 (PS3.3 C.8.13.5.9)
Siemens    (0019,xx0C)   SIEMENS MR HEADER              IS; often left as bytes of unknown type
GE         (0043,xx39)   GEMS_PARM_01                   IS, first of four; some releases add 10^9
Philips    (2001,xx03)   Philips Imaging DD 001         FL
=========  ============  =============================  ==================================================

Fractions are kept: Philips marks repeated b = 0 volumes by 0.001, 0.002, ...
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

_GE_OFFSET = 1e9
_BLOCKS = range(0x10, 0x14)  # where scanners put their private blocks; PS3.5 7.8.1 allows 0x10 to 0xFF


def _text_number(value: object) -> float | None:
    """Return the first number of an IS or DS value that may have stayed bytes (``b'800 '``)."""
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else value
    if isinstance(text, Sequence) and not isinstance(text, str):
        text = text[0] if text else ""
    text = str("" if text is None else text).split("\\")[0].strip(" \0")
    return float(text) if text else None


def _siemens(value: object) -> float | None:
    return _text_number(value)


def _ge(value: object) -> float | None:
    number = _text_number(value)
    return number - _GE_OFFSET if number is not None and number >= _GE_OFFSET else number


def _philips(value: object) -> float | None:
    if isinstance(value, bytes):  # FL of unknown type, little endian in every transfer syntax in use
        return float(struct.unpack("<f", value)[0]) if len(value) == 4 else None
    return _text_number(value)


@dataclass(frozen=True)
class _Private:
    group: int
    element: int
    creator: str
    vendor: str
    read: Callable[[object], float | None]


_PRIVATE = (
    _Private(0x0019, 0x0C, "SIEMENS MR HEADER", "siemens", _siemens),
    _Private(0x0043, 0x39, "GEMS_PARM_01", "ge medical", _ge),
    _Private(0x2001, 0x03, "Philips Imaging DD 001", "philips", _philips),
)

B_VALUE_TAGS: tuple[int, ...] = (
    0x0018_9087,
    *(private.group << 16 | block for private in _PRIVATE for block in _BLOCKS),
    *(private.group << 16 | block << 8 | private.element for private in _PRIVATE for block in _BLOCKS),
)
"""What a header scan must read for `b_value`: the standard tag, the private elements and their creators."""


def _private_values(dataset: Dataset, private: _Private) -> Iterator[object]:
    """Yield the values of the element in blocks that belong to its vendor.

    De-identification may drop the creator and keep the element: then the manufacturer decides.
    """
    vendor = private.vendor in str(dataset.get("Manufacturer", "")).lower()
    for block in _BLOCKS:
        element, creator = private.group << 16 | block << 8 | private.element, private.group << 16 | block
        if element not in dataset:
            continue
        known = str(dataset[creator].value).strip() == private.creator if creator in dataset else vendor
        if known:
            yield dataset[element].value


def b_value(dataset: Dataset) -> float | None:
    """Return the b-value of one image in s/mm2, or None where the header has none.

    Parameters
    ----------
    dataset : Dataset
        Header with the elements `B_VALUE_TAGS` and Manufacturer.

    Returns
    -------
    float or None

    Raises
    ------
    ValueError
        If an element is there and holds no number.
    """
    candidates: list[float | None] = [_text_number(dataset.get("DiffusionBValue"))]
    for private in _PRIVATE:
        candidates += [private.read(value) for value in _private_values(dataset, private)]
    # Single precision values carry noise in the eighth digit: 0.001 arrives as 0.0010000000475.
    return next((round(b, 6) for b in candidates if b is not None and math.isfinite(b) and b >= 0), None)
