"""A segment, and the segments that one DICOM SEG object holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curation.errors import SegmentationError
from curation.geometry import Array
from curation.segmentation.codes import ABNORMAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, LESION, RGB, Code

AlgorithmType = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]


@dataclass(frozen=True)
class Algorithm:
    """The program that drew a segment (Algorithm Identification, PS3.3 10.16).

    Parameters
    ----------
    name, version : str
    family : Code
        From CID 7162.
    """

    name: str
    version: str
    family: Code = ARTIFICIAL_INTELLIGENCE


@dataclass(frozen=True, eq=False)
class Segment:
    """One thing that was delineated.

    Parameters
    ----------
    label : str
        What people call it; up to 64 characters (Segment Label, PS3.3 C.8.20.4).
    mask : ndarray of bool, shape (z, y, x)
        True inside; kept as a read-only copy.
    category, kind : Code
        Segmented Property Category and Type.
    algorithm_type : str
        ``MANUAL``, ``SEMIAUTOMATIC`` or ``AUTOMATIC``.
    algorithm : Algorithm or None
        Required unless manual.
    colour : tuple of int or None
        8-bit sRGB; None for the colour of the segment's number.

    Raises
    ------
    SegmentationError
        If the mask is not three-dimensional or holds more than 0 and 1, the label is empty or too long, or
        it was not drawn by hand and no algorithm is given.
    """

    label: str
    mask: NDArray[np.bool_] = field(repr=False)
    category: Code = ABNORMAL_STRUCTURE
    kind: Code = LESION
    algorithm_type: AlgorithmType = "MANUAL"
    algorithm: Algorithm | None = None
    colour: RGB | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.mask)
        if values.ndim != 3:
            raise SegmentationError(f"A mask is an array [z, y, x]; that of {self.label!r} has shape {values.shape}.")
        mask = values.astype(np.bool_)
        if not np.array_equal(mask, values):
            raise SegmentationError(f"A mask holds 0 and 1 only; that of {self.label!r} has other values.")
        if not 0 < len(self.label) <= 64:
            raise SegmentationError(f"A segment label has 1 to 64 characters; {self.label!r} has {len(self.label)}.")
        if self.algorithm_type != "MANUAL" and self.algorithm is None:
            raise SegmentationError(f"Segment {self.label!r} is {self.algorithm_type}: say by which algorithm.")
        mask.flags.writeable = False
        object.__setattr__(self, "mask", mask)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The segments of one DICOM SEG object, all on one grid.

    Parameters
    ----------
    segments : tuple of Segment
        In order of Segment Number.
    affine : ndarray, shape (4, 4)
        Maps ``(z, y, x, 1)`` indices of the masks to LPS mm.
    frame_of_reference_uid, uid, series_uid : str
        Frame of Reference, SOP Instance and Series Instance UID.
    referenced_series_uids : tuple of str
        The series that it was drawn on.
    description : str
        Series Description.
    """

    segments: tuple[Segment, ...]
    affine: Array
    frame_of_reference_uid: str
    uid: str
    series_uid: str
    referenced_series_uids: tuple[str, ...]
    description: str
