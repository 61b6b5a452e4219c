"""How much noise an image holds, estimated from the image alone.

Magnitude images follow the Rice distribution (Gudbjartsson and Patz, Magn Reson Med 1995;34:910): where there
is signal the noise is nearly Gaussian with the standard deviation sigma of the real and the imaginary channel,
in air it is Rayleigh distributed with a median of 1.18 sigma. With several coils and parallel imaging sigma
varies over the image, and interpolation and filters on the scanner lower what can be measured: figures compare
series of one protocol, and are no physical constants.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_SAMPLE = 200_000
"""Number of elements, evenly spread, that medians and histograms are taken from."""

RAYLEIGH_MEDIAN = math.sqrt(2 * math.log(2))
"""Median of the Rayleigh distribution for sigma = 1."""

LARGEST_VALUE = 1e15
"""Magnitudes beyond are no measurement; sums of squares of smaller ones fit in single precision."""

_GAUSSIAN_MAD = 0.674490  # median of the absolute value of a standard normal variable
_MASK_NORM = 6.0  # root of the sum of squares of Immerkaer's mask
_SMALLEST_SAMPLE = 64


def noise_level(array: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float | None:
    """Estimate sigma from the finest structure of each slice.

    The difference of two Laplacians (Immerkaer, Comput Vis Image Underst 1996;64:300) takes away constants,
    slopes and edges along the axes and leaves noise; the median absolute value instead of the mean keeps what
    structure is left from counting (as Coupe et al., Med Image Anal 2010;14:483, for wavelets).

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
    mask : ndarray of bool, shape (z, y, x), optional
        Where to look; without it wherever the value is not zero (scanners blank the background).

    Returns
    -------
    float or None
        In the unit of the array; None where fewer than 64 elements can be used or they hold no noise.
    """
    z, y, x = array.shape
    if y < 3 or x < 3:
        return None
    step = max(1, -(-z * y * x // (4 * LARGEST_SAMPLE)))
    first = _phase(z, step)
    values = measurable(array[first::step])
    where = np.isfinite(values) & (values != 0)
    if mask is not None:
        where &= mask[first::step]
    # An edge of what counts is no noise: the 3 x 3 elements that the mask touches all count, or none.
    where = where[:, :-2] & where[:, 1:-1] & where[:, 2:]
    where = where[:, :, :-2] & where[:, :, 1:-1] & where[:, :, 2:]
    with np.errstate(invalid="ignore"):
        rows = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
        both = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    found = sample(np.abs(both[where]))
    if found.size < _SMALLEST_SAMPLE:
        return None
    level = float(np.median(found)) / (_GAUSSIAN_MAD * _MASK_NORM)
    return level if level > 0 else None


def measurable(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return the values in single precision, NaN where they are not finite or beyond `LARGEST_VALUE`."""
    if array.dtype.kind in "bui":
        return array.astype(np.float32)
    if array.size == 0 or (array.min() >= -LARGEST_VALUE and array.max() <= LARGEST_VALUE):  # false for any NaN
        return np.asarray(array, dtype=np.float32)
    return np.where(np.abs(array) <= LARGEST_VALUE, array, np.nan).astype(np.float32)


def _phase(count: int, step: int) -> int:
    """Return where to begin so that every `step`-th of `count` slices lie symmetrically."""
    return ((count - 1) % step) // 2


def sample(values: NDArray[Any], largest: int = LARGEST_SAMPLE) -> NDArray[Any]:
    """Return at most `largest` of the values, evenly spread over the flattened array."""
    flat = values.reshape(-1)
    return flat[:: max(1, -(-flat.size // largest))]


def otsu(values: NDArray[Any], bins: int = 256) -> float | None:
    """Return the threshold that divides values best into two classes (Otsu, IEEE Trans SMC 1979;9:62).

    Parameters
    ----------
    values : ndarray
        Of any shape, all finite.
    bins : int
        Of the histogram between the smallest value and the 99.9th percentile.

    Returns
    -------
    float or None
        None where there are no two different values.
    """
    chosen = sample(values)
    if chosen.size < 2:
        return None
    low, high = float(chosen.min()), float(np.percentile(chosen, 99.9))
    if not high > low:
        return None
    counts, edges = np.histogram(np.minimum(chosen, high), bins=bins, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = float(counts.sum()) - below
    first = np.cumsum(counts * centres)[:-1]
    total = float((counts * centres).sum())
    apart = np.where(above > 0, first / np.maximum(below, 1) - (total - first) / np.maximum(above, 1), 0.0)
    between = below * above * apart**2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))  # empty bins between two peaks score alike
    return float(edges[1:-1][best].mean())
