"""From an affine to the attributes of the Image Plane module (PS3.3 C.7.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from curation.errors import DerivedError
from curation.geometry import UNIT_TOLERANCE, Array

SHEAR_TOLERANCE_MM = 0.1
"""How far a slice may lie beside the normal through its neighbour: what a reader of series accepts."""

_DIGITS = 12  # beyond the nanometre: what is left of rounding errors of the arithmetic


def decimals(values: Sequence[float] | Array) -> list[str]:
    """Return numbers as decimal strings of at most 16 characters (PS3.5 6.2); no negative zero."""
    return [format_number_as_ds(round(float(value), _DIGITS) + 0.0) for value in values]


def plane_attributes(affine: Array, thickness_mm: float | None) -> Dataset:
    """Return what all slices of a volume share.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Maps (z, y, x, 1) to LPS mm; may be left-handed: the slices are then written against their normal.
    thickness_mm : float or None
        Slice Thickness; the distance between slices where None.

    Returns
    -------
    Dataset

    Raises
    ------
    DerivedError
        If rows and columns are not at a right angle, or the slices are sheared: neither can be written.
    """
    step, rows, columns = affine[:3, 0], affine[:3, 1], affine[:3, 2]
    spacing = float(np.linalg.norm(rows)), float(np.linalg.norm(columns))
    across, down = columns / spacing[1], rows / spacing[0]
    cosine = abs(float(across @ down))
    if cosine > UNIT_TOLERANCE:
        raise DerivedError(f"DICOM slices have rows and columns at a right angle; here their cosine is {cosine:.4f}.")
    normal = _normal(affine)
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    if sideways > SHEAR_TOLERANCE_MM:
        raise DerivedError(
            f"The slices of the volume are sheared by {sideways:.2f} mm per slice; at most {SHEAR_TOLERANCE_MM} mm "
            "can be written. Resample it to a grid whose slices lie along their normal."
        )
    plane = Dataset()
    plane.ImageOrientationPatient = decimals(np.concatenate([across, down]))
    plane.PixelSpacing = decimals(spacing)
    plane.SpacingBetweenSlices = decimals([abs(float(step @ normal))])[0]
    plane.SliceThickness = decimals([thickness_mm])[0] if thickness_mm else plane.SpacingBetweenSlices
    return plane


def slice_positions(affine: Array, slices: int) -> Array:
    """Return the centre of the first element of each slice in LPS mm, shape (slices, 3)."""
    return np.asarray(affine[:3, 3] + np.arange(slices)[:, None] * affine[:3, 0], dtype=np.float64)


def slice_locations(affine: Array, slices: int) -> Array:
    """Return the position of each slice along the normal in mm, shape (slices,)."""
    return np.asarray(slice_positions(affine, slices) @ _normal(affine), dtype=np.float64)


def _normal(affine: Array) -> Array:
    """Return the unit normal: row direction times column direction."""
    normal = np.cross(affine[:3, 2], affine[:3, 1])
    return np.asarray(normal / np.linalg.norm(normal), dtype=np.float64)
