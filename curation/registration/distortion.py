"""What is left between an echo-planar image and the static one along the direction of phase encoding.

Echo-planar images are stretched and shifted along phase encoding wherever the field is uneven, as beside rectal gas
(Jezzard and Balaban, Magn Reson Med 1995;34:65). A rigid transform cannot undo that; a person must know of it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import pydicom

from curation import agreement
from curation.geometry import Array, direction_letter, spacing_mm
from curation.series import Series
from curation.volume import Volume

FLAG_MM: Final = 2.0
"""Mismatch from which a series is flagged: about an in-plane voxel of prostate DWI."""

_SHIFTS_MM: Final = np.arange(-6.0, 6.1, 1.0)
_SLABS: Final = (-20.0, 0.0, 20.0)
_HALF_MM: Final = 14.0
_FEW_GAIN: Final = 0.01


@dataclass(frozen=True)
class Distortion:
    """Mismatch along phase encoding in three slabs across the gland.

    Parameters
    ----------
    direction : str
        Letters of the axis, for example ``A-P``.
    assumed : bool
        Whether the header does not say which direction it is (anterior to posterior is assumed).
    shifts_mm : tuple of float or None
        For each slab, from the first letter's side to the second's: by how much its edges would agree best if they
        lay further towards the second letter. None where edges do not tell.
    """

    direction: str
    assumed: bool
    shifts_mm: tuple[float | None, ...]

    @property
    def largest_mm(self) -> float:
        """The largest mismatch."""
        return max((abs(shift) for shift in self.shifts_mm if shift is not None), default=0.0)

    @property
    def flagged(self) -> bool:
        """Whether it is more than `FLAG_MM`."""
        return self.largest_mm >= FLAG_MM

    def __str__(self) -> str:
        axis = f"Along phase encoding, {self.direction}{' (assumed)' if self.assumed else ''},"
        if all(shift is None for shift in self.shifts_mm):
            return f"{axis} mismatch could not be measured."
        if not self.flagged:
            return f"{axis} edges lie within {max(self.largest_mm, 1.0):.0f} mm."
        return (
            f"{axis} edges lie up to {self.largest_mm:.0f} mm off: echo-planar distortion, "
            "which a rigid transform cannot undo."
        )


def distortion_of(series: Series, moving: Volume, static: Volume, transform: Array) -> Distortion | None:
    """Measure the mismatch of an echo-planar series; None for other series.

    Parameters
    ----------
    series : Series
        Whose header says how it was acquired.
    moving, static : Volume
    transform : ndarray, shape (4, 4)
        Maps an LPS point of `moving` to where it lies in `static`.
    """
    header = _header(series)
    if series.role != "dwi" and "EP" not in str(header.get("ScanningSequence", "")):
        return None
    named = phase_direction(series)
    column = 2 if named == "ROW" else 1  # axis of the array along which phase is encoded
    axis = moving.affine[:3, column] / spacing_mm(moving.affine)[column]
    half = tuple(_HALF_MM if k == column else size for k, size in enumerate((20.0, 30.0, 30.0)))
    shifts = tuple(_best_shift(static, moving, transform, axis, static.centre_mm + at * axis, half) for at in _SLABS)
    letters = f"{direction_letter(-axis)}-{direction_letter(axis)}"
    return Distortion(letters, named is None, shifts)


def phase_direction(series: Series) -> str | None:
    """Return In-plane Phase Encoding Direction (0018,1312), ``ROW`` or ``COL``; None where the header has neither."""
    named = str(_header(series).get("InPlanePhaseEncodingDirection", "")).strip().upper()
    return named if named in ("ROW", "COL") else None


def _header(series: Series) -> pydicom.Dataset:
    """Read how the series was acquired; nothing where it was not read from files."""
    tags = ["ScanningSequence", "InPlanePhaseEncodingDirection"]
    if not series.paths:
        return pydicom.Dataset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(series.paths[0], stop_before_pixels=True, specific_tags=tags)
    except Exception:  # damaged since it was scanned: nothing is known of it
        return pydicom.Dataset()


def _best_shift(
    static: Volume, moving: Volume, transform: Array, axis: Array, centre: Array, half: tuple[float, ...]
) -> float | None:
    """Return the shift along an axis at which edges of a slab agree best, by a parabola through the maximum."""
    found = []
    for shift in _SHIFTS_MM:
        moved = transform.copy()
        moved[:3, 3] += shift * axis
        found.append(
            agreement.edge_overlap(
                static, moving, transform=moved, centre_mm=centre, half_size_mm=(half[0], half[1], half[2])
            )
        )
    values = np.array([np.nan if value is None else value for value in found])
    here = len(values) // 2
    if not np.isfinite(values).all() or values.max() < values[here] + _FEW_GAIN:
        return 0.0 if np.isfinite(values[here]) else None
    k = int(np.argmax(values))
    if k in (0, len(values) - 1):
        return float(_SHIFTS_MM[k])
    left, top, right = values[k - 1 : k + 2]
    return float(_SHIFTS_MM[k] + 0.5 * (left - right) / (left - 2 * top + right))
