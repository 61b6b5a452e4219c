"""Where array elements lie in the patient.

Conventions, everywhere in this package:

* Patient space is DICOM's: **LPS**, x towards the patient's left, y towards posterior, z towards
  superior, in millimetres (PS3.3 C.7.6.2.1.1).
* Arrays are indexed ``[z, y, x]``: slice, row, column. The affine is a 4 x 4 matrix that maps
  ``(z, y, x, 1)`` to LPS, so its columns are the steps of one slice, one row and one column, and the
  centre of element ``[0, 0, 0]``.
* Slices are sorted along the slice normal, the cross product of the row and the column direction, so
  that (x, y, z) steps form a right-handed system.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation.errors import GeometryError

Array = NDArray[np.float64]
Plane = Literal["axial", "coronal", "sagittal", "oblique", "mixed"]

UNIT_TOLERANCE = 1e-3
"""Largest deviation of a direction cosine's length from 1, and of two directions from a right angle.
Headers hold directions as decimal strings of at most 16 characters, often of 6."""

OBLIQUE_DEGREES = 35.0
"""Beyond this angle from every patient axis a plane has no simple name. Prostate series are tilted by
up to 30 degrees to follow the gland and are still read as axial, coronal and sagittal."""

_LETTERS = ("L", "R", "P", "A", "S", "I")


def plane_affine(position: ArrayLike, directions: ArrayLike, pixel_spacing: ArrayLike, step: ArrayLike) -> Array:
    """Return the affine of a stack of slices.

    PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1, with the slice step as the third direction.

    Parameters
    ----------
    position : array_like, shape (3,)
        Image Position (Patient) of the first slice: centre of its first element, LPS mm.
    directions : array_like, shape (6,)
        Image Orientation (Patient): direction in which the column index grows, then the row index.
    pixel_spacing : array_like, shape (2,)
        Pixel Spacing in mm: between rows, then between columns.
    step : array_like, shape (3,)
        From one slice to the next, LPS mm.

    Returns
    -------
    ndarray, shape (4, 4)
        Maps ``(z, y, x, 1)`` to LPS mm.

    Raises
    ------
    GeometryError
        If the directions are no unit vectors at a right angle or the grid has no extent.
    """
    row, column = unit_directions(directions)
    between_rows, between_columns = np.asarray(pixel_spacing, dtype=np.float64)
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(step, dtype=np.float64)
    affine[:3, 1] = column * between_rows
    affine[:3, 2] = row * between_columns
    affine[:3, 3] = np.asarray(position, dtype=np.float64)
    return check_affine(affine)


def unit_directions(directions: ArrayLike) -> tuple[Array, Array]:
    """Return the two in-plane directions, made exactly unit length.

    Parameters
    ----------
    directions : array_like, shape (6,)
        Image Orientation (Patient).

    Returns
    -------
    row, column : ndarray, shape (3,)
        Direction of growing column index, direction of growing row index.

    Raises
    ------
    GeometryError
        If they are no unit vectors at a right angle, within `UNIT_TOLERANCE`.
    """
    values = np.asarray(directions, dtype=np.float64)
    if values.shape != (6,):
        raise GeometryError(f"Image Orientation (Patient) has 6 values; got an array of shape {values.shape}.")
    row, column = values[:3], values[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1.0, atol=UNIT_TOLERANCE) or abs(row @ column) > UNIT_TOLERANCE:
        raise GeometryError(
            "Image Orientation (Patient) must be two unit vectors at a right angle; "
            f"got lengths {lengths[0]:.4f} and {lengths[1]:.4f} and a dot product of {row @ column:.4f}."
        )
    return row / lengths[0], column / lengths[1]


def check_affine(affine: ArrayLike) -> Array:
    """Return a float64 copy of an affine after checking that it is one.

    Raises
    ------
    GeometryError
        If it is not a finite, invertible 4 x 4 matrix with the last row 0, 0, 0, 1.
    """
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"An affine is a 4 x 4 matrix; got shape {matrix.shape}.")
    if not np.isfinite(matrix).all() or not np.array_equal(matrix[3], (0.0, 0.0, 0.0, 1.0)):
        raise GeometryError(f"An affine is finite and ends in the row 0, 0, 0, 1; got\n{matrix}")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise GeometryError(f"An affine has three independent steps; this one spans no volume:\n{matrix}")
    return matrix


def apply_affine(affine: Array, points: ArrayLike) -> Array:
    """Map points through an affine.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
    points : array_like, shape (..., 3)

    Returns
    -------
    ndarray, shape (..., 3)

    Raises
    ------
    GeometryError
        If the last axis of `points` is not 3 long.
    """
    coordinates = np.asarray(points, dtype=np.float64)
    if coordinates.ndim == 0 or coordinates.shape[-1] != 3:
        raise GeometryError(f"Points have 3 coordinates on their last axis; got shape {coordinates.shape}.")
    return np.asarray(coordinates @ affine[:3, :3].T + affine[:3, 3])


def inverse(affine: Array) -> Array:
    """Return the inverse of an affine, shape (4, 4)."""
    return np.asarray(np.linalg.inv(affine), dtype=np.float64)


def spacing_mm(affine: Array) -> tuple[float, float, float]:
    """Return the distances in mm between neighbours along (z, y, x), rounded to a nanometre."""
    z, y, x = np.linalg.norm(affine[:3, :3], axis=0).round(6)
    return float(z), float(y), float(x)


def plane_name(normal: ArrayLike) -> Plane:
    """Name the plane with this normal by the patient axis nearest to it.

    Parameters
    ----------
    normal : array_like, shape (3,)
        Slice normal in LPS; its sign does not matter.

    Returns
    -------
    str
        ``axial``, ``coronal``, ``sagittal``, or ``oblique`` beyond `OBLIQUE_DEGREES` from all of them.
    """
    names: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
    cosines = np.abs(np.asarray(normal, dtype=np.float64))
    cosines = cosines / np.linalg.norm(cosines)
    axis = int(np.argmax(cosines))
    return names[axis] if cosines[axis] >= np.cos(np.radians(OBLIQUE_DEGREES)) else "oblique"


def direction_letter(direction: ArrayLike) -> str:
    """Return the letter (L, R, P, A, S or I) of the patient direction nearest to a vector in LPS."""
    vector = np.asarray(direction, dtype=np.float64)
    axis = int(np.argmax(np.abs(vector)))
    return _LETTERS[2 * axis + int(vector[axis] < 0)]
