"""The loops in which registration spends its time, compiled by numba.

Everything here works on what `curation.resampling.sample_with_gradient` saw of an image at sample points in LPS mm.
Loops go over blocks of samples, have no branch per sample and touch few arrays each: so the compiler can prove that
these do not overlap and uses the widest vectors of the processor (three times as fast as one loop that does all).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.resampling import BLOCK, kernel

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@kernel
def conditional_means(values: Float32, fraction: Float32, starts: Int64, means: Float64) -> None:
    """Estimate the value of the moving image given the static one, E[moving | static], at bin edges.

    Samples are sorted by static intensity. Within bin k a sample lies at `fraction` between edges k and k + 1 and
    counts for both, so that the estimate is piecewise linear.

    Parameters
    ----------
    values : ndarray, shape (5, n)
        From `curation.resampling.sample_with_gradient`.
    fraction : ndarray, shape (n,)
    starts : ndarray, shape (bins + 1,)
        Where the samples of each bin begin.
    means : ndarray, shape (bins + 1,)
        Set to the estimate at each edge.
    """
    bins = starts.size - 1
    sums, weights = np.zeros(bins + 1), np.full(bins + 1, 1e-6)
    for k in range(bins):
        low, high, low_weight, high_weight = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(starts[k], starts[k + 1]):
            right = fraction[i] * values[4, i]
            left = values[4, i] - right
            low += left * values[0, i]
            high += right * values[0, i]
            low_weight += left
            high_weight += right
        sums[k] += low
        sums[k + 1] += high
        weights[k] += low_weight
        weights[k + 1] += high_weight
    for k in range(bins + 1):
        means[k] = sums[k] / weights[k]


@kernel
def motion_derivatives(
    values: Float32, points: Float32, pose: Float64, gradient_map: Float64, centre: Float64, rows: Float32
) -> None:
    """Write the derivative of each sampled value by the parameters of a small step of the pose.

    Parameters
    ----------
    values : ndarray, shape (5, n)
        From `curation.resampling.sample_with_gradient`.
    points : ndarray, shape (3, n)
        LPS mm.
    pose : ndarray, shape (3, 4)
        Maps `points` into the space of the moving image, LPS mm.
    gradient_map : ndarray, shape (3, 3)
        Turns derivatives along (z, y, x) indices into derivatives along LPS mm.
    centre : ndarray, shape (3,)
        Point about which a step rotates (or stretches), LPS mm.
    rows : ndarray, shape (6 + ..., n) or (12 + ..., n)
        The first 6 are set to the derivatives by translation (mm) and rotation vector (rad). With 12 or more rows
        before the last two, the first 12 to those by translation and the nine elements of the linear part.
    """
    q, g, c = pose.astype(np.float32), gradient_map.astype(np.float32), centre.astype(np.float32)
    arm, slope = np.empty((3, BLOCK), np.float32), np.empty((3, BLOCK), np.float32)
    for start in range(0, points.shape[1], BLOCK):
        end = min(start + BLOCK, points.shape[1])
        size = end - start
        for j in range(3):
            first, second, third = points[0, start:end], points[1, start:end], points[2, start:end]
            along_z, along_y, along_x = values[1, start:end], values[2, start:end], values[3, start:end]
            row = rows[j, start:end]
            for i in range(size):
                arm[j, i] = q[j, 0] * first[i] + q[j, 1] * second[i] + q[j, 2] * third[i] + q[j, 3] - c[j]
                slope[j, i] = g[j, 0] * along_z[i] + g[j, 1] * along_y[i] + g[j, 2] * along_x[i]
                row[i] = slope[j, i]
        if rows.shape[0] >= 14:
            for j in range(9):
                row = rows[3 + j, start:end]
                for i in range(size):
                    row[i] = slope[j // 3, i] * arm[j % 3, i]
        else:
            for j in range(3):
                row, m, n = rows[3 + j, start:end], (j + 1) % 3, (j + 2) % 3
                for i in range(size):
                    row[i] = arm[m, i] * slope[n, i] - arm[n, i] * slope[m, i]


@kernel
def weigh_rows(
    values: Float32, fraction: Float32, starts: Int64, means: Float64, limit: float, rows: Float32
) -> tuple[float, float]:
    """Weigh derivatives and residuals by Tukey's biweight: rows become those of a least squares system.

    Parameters
    ----------
    values, fraction, starts, means
        As in `conditional_means`. The residual is the value minus the mean at the static intensity.
    limit : float
        Residuals beyond it count nothing.
    rows : ndarray, shape (parameters + 2, n)
        Derivatives, multiplied in place by the square root of the weight; the last two rows are set to the weighted
        residual and the square root of the weight.

    Returns
    -------
    total, count : float
        Sum of absolute residuals and number of samples inside the image.
    """
    last = rows.shape[0] - 1
    inverse = np.float32(1.0 / limit)
    total, count = 0.0, 0.0
    for k in range(starts.size - 1):
        first, end = starts[k], starts[k + 1]
        base, slope = np.float32(means[k]), np.float32(means[k + 1] - means[k])
        value, weight, part = values[0, first:end], values[4, first:end], fraction[first:end]
        weighted, root = rows[last - 1, first:end], rows[last, first:end]
        absolute, inside = np.float32(0), np.float32(0)
        for i in range(value.size):
            residual = value[i] - (base + slope * part[i])
            u = residual * inverse
            root[i] = max(np.float32(1) - u * u, np.float32(0)) * weight[i]
            weighted[i] = root[i] * residual
            absolute += weight[i] * abs(residual)
            inside += weight[i]
        total += float(absolute)
        count += float(inside)
    for j in range(last - 1):
        row, factor = rows[j], rows[last]
        for i in range(row.size):
            row[i] *= factor[i]
    return total, count


@kernel
def normal_equations(rows: Float32, system: Float64) -> None:
    """Add up the products of weighted derivatives and residuals.

    Parameters
    ----------
    rows : ndarray, shape (parameters + 2, n)
        From `weigh_rows`; the last row is not used.
    system : ndarray, shape (parameters + 1, parameters + 1)
        Set to the products of all derivatives and, last, the residual.
    """
    size = rows.shape[0] - 1
    system[:] = 0
    for start in range(0, rows.shape[1], BLOCK):
        end = min(start + BLOCK, rows.shape[1])
        for j in range(size):
            left = rows[j, start:end]
            for m in range(j + 1):
                right = rows[m, start:end]
                total = np.float32(0)
                for i in range(left.size):
                    total += left[i] * right[i]
                system[j, m] += total
    for j in range(size):
        for m in range(j):
            system[m, j] = system[j, m]
