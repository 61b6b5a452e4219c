"""Siemens mosaics: the slices of one volume as tiles of one image, taken apart.

Tiles fill a square of n x n from the upper left, row by row; n is the least that holds all slices. Image Position
(Patient) is where the first slice would lie if it were as large as the mosaic and had the same centre, so the
first slice begins ``row * columns_mm * (C - c) / 2 + column * rows_mm * (R - r) / 2`` further (R x C the mosaic,
r x c a tile), and the others follow along the slice normal.

With the CSA header the number of slices and their direction are known. Without it (de-identification removes
it) the size of a tile follows from the number of frequency encoding steps, the number of slices from the blank
tiles at the end, and the direction is taken to be the slice normal; a problem says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curation import geometry
from curation.errors import GeometryError, PixelDataError
from curation.problems import Problem
from curation.reading.headers import SliceHeader
from curation.reading.limits import LIMITS
from curation.reading.stacking import FAR_MM, placed

ReadFrame = Callable[[SliceHeader], NDArray[np.generic]]
_PARALLEL = 0.999  # cosine between the stated normal and that of the image


class _Unclear(Exception):  # noqa: N818  carries the reason to the one place that reports it
    pass


def unfold(headers: Sequence[SliceHeader], read: ReadFrame) -> tuple[list[SliceHeader], tuple[Problem, ...]]:
    """Replace mosaics by their slices.

    Parameters
    ----------
    headers : sequence of SliceHeader
        Images of one series.
    read : callable
        Gives the stored values of an image, shape (rows, columns); called where blank tiles must be counted.

    Returns
    -------
    headers : list of SliceHeader
        Images that are no mosaics as they are. Unchanged where a problem blocks.
    problems : tuple of Problem
        What was assumed; a blocking one where the mosaics cannot be taken apart.
    """
    mosaics = [h for h in headers if h.tiling is not None and h.has_pixels]
    if not mosaics:
        return list(headers), ()
    paths = tuple(h.path for h in mosaics)
    try:
        _check_whole(mosaics)
        grid, count, counted = _grid(mosaics, read)
        slices = [tile for h in mosaics for tile in _tiles(h, grid, count)]
    except (_Unclear, GeometryError, PixelDataError) as error:
        text = f"The slices are tiled into mosaic images, which cannot be taken apart: {error}"
        return list(headers), (Problem("mosaic", text, paths, blocking=True),)
    others = [h for h in headers if h.tiling is None or not h.has_pixels]
    return [*others, *slices], _assumptions(mosaics, count, counted)


def _check_whole(mosaics: Sequence[SliceHeader]) -> None:
    for h in mosaics:
        if not placed(h):
            raise _Unclear("an image has no position, orientation or spacing in the patient.")
        if h.tiling is None or not h.tiling.spacing_mm or not 0 < h.tiling.spacing_mm < FAR_MM:
            raise _Unclear("Spacing Between Slices is missing.")
        if h.n_frames > 1:
            raise _Unclear("a file has several frames.")
    if len({(h.rows, h.columns, h.tiling and h.tiling.count) for h in mosaics}) > 1:
        raise _Unclear("they have several sizes or numbers of slices.")


def _grid(mosaics: Sequence[SliceHeader], read: ReadFrame) -> tuple[int, int, bool]:
    """Return the number of tiles along a side, the number of slices, and whether that was counted."""
    first = mosaics[0]
    tiling = first.tiling
    if tiling is not None and tiling.count is not None:
        if tiling.count > LIMITS.frames:
            raise _Unclear(f"{tiling.count} slices are more than are read.")
        grid, count = math.isqrt(tiling.count - 1) + 1, tiling.count
        _check_division(first, grid)
        return grid, count, False
    grid = _grid_from_matrix(first)
    _check_division(first, grid)
    count = max(_used_tiles(read(h), grid) for h in mosaics)
    if not (grid - 1) ** 2 < count <= grid**2:
        raise _Unclear(f"{count} tiles in use do not fit a square of {grid} x {grid}; the CSA header is missing.")
    return grid, count, True


def _grid_from_matrix(header: SliceHeader) -> int:
    tiling = header.tiling
    length = tiling and (tiling.row_length or tiling.column_length)
    if not tiling or not length:
        raise _Unclear("the CSA header and the acquisition matrix are missing.")
    side = header.columns if tiling.row_length else header.rows
    grid, rest = divmod(side, length)
    if rest or not 1 <= grid * grid <= LIMITS.frames:
        raise _Unclear(f"{length} frequency encoding steps do not divide the {side} of the mosaic.")
    return grid


def _check_division(header: SliceHeader, grid: int) -> None:
    if header.rows % grid or header.columns % grid:
        raise _Unclear(f"{header.rows} x {header.columns} pixels are no {grid} x {grid} tiles of one size.")


def _used_tiles(image: NDArray[np.generic], grid: int) -> int:
    """Return the number of tiles without the blank ones at the end; blank ones between others are slices."""
    rows, columns = (size // grid for size in image.shape)
    tiles = image.reshape(grid, rows, grid, columns).swapaxes(1, 2).reshape(grid * grid, -1)
    used = np.flatnonzero(tiles.any(axis=1))
    return int(used[-1]) + 1 if used.size else 0


def _tiles(header: SliceHeader, grid: int, count: int) -> list[SliceHeader]:
    tiling = header.tiling
    rows, columns = header.rows // grid, header.columns // grid
    row, column = geometry.unit_directions(header.orientation)
    between_rows, between_columns = header.pixel_spacing
    across = row * between_columns * (header.columns - columns) / 2
    down = column * between_rows * (header.rows - rows) / 2
    first = np.asarray(header.position) + across + down
    step = _normal(header) * (tiling.spacing_mm if tiling and tiling.spacing_mm else 0.0)
    number = header.instance_number or 0
    return [
        replace(
            header,
            rows=rows,
            columns=columns,
            corner=(k // grid * rows, k % grid * columns),
            position=tuple(float(v) for v in first + k * step),
            instance_number=number * count + k + 1,
            unfolded=True,
        )
        for k in range(count)
    ]


def _normal(header: SliceHeader) -> NDArray[np.float64]:
    row, column = geometry.unit_directions(header.orientation)
    normal = np.cross(row, column)
    if header.tiling is None or not header.tiling.normal:
        return normal
    stated = np.asarray(header.tiling.normal)
    if abs(float(stated @ normal)) < _PARALLEL:
        raise _Unclear("the slice normal of the CSA header is not that of the image.")
    return normal if stated @ normal > 0 else -normal


def _assumptions(mosaics: Sequence[SliceHeader], count: int, counted: bool) -> tuple[Problem, ...]:
    known = all(h.tiling is not None and h.tiling.normal for h in mosaics)
    texts = []
    if counted:
        texts.append(f"The mosaics do not say how many slices they hold: {count}, after the blank tiles at the end.")
    if not known:
        texts.append("The order of the slices is taken to be along the slice normal: the CSA header is missing.")
    return (Problem("mosaic-assumed", " ".join(texts), tuple(h.path for h in mosaics)),) if texts else ()
