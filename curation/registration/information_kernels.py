"""Compiled loops of mutual information: the joint histogram and what each sample adds to its derivative.

Mutual information with a cubic B-spline window over the moving values (Thevenaz and Unser, IEEE Trans Image Process
2000;9:2083; Mattes et al., IEEE Trans Med Imaging 2003;22:120). Samples are sorted by the bin of their static value,
so that each row of the histogram is filled at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.resampling import kernel

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@kernel
def joint_histogram(values: Float32, starts: Int64, low: float, step: float, histogram: Float64) -> float:
    """Fill the joint histogram of static bins and moving values.

    Parameters
    ----------
    values : ndarray, shape (5, n)
        From `curation.resampling.sample_with_gradient`.
    starts : ndarray, shape (bins + 1,)
        Where the samples of each static bin begin.
    low, step : float
        Moving value at the centre of bin 2, and the width of a bin: two bins at either end take up the window.
    histogram : ndarray, shape (static bins, moving bins)
        Set to the share of the samples in each bin; its sum is 1.

    Returns
    -------
    float
        Number of samples inside the moving image.
    """
    moving_bins = histogram.shape[1]
    top = np.float32(moving_bins - 3) - np.float32(1e-3)
    inverse, offset = np.float32(1.0 / step), np.float32(low)
    sixth, total = np.float32(1.0 / 6.0), 0.0
    histogram[:] = 0
    row = np.empty(moving_bins, np.float32)
    for s in range(starts.size - 1):
        row[:] = 0
        for i in range(starts[s], starts[s + 1]):
            w = values[4, i] * sixth
            u = min(max((values[0, i] - offset) * inverse + np.float32(2), np.float32(2)), top)
            k = np.uint32(u)
            f = u - np.float32(k)
            g = np.float32(1) - f
            f3, g3 = f * f * f, g * g * g
            row[k - np.uint32(1)] += w * g3
            row[k] += w * (np.float32(4) - np.float32(6) * f * f + np.float32(3) * f3)
            row[k + np.uint32(1)] += w * (np.float32(4) - np.float32(6) * g * g + np.float32(3) * g3)
            row[k + np.uint32(2)] += w * f3
        for m in range(moving_bins):
            histogram[s, m] = row[m]
            total += row[m]
    if total > 0:
        histogram /= total
    return total


@kernel
def information(histogram: Float64, logarithms: Float32) -> float:
    """Return the mutual information of a joint histogram in nats.

    `logarithms`, of the same shape, is set to log(p(s, m) / p(m)): the part of the derivative that differs between
    moving bins.
    """
    static_bins, moving_bins = histogram.shape
    moving = np.zeros(moving_bins)
    for s in range(static_bins):
        for m in range(moving_bins):
            moving[m] += histogram[s, m]
    result = 0.0
    for s in range(static_bins):
        share = histogram[s].sum()
        for m in range(moving_bins):
            p = histogram[s, m]
            logarithms[s, m] = 0
            if p > 1e-12:
                ratio = p / moving[m]
                logarithms[s, m] = np.log(ratio)
                result += p * np.log(ratio / share)
    return result


@kernel
def information_slopes(
    values: Float32, starts: Int64, low: float, step: float, logarithms: Float32, slopes: Float32
) -> None:
    """Set ``slopes`` (n,) to the derivative of the mutual information by each sample's value, times the samples' count.

    Arguments as in `joint_histogram` and `information`. Values outside the histogram's range have no derivative.
    """
    inverse, offset = np.float32(1.0 / step), np.float32(low)
    bottom, top = np.float32(2), np.float32(logarithms.shape[1] - 3) - np.float32(1e-3)
    half = np.float32(0.5)
    for s in range(starts.size - 1):
        row = logarithms[s]
        for i in range(starts[s], starts[s + 1]):
            u = (values[0, i] - offset) * inverse + bottom
            inside = (u >= bottom) & (u <= top)
            u = min(max(u, bottom), top)
            k = np.uint32(u)
            f = u - np.float32(k)
            g = np.float32(1) - f
            outer = half * (f * f * row[k + np.uint32(2)] - g * g * row[k - np.uint32(1)])
            left = (np.float32(1.5) * f * f - np.float32(2) * f) * row[k]
            right = (np.float32(2) * g - np.float32(1.5) * g * g) * row[k + np.uint32(1)]
            slopes[i] = (outer + left + right) * inverse * values[4, i] if inside else np.float32(0)


@kernel
def project(rows: Float32, slopes: Float32, gradient: Float64) -> None:
    """Set ``gradient`` (parameters,) to the products of the derivatives in ``rows`` with ``slopes`` (n,)."""
    for j in range(gradient.size):
        row = rows[j]
        total = np.float32(0)
        for i in range(slopes.size):
            total += row[i] * slopes[i]
        gradient[j] = total
