"""What a header says of a Siemens mosaic: how many slices are tiled into one image, and how."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from curation.reading.bvalues import CSA, Private
from curation.reading.csa import csa_fields
from curation.reading.values import Values, tag

_COUNT = Private(0x0019, 0x0A, "SIEMENS MR HEADER", "siemens", b"US")
_MATRIX_TEXT = Private(0x0051, 0x0B, "SIEMENS MR HEADER", "siemens", b"SH")
_IMAGE_TYPE, _MATRIX, _SPACING, _PHASE = map(
    tag, ("ImageType", "AcquisitionMatrix", "SpacingBetweenSlices", "InPlanePhaseEncodingDirection")
)

TILING_TAGS: frozenset[int] = frozenset((_IMAGE_TYPE, _MATRIX, _SPACING, _PHASE)).union(
    number for private in (_COUNT, _MATRIX_TEXT, CSA) for pair in private.tags for number in pair
)
"""What a header scan must read for `tiling_of`."""


@dataclass(frozen=True)
class Tiling:
    """What is known of a mosaic.

    Parameters
    ----------
    count : int or None
        Number of slices: NumberOfImagesInMosaic of the CSA header, or (0019,xx0A).
    normal : tuple of float
        SliceNormalVector of the CSA header, in LPS: where the slices go from tile to tile; empty where unknown.
    row_length, column_length : int or None
        Elements of one slice along a row (its columns) or along a column (its rows), whichever is the frequency
        encoding direction. The number of phase encoding steps says nothing of the size of a slice: phase
        resolution and partial Fourier make it smaller.
    spacing_mm : float or None
        Spacing Between Slices.
    """

    count: int | None = None
    normal: tuple[float, ...] = ()
    row_length: int | None = None
    column_length: int | None = None
    spacing_mm: float | None = None


def tiling_of(values: Values) -> Tiling | None:
    """Return what a header says of the mosaic that it describes; None where the image is no mosaic.

    Parameters
    ----------
    values : Values
        With `TILING_TAGS`.
    """
    if "MOSAIC" not in values.texts(_IMAGE_TYPE):
        return None
    csa = _csa(values)
    row, column = _frequency_lengths(values)
    return Tiling(_count(values, csa), _normal(csa), row, column, values.number(_SPACING))


def _csa(values: Values) -> dict[str, tuple[str, ...]]:
    found = CSA.find(values)
    wanted = {"NumberOfImagesInMosaic", "SliceNormalVector"}
    return {} if found is None else csa_fields(values.raw[found].content, wanted)


def _count(values: Values, csa: dict[str, tuple[str, ...]]) -> int | None:
    text = csa.get("NumberOfImagesInMosaic", ("",))[0]
    if text.isascii() and text.isdigit() and len(text) < 8 and int(text) > 0:
        return int(text)
    found = _COUNT.find(values)
    number = None if found is None else values.number(found, _COUNT.vr)
    return int(number) if number is not None and number >= 1 else None


def _normal(csa: dict[str, tuple[str, ...]]) -> tuple[float, ...]:
    try:
        vector = tuple(float(text) for text in csa.get("SliceNormalVector", ()))
    except ValueError:
        return ()
    length = math.hypot(*vector) if len(vector) == 3 else math.nan
    return tuple(v / length for v in vector) if 0.99 < length < 1.01 else ()


def _frequency_lengths(values: Values) -> tuple[int | None, int | None]:
    """Return the number of frequency encoded elements along a row, and along a column.

    Acquisition Matrix is frequency rows, frequency columns, phase rows, phase columns (PS3.3 C.8.3.1), where
    scanners count "frequency rows" along a row; the text in (0051,xx0B) marks the phase count: ``78p*128``.
    """
    matrix = values.numbers(_MATRIX)
    if len(matrix) == 4 and (matrix[0] > 0) != (matrix[1] > 0):
        return (int(matrix[0]), None) if matrix[0] > 0 else (None, int(matrix[1]))
    found = _MATRIX_TEXT.find(values)
    parts = re.fullmatch(r"(\d{1,5})(p?)\*(\d{1,5})(p?)s?", values.text(found) if found is not None else "")
    direction = values.text(_PHASE).upper()
    if parts is None or bool(parts[2]) == bool(parts[4]) or direction not in ("ROW", "COL"):
        return None, None
    count = int(parts[3] if parts[2] else parts[1])
    return (count, None) if direction == "COL" else (None, count)
