"""An image at three resolutions in millimetres, made with as little work as a coarse look needs.

Levels are set in mm, not in voxels: prostate slices are three times as thick as pixels are wide, and smoothing by
voxels blurs 9 mm through the plane before anything is aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curation.geometry import Array, spacing_mm
from curation.resampling import kernel, read_only
from curation.volume import Volume

Float32 = NDArray[np.float32]

FINEST_MM: Final = 1.3
"""Images are first averaged, by whole numbers of pixels, to at least nearly this spacing."""
SIGMAS_MM: Final = (4.0, 2.5)
"""Smoothing of the coarse and of the middle level; the finest is not smoothed."""


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution: values [z, y, x] and the affine from (z, y, x, 1) indices to LPS mm."""

    image: Float32
    affine: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", read_only(self.image))


def pyramid(volume: Volume) -> tuple[Level, Level, Level]:
    """Return the coarse, the middle and the finest level of a volume.

    Values that are no numbers count as 0. The two coarse levels have half the pixels in either direction of the
    plane.
    """
    finest = shrink(clean(volume), FINEST_MM)
    if min(finest.image.shape[1:]) < 8:
        return finest, finest, finest  # too few pixels to do without any
    z, y, x = spacing_mm(finest.affine)
    halved = halve(finest.image)
    affine = finest.affine @ np.array([[1, 0, 0, 0], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]])
    # Halving itself smooths: [1 3 3 1] / 8 has a variance of 0.75 pixels squared.
    done_y, done_x = 0.75 * y**2, 0.75 * x**2
    coarse, middle = SIGMAS_MM[0] ** 2, SIGMAS_MM[1] ** 2
    mild = smooth(halved, middle / z**2, max(middle - done_y, 0) / (2 * y) ** 2, max(middle - done_x, 0) / (2 * x) ** 2)
    more = (coarse - middle) / z**2, (coarse - middle) / (2 * y) ** 2, (coarse - middle) / (2 * x) ** 2
    return Level(smooth(mild, *more), affine), Level(mild, affine), finest


def clean(volume: Volume) -> Level:
    """Return a contiguous float32 copy without NaN and infinity."""
    image = np.ascontiguousarray(volume.array, dtype=np.float32)
    if not _all_finite(image):
        image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    return Level(image, volume.affine)


def finite(volume: Volume) -> Volume:
    """Return a volume without NaN and infinity, which count as 0; itself where there are none."""
    values = np.asarray(volume.array)
    if values.dtype.kind != "f" or _all_finite(values):
        return volume
    return Volume(clean(volume).image, volume.affine, volume.frame_of_reference_uid)


def _all_finite(values: Float32) -> bool:
    """Return whether all values are numbers: a sum is quicker than a look at each."""
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.sum(dtype=np.float64)))


def crop(volume: Volume, centre_mm: Array, half_mm: Sequence[float]) -> Volume:
    """Return the part of a volume in a box along its axes; the whole where they do not meet.

    Parameters
    ----------
    volume : Volume
    centre_mm : ndarray, shape (3,)
        LPS.
    half_mm : sequence of float
        Half of the box's extent along (z, y, x).
    """
    centre = volume.to_index(centre_mm)
    reach = np.array(half_mm) / np.array(volume.spacing_mm)
    low = np.clip(np.floor(centre - reach), 0, None).astype(int)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, volume.shape)
    if (high - low < 2).any():
        return volume
    array = volume.array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(low)
    return Volume(array, affine, volume.frame_of_reference_uid)


def shrink(level: Level, target_mm: float) -> Level:
    """Average whole numbers of neighbours, so that no spacing is less than about half of the target."""
    factors = [max(1, int(target_mm / mm + 1e-3)) for mm in spacing_mm(level.affine)]
    factors = [min(f, max(n // 2, 1)) for f, n in zip(factors, level.image.shape, strict=True)]
    if max(factors) == 1:
        return level
    counts = [n // f for n, f in zip(level.image.shape, factors, strict=True)]
    kept = level.image[tuple(slice(n * f) for n, f in zip(counts, factors, strict=True))]
    blocks = kept.reshape(counts[0], factors[0], counts[1], factors[1], counts[2], factors[2])
    grid = np.diag([*map(float, factors), 1.0])
    grid[:3, 3] = [(f - 1) / 2 for f in factors]
    return Level(np.ascontiguousarray(blocks.mean((1, 3, 5), dtype=np.float32)), level.affine @ grid)


@kernel
def halve(image: Float32) -> Float32:
    """Halve the pixels of each slice in both directions with the filter [1 3 3 1] / 8.

    Parameters
    ----------
    image : ndarray, shape (z, y, x)

    Returns
    -------
    ndarray, shape (z, y // 2, x // 2)
        Element [z, j, i] lies at (z, 2 j + 0.5, 2 i + 0.5) of `image`.
    """
    depth, rows, columns = image.shape
    result = np.empty((depth, rows // 2, columns // 2), np.float32)
    line = np.empty(columns, np.float32)
    near, far = np.float32(0.375), np.float32(0.125)
    for k in range(depth):
        for j in range(rows // 2):
            above, first = image[k, max(2 * j - 1, 0)], image[k, 2 * j]
            second, below = image[k, 2 * j + 1], image[k, min(2 * j + 2, rows - 1)]
            for i in range(columns):
                line[i] = near * (first[i] + second[i]) + far * (above[i] + below[i])
            for i in range(columns // 2):
                left, right = line[max(2 * i - 1, 0)], line[min(2 * i + 2, columns - 1)]
                result[k, j, i] = near * (line[2 * i] + line[2 * i + 1]) + far * (left + right)
    return result


@kernel
def five_taps(variance: float) -> Float32:
    """Return the five weights of a filter with this variance in squared samples (approximately beyond 1)."""
    taps = np.zeros(5, np.float32)
    if variance <= 0.5:
        taps[1] = taps[3] = variance / 2
        taps[2] = 1 - variance
        return taps
    total = 0.0
    for i in range(5):
        taps[i] = np.exp(-((i - 2) ** 2) / (2 * variance))
        total += taps[i]
    for i in range(5):
        taps[i] /= np.float32(total)
    return taps


@kernel
def extend(line: Float32, padded: Float32) -> None:
    """Set ``padded`` (n + 4,) to ``line`` (n,) with the value at either end twice more.

    A loop: the assignment to a slice, with the message for shapes that differ, takes numba two seconds to compile.
    """
    for i in range(line.size):
        padded[i + 2] = line[i]
    padded[0] = padded[1] = line[0]
    padded[line.size + 2] = padded[line.size + 3] = line[line.size - 1]


@kernel
def smooth(image: Float32, variance_z: float, variance_y: float, variance_x: float) -> Float32:
    """Smooth along each axis with five weights; the edge value goes on beyond the edge.

    Parameters
    ----------
    image : ndarray, shape (z, y, x)
    variance_z, variance_y, variance_x : float
        In squared samples.

    Returns
    -------
    ndarray, shape (z, y, x)
    """
    depth, rows, columns = image.shape
    first, second = np.empty_like(image), np.empty_like(image)
    t = five_taps(variance_z)
    for k in range(depth):
        for j in range(rows):
            a, b = image[max(k - 2, 0), j], image[max(k - 1, 0), j]
            d, e = image[min(k + 1, depth - 1), j], image[min(k + 2, depth - 1), j]
            middle, line = image[k, j], first[k, j]
            for i in range(columns):
                line[i] = t[0] * (a[i] + e[i]) + t[1] * (b[i] + d[i]) + t[2] * middle[i]
    t = five_taps(variance_y)
    for k in range(depth):
        for j in range(rows):
            a, b = first[k, max(j - 2, 0)], first[k, max(j - 1, 0)]
            d, e = first[k, min(j + 1, rows - 1)], first[k, min(j + 2, rows - 1)]
            middle, line = first[k, j], second[k, j]
            for i in range(columns):
                line[i] = t[0] * (a[i] + e[i]) + t[1] * (b[i] + d[i]) + t[2] * middle[i]
    t = five_taps(variance_x)
    padded = np.empty(columns + 4, np.float32)
    for k in range(depth):
        for j in range(rows):
            line = first[k, j]
            extend(second[k, j], padded)
            for i in range(columns):
                ends, sides = padded[i] + padded[i + 4], padded[i + 1] + padded[i + 3]
                line[i] = t[0] * ends + t[1] * sides + t[2] * padded[i + 2]
    return first
