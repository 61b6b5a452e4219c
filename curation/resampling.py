"""The one place where an image is interpolated: onto another grid, and with its gradient at points.

Trilinear, float32, and once: whoever has several transforms multiplies them first. Linear interpolation never leaves
the range of the values, which noise near 0 and quantitative maps need; splines ring at the edges of bone and gas.

All that is compiled together stands in this module: numba looks at one file to see whether its compiled code is stale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curation.errors import GeometryError
from curation.geometry import Array, inverse

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

BLOCK: Final = 512
"""Samples that are worked on at once: their temporary arrays stay in the first cache."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Have a function compiled by numba when it is called.

    Kernels release the interpreter, so that threads run them side by side, and may reorder sums, which the processor's
    vectors need. Compiled code is kept on disk between processes, where there is a place that can be written.
    """
    options: dict[str, Any] = {"fastmath": True, "nogil": True, "error_model": "numpy"}
    try:
        compiled: _Function = njit(function, cache=True, **options)
    except RuntimeError:  # numba found no place
        compiled = njit(function, **options)
    return compiled


_LARGEST: Final = 2**31 - 1  # elements are numbered with 32 bits
_SAME = 1e-6
"""Grids whose indices differ by less are one grid."""


def resample(array: NDArray[Any], affine: Array, grid: Array, shape: tuple[int, int, int]) -> Float32:
    """Interpolate an array on another grid.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        Values; anything that converts to float32 and is finite.
    affine : ndarray, shape (4, 4)
        Maps (z, y, x, 1) indices of `array` to mm, in the space of the grid: include a transform by multiplying it
        on the left.
    grid : ndarray, shape (4, 4)
        Maps (z, y, x, 1) indices of the result to mm.
    shape : tuple of int
        Of the result, (z, y, x).

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        0 beyond the outer voxels. Up to half a voxel outside their centres, the extent of a voxel, the outermost
        value holds. A new array, unless the grids are the same and `array` is float32 already.

    Raises
    ------
    GeometryError
        If the grids lie too far apart to be compared, or the array is too large.
    """
    values = np.ascontiguousarray(array, dtype=np.float32)
    matrix = inverse(affine) @ grid
    if not np.isfinite(matrix).all():
        raise GeometryError("The grids lie too far apart to be compared; check their positions.")
    if values.size > _LARGEST:
        raise GeometryError(f"An image of {values.size} elements is too large to be interpolated ({_LARGEST}).")
    reach = np.abs(matrix - np.eye(4)) @ np.array([*shape, 1.0])
    if values.shape == tuple(shape) and reach.max() < _SAME:
        return values
    for axis in range(3):
        if values.shape[axis] == 1:  # a single slice holds over its thickness
            values = np.repeat(values, 2, axis=axis)
            matrix[axis] *= 2
            matrix[axis, 3] += 0.5
    out = np.empty(shape, dtype=np.float32)
    _fill(read_only(np.ascontiguousarray(values)), matrix[:3].copy(), out)
    return out


def read_only(image: Float32) -> Float32:
    """Return a view that cannot be written: kernels are compiled for each kind of array that they are given."""
    view = image.view()
    view.flags.writeable = False
    return view


@kernel
def _gather(flat: Float32, corner: Any, size: int, columns: int, plane: int, corners: Float32) -> None:
    """Fetch the eight values around each point.

    Parameters
    ----------
    flat : ndarray, shape (n,)
        The image.
    corner : ndarray of int32, shape (BLOCK,)
        Flat index of the lower corner of each point's voxel.
    size : int
        How many points there are.
    columns, plane : int
        Elements per row and per slice.
    corners : ndarray, shape (8, BLOCK)
        Set to the values, x fastest.
    """
    right, below, behind = np.uint64(1), np.uint64(columns), np.uint64(plane)
    for i in range(size):
        at = np.uint64(corner[i])  # unsigned: no test for indices from the end
        corners[0, i], corners[1, i] = flat[at], flat[at + right]
        corners[2, i], corners[3, i] = flat[at + below], flat[at + below + right]
        far = at + behind
        corners[4, i], corners[5, i] = flat[far], flat[far + right]
        corners[6, i], corners[7, i] = flat[far + below], flat[far + below + right]


@kernel
def _locate_on_line(start: Float32, along: Float32, top: Float32, shape: Any, parts: Float32, corner: Any) -> None:
    """Find the voxels of equally spaced points on a line; `parts` becomes fractions and 1 inside, 0 outside."""
    part_z, part_y, part_x, weight = parts[0], parts[1], parts[2], parts[3]
    half, one, zero = np.float32(0.5), np.float32(1), np.float32(0)
    for i in range(corner.size):
        n = np.float32(i)
        z, y, x = start[0] + n * along[0], start[1] + n * along[1], start[2] + n * along[2]
        inside = (z >= -half) & (y >= -half) & (x >= -half)
        inside = inside & (z <= top[0] + half) & (y <= top[1] + half) & (x <= top[2] + half)
        z, y, x = min(max(z, zero), top[0]), min(max(y, zero), top[1]), min(max(x, zero), top[2])
        k = np.int32(min(z, top[0] - one))
        j = np.int32(min(y, top[1] - one))
        m = np.int32(min(x, top[2] - one))
        part_z[i], part_y[i], part_x[i] = z - np.float32(k), y - np.float32(j), x - np.float32(m)
        corner[i] = (k * shape[1] + j) * shape[2] + m
        weight[i] = one if inside else zero


@kernel
def _fill(image: Float32, matrix: NDArray[np.float64], out: Float32) -> None:
    """Interpolate an image at every element of a grid; `matrix` (3, 4) maps grid indices to image indices."""
    flat, along = image.ravel(), matrix[:, 2].astype(np.float32)
    top = np.array([image.shape[0] - 1, image.shape[1] - 1, image.shape[2] - 1], np.float32)
    corner, parts = np.empty(BLOCK, np.int32), np.empty((4, BLOCK), np.float32)
    corners, start = np.empty((8, BLOCK), np.float32), np.empty(3, np.float32)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for first in range(0, out.shape[2], BLOCK):
                line = out[k, j, first : min(first + BLOCK, out.shape[2])]
                for axis in range(3):
                    m = matrix[axis]
                    start[axis] = m[0] * k + m[1] * j + m[2] * first + m[3]
                _locate_on_line(start, along, top, image.shape, parts, corner[: line.size])
                _gather(flat, corner, line.size, image.shape[2], image.shape[1] * image.shape[2], corners)
                for i in range(line.size):
                    z, y, x, weight = parts[0, i], parts[1, i], parts[2, i], parts[3, i]
                    a, b, c, d = corners[0, i], corners[1, i], corners[2, i], corners[3, i]
                    e, f, g, h = corners[4, i], corners[5, i], corners[6, i], corners[7, i]
                    v00, v01, v10, v11 = a + x * (b - a), c + x * (d - c), e + x * (f - e), g + x * (h - g)
                    v0, v1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
                    line[i] = v0 + z * (v1 - v0) if weight > 0 else np.float32(0)


@kernel
def _locate(
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


@kernel
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
        _locate(single, points, (start, end), image.shape, corner, parts)
        _gather(flat, corner, size, columns, plane, corners)
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
