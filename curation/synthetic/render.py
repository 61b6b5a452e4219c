"""From solids to images: sampling on a grid, coil sensitivity, noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from curation.geometry import Array
from curation.synthetic import tissues
from curation.synthetic.anatomy import Painted
from curation.synthetic.patients import Patient
from curation.synthetic.shapes import Box, Field, Points, Shape

Image = NDArray[np.float32]

_BEND_MM = (1.5, 0.8)
_BEND_LENGTH_MM = (55.0, 24.0)
_BEND = sum(_BEND_MM)  # the farthest that a point is displaced along one axis

_LATTICE = 72
_LATTICE_MM = 1.3  # the texture repeats every 94 mm, farther apart than one gland


def to_anatomy(affine: Array, moved: Array, centre: Array) -> Array:
    """Return the map from (z, y, x, 1) indices to anatomical axes.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Maps indices to LPS mm.
    moved : ndarray, shape (4, 4)
        Maps an LPS point seen in this volume to where it lies in the reference volume.
    centre : ndarray, shape (3,)
        The anatomical origin in LPS mm.
    """
    shift = np.eye(4)
    shift[:3, 3] = -centre
    return np.asarray(shift @ moved @ affine)


def points_of(grid: Array, shape: tuple[int, int, int], patient: Patient) -> Points:
    """Return x, y, z in anatomical axes of every element, bent a little so that nothing is a perfect solid.

    The bend is a sum of plane waves of 1 to 2 mm that belongs to the patient and moves with the anatomy.
    """
    z, y, x = np.ix_(*(np.arange(count, dtype=np.float32) for count in shape))
    rows = grid.astype(np.float32)[:3]
    straight = [row[0] * z + row[1] * y + row[2] * x + row[3] for row in rows]
    rng = patient.random(4)
    bent = []
    for point in straight:
        offset = np.zeros(shape, dtype=np.float32)
        for amplitude, length in zip(_BEND_MM, _BEND_LENGTH_MM, strict=True):
            direction = rng.normal(size=3)
            wave = (2 * np.pi / length * direction / np.linalg.norm(direction)).astype(np.float32)
            phase = sum(w * p for w, p in zip(wave, straight, strict=True))
            offset += np.float32(amplitude) * np.sin(phase + np.float32(rng.uniform(0, 2 * np.pi)))
        bent.append(point + offset)
    return bent[0], bent[1], bent[2]


def paint(grid: Array, points: Points, parts: Sequence[Painted], signals: tissues.Signals, pixel_mm: float) -> Image:
    """Sample the anatomy.

    The border of a solid is `pixel_mm` wide (plus its blur), so that voxels that it crosses hold a mixture of
    signals, as partial volume does.

    Parameters
    ----------
    grid : ndarray, shape (4, 4)
        From `to_anatomy`.
    points : tuple of ndarray, each of shape (z, y, x)
        From `points_of`.
    parts : sequence of Painted
        Later ones cover earlier ones.
    signals : ndarray, shape (tissues, contrasts)
    pixel_mm : float

    Returns
    -------
    ndarray of float32, shape (contrasts, z, y, x)
    """
    strength = tissues.texture()
    shape = _shape(points)
    pattern = _texture(points)
    image = np.zeros((signals.shape[1], *shape), dtype=np.float32)
    for part in parts:
        box = _index_box(grid, shape, part.shape.box(), pixel_mm + part.blur_mm)
        if box is None:
            continue
        cover = 0.5 - part.shape.distance(_within(points, box)) / np.float32(pixel_mm + part.blur_mm)
        np.clip(cover, 0, 1, out=cover)
        local = 1 + strength[part.tissue] * pattern[box]
        for contrast, signal in zip(image, signals[part.tissue], strict=True):
            contrast[box] += cover * (signal * local - contrast[box])
    return image


def mask_of(grid: Array, points: Points, solid: Shape) -> NDArray[np.bool_]:
    """Return which elements of a grid have their centre inside a solid, shape (z, y, x)."""
    shape = _shape(points)
    mask = np.zeros(shape, dtype=np.bool_)
    box = _index_box(grid, shape, solid.box(), 0.0)
    if box is not None:
        mask[box] = solid.distance(_within(points, box)) < 0
    return mask


def coil(affine: Array, shape: tuple[int, int, int], centre: Array, rng: np.random.Generator) -> Image:
    """Return a smooth receive sensitivity: surface coils in front and behind, slightly uneven; (z, y, x)."""
    indices = np.ix_(*(np.arange(count, dtype=np.float32) for count in shape))
    rows = affine.astype(np.float32)[:3]
    places = (sum(r * i for r, i in zip(row, indices, strict=False)) + row[3] for row in rows)
    x, y, z = (place - np.float32(c) for place, c in zip(places, centre, strict=True))
    tilt = rng.uniform(-0.0015, 0.0015, size=3).astype(np.float32)
    bowl = np.float32(2.2e-5) * y * y + np.float32(0.6e-5) * x * x - np.float32(1.5e-5) * z * z
    return np.asarray(np.exp(bowl + tilt[0] * x + tilt[1] * y + tilt[2] * z), dtype=np.float32)


def rician(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Add noise as magnitude images have it: |S + n1 + i n2| with Gaussian n1, n2 (Gudbjartsson 1995)."""
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def _shape(points: Points) -> tuple[int, int, int]:
    z, y, x = points[0].shape
    return z, y, x


def _within(points: Points, box: tuple[slice, slice, slice]) -> Points:
    x, y, z = points
    return x[box], y[box], z[box]


def _index_box(grid: Array, shape: tuple[int, int, int], box: Box, margin: float) -> tuple[slice, slice, slice] | None:
    """Return the part of a grid that a box (anatomical axes, mm) can touch, None where it touches none."""
    low, high = np.array(box[0]) - margin - _BEND, np.array(box[1]) + margin + _BEND
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1)
    indices = np.linalg.inv(grid) @ np.vstack([corners, np.ones(8)])
    start = np.clip(np.floor(indices[:3].min(axis=1)), 0, shape).astype(int)
    stop = np.clip(np.ceil(indices[:3].max(axis=1)) + 1, 0, shape).astype(int)
    if (stop <= start).any():
        return None
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return z, y, x


@lru_cache(maxsize=1)
def _lattice() -> Field:
    """Return the pattern that all tissues share, with unit variance: coarse, middle and fine structure."""
    white = np.random.default_rng(20_260_101).standard_normal((_LATTICE,) * 3).astype(np.float32)
    scales = [gaussian_filter(white, sigma, mode="wrap") for sigma in (0.7, 1.6, 4.0)]
    mixed = sum(scale / scale.std() for scale in scales)
    return np.asarray(mixed / np.std(mixed), dtype=np.float32)


def _texture(points: Points) -> Field:
    coordinates = np.stack(points) / np.float32(_LATTICE_MM)
    return np.asarray(map_coordinates(_lattice(), coordinates, order=1, mode="grid-wrap"), dtype=np.float32)
