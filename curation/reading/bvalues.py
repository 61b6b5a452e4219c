"""Diffusion b-values and gradient directions, from the standard attributes and from where vendors hide them.

========  =====================  ===========================  ================================================
vendor    element                private creator              content
========  =====================  ===========================  ================================================
standard  (0018,9087)                                         Diffusion b-value, FD, s/mm2 (PS3.3 C.8.13.5.9)
standard  (0018,9089)                                         Diffusion Gradient Orientation, FD, patient axes
Siemens   (0019,xx0C)            SIEMENS MR HEADER            b, IS; often left as bytes of unknown type
Siemens   (0019,xx0E)            SIEMENS MR HEADER            direction, FD, patient axes
Siemens   (0029,xx10)            SIEMENS CSA HEADER           both again, see `curation.reading.csa`
Siemens   (0018,0024)                                         Sequence Name of acquired images: ``*ep_b800t``
GE        (0043,xx39)            GEMS_PARM_01                 b, IS, first of four; some releases add 10^9
GE        (0019,xxBB) to (BD)    GEMS_ACQU_01                 direction, DS, along the axes of the image
Philips   (2001,xx03)            Philips Imaging DD 001       b, FL
Philips   (2005,xxB0) to (B2)    Philips MR Imaging DD 001    direction, FL, patient axes (RL, AP, FH)
========  =====================  ===========================  ================================================

Fractions are kept: Philips marks repeated b = 0 volumes by 0.001, 0.002, ... Directions are unit vectors in
LPS. GE's are given along the frequency, phase and slice axes; dcm2niix's rule (nii_dicom_batch.cpp,
geCorrectBvecs) is checked by its author for axial images of a patient lying head first supine with phase
encoding along the columns: minus the row direction, minus the column direction, plus the slice normal.
For other GE images no direction is given.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curation.reading.csa import csa_fields
from curation.reading.values import Values, tag

_GE_OFFSET = 1e9
_BLOCKS = range(0x10, 0x20)  # where scanners put their private blocks; PS3.5 7.8.1 allows 0x10 to 0xFF
_B, _DIRECTION, _DIRECTIONALITY = map(
    tag, ("DiffusionBValue", "DiffusionGradientOrientation", "DiffusionDirectionality")
)
_MANUFACTURER, _PHASE, _POSITION, _ORIENTATION = map(
    tag, ("Manufacturer", "InPlanePhaseEncodingDirection", "PatientPosition", "ImageOrientationPatient")
)
_IMAGE_TYPE, _SEQUENCE, _SEQUENCE_NAME = map(tag, ("ImageType", "ScanningSequence", "SequenceName"))
_AXIAL_COSINE = 0.7  # the slice normal is nearer to the body axis than to any other


@dataclass(frozen=True)
class Private:
    """A private element: its group and number, who reserved the block, and the VR that it has by rights."""

    group: int
    element: int
    creator: str
    vendor: str
    vr: bytes

    @functools.cached_property
    def tags(self) -> tuple[tuple[int, int], ...]:
        """The tags that it may have, each with that of its creator."""
        group = self.group << 16
        return tuple((group | block << 8 | self.element, group | block) for block in _BLOCKS)

    def find(self, values: Values) -> int | None:
        """Return the tag under which an image has it.

        De-identification may drop the creator and keep the element: then the manufacturer decides.
        """
        for own, creator in self.tags:
            if own not in values.raw:
                continue
            if values.has(creator):
                known = values.text(creator) == self.creator
            else:
                known = self.vendor in values.text(_MANUFACTURER).lower()
            if known:
                return own
        return None


_SIEMENS_B = Private(0x0019, 0x0C, "SIEMENS MR HEADER", "siemens", b"IS")
_SIEMENS_DIRECTION = Private(0x0019, 0x0E, "SIEMENS MR HEADER", "siemens", b"FD")
_SIEMENS_KIND = Private(0x0019, 0x0D, "SIEMENS MR HEADER", "siemens", b"CS")
CSA = Private(0x0029, 0x10, "SIEMENS CSA HEADER", "siemens", b"OB")
_GE_B = Private(0x0043, 0x39, "GEMS_PARM_01", "ge medical", b"IS")
_GE_DIRECTION = tuple(Private(0x0019, e, "GEMS_ACQU_01", "ge medical", b"DS") for e in (0xBB, 0xBC, 0xBD))
_PHILIPS_B = Private(0x2001, 0x03, "Philips Imaging DD 001", "philips", b"FL")
_PHILIPS_DIRECTION = tuple(
    Private(0x2005, e, "Philips MR Imaging DD 001", "philips", b"FL") for e in (0xB0, 0xB1, 0xB2)
)
_PRIVATE = (
    _SIEMENS_B, _SIEMENS_DIRECTION, _SIEMENS_KIND, CSA, _GE_B, *_GE_DIRECTION, _PHILIPS_B, *_PHILIPS_DIRECTION,
)  # fmt: skip

DIFFUSION_TAGS: frozenset[int] = frozenset(
    (
        _B,
        _DIRECTION,
        _DIRECTIONALITY,
        _MANUFACTURER,
        _PHASE,
        _POSITION,
        _ORIENTATION,
        _IMAGE_TYPE,
        _SEQUENCE,
        _SEQUENCE_NAME,
    )
).union(tag for private in _PRIVATE for pair in private.tags for tag in pair)
"""What a header scan must read for `b_value` and `gradient_direction`."""

Direction = tuple[float, float, float]


def b_value(values: Values) -> float | None:
    """Return the b-value of one image in s/mm2, or None where the header has none.

    Parameters
    ----------
    values : Values
        With the elements `DIFFUSION_TAGS`. A value that is no number is remembered in its flaws.

    Returns
    -------
    float or None
    """
    for candidate in _b_candidates(values):
        if candidate is not None and candidate >= 0:
            # Single precision values carry noise in the eighth digit: 0.001 arrives as 0.0010000000475.
            return round(candidate, 6)
    return None


def _b_candidates(values: Values) -> Iterator[float | None]:
    yield values.number(_B)
    yield _private_number(values, _SIEMENS_B)
    ge = _private_number(values, _GE_B)
    yield ge - _GE_OFFSET if ge is not None and ge >= _GE_OFFSET else ge
    yield _private_number(values, _PHILIPS_B)
    yield next(iter(_floats(_csa(values, "B_value"))), None)
    named = re.fullmatch(r"\*?ep_b(\d{1,5})(?:t|#\d+)?", values.text(_SEQUENCE_NAME))
    yield float(named[1]) if named else None


def gradient_direction(values: Values) -> Direction | None:
    """Return the direction of the diffusion gradient as a unit vector in LPS, or None where there is none.

    Parameters
    ----------
    values : Values
        With the elements `DIFFUSION_TAGS`.

    Returns
    -------
    tuple of float, or None
        None too where the image is isotropic (a trace image) or the vendor's axes are not surely known.
    """
    kind = values.text(_DIRECTIONALITY) or _private_text(values, _SIEMENS_KIND)
    if kind.upper() in ("ISOTROPIC", "NONE"):
        return None
    vector = (
        values.numbers(_DIRECTION)
        or _private_numbers(values, (_SIEMENS_DIRECTION,))
        or _private_numbers(values, _PHILIPS_DIRECTION)
        or _ge_direction(values)
        or _floats(_csa(values, "DiffusionGradientDirection"))
    )
    length = math.hypot(*vector)
    if len(vector) != 3 or length < 1e-3:
        return None
    x, y, z = (component / length for component in vector)
    return x, y, z


def _ge_direction(values: Values) -> tuple[float, ...]:
    """Turn GE's direction into LPS where the rule is known, see the head of this module."""
    vector = _private_numbers(values, _GE_DIRECTION)
    orientation = values.numbers(_ORIENTATION)
    if len(vector) != 3 or len(orientation) != 6:
        return ()
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    known = values.text(_PHASE).upper() == "COL" and values.text(_POSITION).upper() == "HFS"
    if not known or normal[2] < _AXIAL_COSINE:
        return ()
    return tuple(float(v) for v in -vector[0] * row - vector[1] * column + vector[2] * normal)


def _csa(values: Values, name: str) -> tuple[str, ...]:
    # The header is long: it is not searched where no diffusion can be.
    if "DIFFUSION" not in values.text(_IMAGE_TYPE) and "EP" not in values.text(_SEQUENCE):
        return ()
    found = CSA.find(values)
    return () if found is None else csa_fields(values.raw[found].content, {name}).get(name, ())


def _floats(texts: tuple[str, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        return ()
    return numbers if all(math.isfinite(number) for number in numbers) else ()


def _private_number(values: Values, private: Private) -> float | None:
    found = private.find(values)
    return None if found is None else values.number(found, private.vr)


def _private_text(values: Values, private: Private) -> str:
    found = private.find(values)
    return "" if found is None else values.text(found)


def _private_numbers(values: Values, privates: tuple[Private, ...]) -> tuple[float, ...]:
    found = [private.find(values) for private in privates]
    numbers = [values.numbers(t, p.vr) for t, p in zip(found, privates, strict=True) if t is not None]
    return tuple(number for several in numbers for number in several)
