"""The loops in which registration spends its time, compiled by numba.

Everything here works on float32 images ``[z, y, x]`` stored contiguously and on sample points in LPS mm. Loops go
over blocks of samples, have no branch per sample and touch few arrays each: so the compiler can prove that these do
not overlap and uses the widest vectors of the processor (three times as fast as one loop that does all). Samples
that leave the image get weight 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curation.resampling import BLOCK, OPTIONS, gather

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@njit(**OPTIONS)
def locate(
    matrix: Float32, points: Float32, block: tuple[int, int], shape: tuple[int, int, int], corner: Any, parts: Float32
) -> None:
    """Find the voxel in which each point of a block lies.

    Parameters
    ----------
    matrix : ndarray, shape (3, 4)
        Maps a point to (z, y, x) indices.
    points : ndarray, shape (3, n)
    block : tuple of int
        First point and the one after the last.
    shape : tuple of int
        Of the image, (z, y, x).
    corner : ndarray of int32, shape (BLOCK,)
        Set to the flat index of the lower corner; 0 outside the image.
    parts : ndarray, shape (4, BLOCK)
        Set to the fractions along z, y, x and 1 inside the image, 0 outside.
    """
    depth, rows, columns = shape
    top_z, top_y, top_x = np.float32(depth - 1), np.float32(rows - 1), np.float32(columns - 1)
    start, end = block
    first, second, third = points[0, start:end], points[1, start:end], points[2, start:end]
    part_z, part_y, part_x, weight = parts[0], parts[1], parts[2], parts[3]
    for i in range(first.size):
        p, q, r = first[i], second[i], third[i]
        z = matrix[0, 0] * p + matrix[0, 1] * q + matrix[0, 2] * r + matrix[0, 3]
        y = matrix[1, 0] * p + matrix[1, 1] * q + matrix[1, 2] * r + matrix[1, 3]
        x = matrix[2, 0] * p + matrix[2, 1] * q + matrix[2, 2] * r + matrix[2, 3]
        inside = (z >= 0) & (y >= 0) & (x >= 0) & (z < top_z) & (y < top_y) & (x < top_x)
        z = z if inside else np.float32(0)
        y = y if inside else np.float32(0)
        x = x if inside else np.float32(0)
        k, j, m = np.int32(z), np.int32(y), np.int32(x)
        part_z[i], part_y[i], part_x[i] = z - np.float32(k), y - np.float32(j), x - np.float32(m)
        corner[i] = (k * rows + j) * columns + m
        weight[i] = np.float32(1) if inside else np.float32(0)


@njit(**OPTIONS)
def sample_with_gradient(image: Float32, matrix: Float64, points: Float32, out: Float32) -> None:
    """Interpolate an image and its exact trilinear gradient at mapped points.

    Parameters
    ----------
    image : ndarray, shape (z, y, x)
    matrix : ndarray, shape (3, 4)
        Maps a point of `points` to (z, y, x) indices.
    points : ndarray, shape (3, n)
        LPS mm.
    out : ndarray, shape (5, n)
        Set to value, derivative along z, y and x index, and weight: 1 inside the image, else 0. An image of a
        single slice, row or column has no inside.
    """
    if min(image.shape) < 2:  # there is nothing between slices to interpolate: no point is inside
        out[:] = 0
        return
    single, flat = matrix.astype(np.float32), image.ravel()
    columns, plane = image.shape[2], image.shape[1] * image.shape[2]
    corner, parts = np.empty(BLOCK, np.int32), np.empty((4, BLOCK), np.float32)
    corners = np.empty((8, BLOCK), np.float32)
    for start in range(0, points.shape[1], BLOCK):
        end = min(start + BLOCK, points.shape[1])
        size = end - start
        locate(single, points, (start, end), image.shape, corner, parts)
        gather(flat, corner, size, columns, plane, corners)
        value, along_z = out[0, start:end], out[1, start:end]
        along_y, along_x, weight = out[2, start:end], out[3, start:end], out[4, start:end]
        for i in range(size):
            z, y, x = parts[0, i], parts[1, i], parts[2, i]
            a, b, c, d = corners[0, i], corners[1, i], corners[2, i], corners[3, i]
            e, f, g, h = corners[4, i], corners[5, i], corners[6, i], corners[7, i]
            v00, v01, v10, v11 = a + x * (b - a), c + x * (d - c), e + x * (f - e), g + x * (h - g)
            v0, v1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
            low, high = (b - a) + y * ((d - c) - (b - a)), (f - e) + y * ((h - g) - (f - e))
            value[i] = v0 + z * (v1 - v0)
            along_z[i] = v1 - v0
            along_y[i] = (v01 - v00) + z * ((v11 - v10) - (v01 - v00))
            along_x[i] = low + z * (high - low)
            weight[i] = parts[3, i]


@njit(**OPTIONS)
def conditional_means(values: Float32, fraction: Float32, starts: Int64, means: Float64) -> None:
    """Estimate the value of the moving image given the static one, E[moving | static], at bin edges.

    Samples are sorted by static intensity. Within bin k a sample lies at `fraction` between edges k and k + 1 and
    counts for both, so that the estimate is piecewise linear.

    Parameters
    ----------
    values : ndarray, shape (5, n)
        From `sample_with_gradient`.
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


@njit(**OPTIONS)
def motion_derivatives(
    values: Float32, points: Float32, pose: Float64, gradient_map: Float64, centre: Float64, rows: Float32
) -> None:
    """Write the derivative of each sampled value by the parameters of a small step of the pose.

    Parameters
    ----------
    values : ndarray, shape (5, n)
        From `sample_with_gradient`.
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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
