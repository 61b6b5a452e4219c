"""Small steps of a pose, and how far a transform moves things."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from curation.geometry import Array, apply_affine


def step(parameters: ArrayLike, centre: ArrayLike) -> Array:
    """Return the transform of a small step.

    Parameters
    ----------
    parameters : array_like, shape (6,) or (12,)
        Translation in mm, then a rotation vector in rad (Rodrigues' formula) or, with 12, what is added to the nine
        elements of the linear part, row by row.
    centre : array_like, shape (3,)
        Point that only the translation moves, LPS mm.

    Returns
    -------
    ndarray, shape (4, 4)
    """
    values, point = np.asarray(parameters, dtype=np.float64), np.asarray(centre, dtype=np.float64)
    result = np.eye(4)
    result[:3, :3] = rotation(values[3:]) if values.size == 6 else np.eye(3) + values[3:].reshape(3, 3)
    result[:3, 3] = values[:3] + point - result[:3, :3] @ point
    return result


def rotation(vector: ArrayLike) -> Array:
    """Return the rotation matrix of a rotation vector in rad, shape (3,)."""
    values = np.asarray(vector, dtype=np.float64)
    angle = float(np.linalg.norm(values))
    cross = np.array([[0, -values[2], values[1]], [values[2], 0, -values[0]], [-values[1], values[0], 0]])
    if angle < 1e-12:
        return np.asarray(np.eye(3) + cross)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * cross @ cross)


def rotation_vector(matrix: ArrayLike) -> Array:
    """Return the rotation vector in rad of a rotation matrix; of a linear map, of its skew part. Shape (3,).

    At 180 degrees the axis is undetermined to its sign: half a turn about the axis that moves least is given.
    """
    r = np.asarray(matrix, dtype=np.float64)
    skew = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]) / 2
    sine = float(np.linalg.norm(skew))
    angle = float(np.arctan2(sine, (np.trace(r) - 1) / 2))
    if sine >= 1e-12:
        return np.asarray(skew * (angle / sine))
    if angle < np.pi / 2:
        return np.asarray(skew)
    axis = np.zeros(3)
    axis[int(np.argmax(np.diag(r)))] = np.pi
    return axis


def displacement_mm(transform: Array, points: ArrayLike) -> Array:
    """Return how far a transform moves points, mm; `points` (..., 3) LPS mm."""
    places = np.asarray(points, dtype=np.float64)
    return np.asarray(np.linalg.norm(apply_affine(transform, places) - places, axis=-1))
