"""Points at which registration looks at the static image, sorted by what is seen there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curation import resampling
from curation.geometry import Array
from curation.registration.pyramid import Level

_SPREAD: Final = 1 / 1.2207440846057596 ** np.arange(1, 4)
"""Additive recurrence that fills a cube evenly: Roberts' generalised golden ratio, the root of x^4 = x + 1.
The result scatters half as much as with points drawn at random."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of one level, sorted by the bin of their static value.

    Parameters
    ----------
    points : ndarray, shape (3, n)
        LPS mm.
    fraction : ndarray, shape (n,)
        Where in its bin the static value lies, 0 to 1.
    starts : ndarray, shape (bins + 1,)
        Where the samples of each bin begin.
    """

    points: NDArray[np.float32]
    fraction: NDArray[np.float32]
    starts: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.points.shape[1])


def spread_indices(shape: tuple[int, ...], count: int) -> Array:
    """Return evenly spread (z, y, x) indices, which are fractions, in a grid; shape (count, 3)."""
    return np.asarray(_spread(count) * (np.array(shape)[:, np.newaxis] - 1.0)).T


@lru_cache(maxsize=8)
def _spread(count: int) -> Array:
    """Return points in the unit cube, shape (3, count): one coordinate after the other, as the kernels read them."""
    result = (0.5 + np.arange(1, count + 1) * _SPREAD[:, np.newaxis]) % 1.0
    result.flags.writeable = False
    return np.asarray(result)


def sample(level: Level, indices: Array, bins: int) -> Samples:
    """Look at an image and sort the points by value.

    Parameters
    ----------
    level : Level
    indices : ndarray, shape (n, 3)
        (z, y, x), inside the image.
    bins : int
        At most 255, between the 0.5 and the 99.7 percentile of the image.
    """
    low, high = value_range(level.image)
    scale = np.float32(bins / max(high - low, 1e-6))
    scaled = np.clip((values_at(level, indices) - np.float32(low)) * scale, 0, np.float32(bins - 1e-4))
    numbers = scaled.astype(np.uint8)  # sorted by counting: ten times as fast as comparing
    order = np.argsort(numbers, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=bins))]).astype(np.int64)
    z, y, x = indices.T[:, order].astype(np.float32)
    points = np.empty((3, len(order)), np.float32)
    for row, (a, b, c, d) in zip(points, level.affine[:3].astype(np.float32), strict=True):
        row[:] = a * z + b * y + c * x + d  # a matrix product would start threads for it
    return Samples(points, (scaled - numbers)[order], starts)


def values_at(level: Level, indices: Array) -> NDArray[np.float32]:
    """Interpolate an image at (z, y, x) indices, shape (n, 3); 0 outside."""
    out = np.empty((5, len(indices)), np.float32)
    points = np.ascontiguousarray(indices.T, dtype=np.float32)
    resampling.sample_with_gradient(level.image, np.eye(4)[:3], points, out)
    return np.asarray(out[0] * out[4])


def value_range(image: NDArray[np.float32]) -> tuple[float, float]:
    """Return the 0.5 and the 99.7 percentile, from a part of a large image: single bright voxels do not count."""
    values = image[:, ::2, ::3].ravel() if image.size > 60_000 else image.ravel()
    low, high = values.size // 200, values.size - 1 - values.size // 333
    ordered = np.partition(values, [low, high])
    return float(ordered[low]), float(ordered[high])
