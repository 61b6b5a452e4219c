"""Cuts through time: one line through the gland, volume beside volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.comparison.choice import HALF_MM, NO_MOTION, seen, series_name, volume_labels
from curation.drawing import (
    ACCENT,
    INFO,
    MUTED,
    PENDING,
    SURFACE,
    TEXT,
    Picture,
    View,
    crop,
    draw_pixels,
    head_and_foot,
    message,
    name_row,
    new_figure,
    panel_title,
    scaled,
    slice_view,
    style_chart,
    window,
)
from curation.geometry import Array, direction_letter
from curation.registration.motion import MotionCorrection
from curation.volume import Volume

MOST_VOLUMES: Final = 200

_STEP_MM: Final = 0.5
_THICKNESS: Final = 3  # elements across the line that are averaged: noise would hide the edges
_MOST_LABELS: Final = 7
_FEW_SLICES: Final = 5  # below, a cut through the slices shows nothing


@dataclass(frozen=True, eq=False)
class _Cut:
    """A line through the centre: where it is sampled, what it is called and in which colour it is drawn."""

    affine: Array
    shape: tuple[int, int, int]
    letters: tuple[str, str]
    colour: str
    axis: int

    @property
    def length_mm(self) -> float:
        return self.shape[2] * _STEP_MM


def show_middle_slices(moved: MotionCorrection | None) -> Picture:
    """Show how steady the volumes are: the middle slice averaged over all, and cuts through time.

    A cut is one line through the centre of the region, drawn as a column for each volume: where the patient moved,
    edges make steps; corrected, they run straight. Averaged over all volumes edges are sharp where nothing moved.

    Parameters
    ----------
    moved : MotionCorrection or None
        None gives a picture that says that there is none.

    Returns
    -------
    Picture

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    if moved is None:
        return message(NO_MOTION)
    volumes = sorted({int(k) for k in np.linspace(0, len(moved.sources) - 1, MOST_VOLUMES).round()})
    reference = moved.sources[moved.reference]
    z = (reference.shape[0] - 1) // 2
    cuts = _cuts(reference, z)
    figure, panels = _panels(len(cuts))
    still = np.repeat(np.eye(4)[np.newaxis], len(moved.sources), axis=0)
    for row, transforms in zip(panels, (still, moved.transforms), strict=True):
        _draw_mean(row[0], moved, volumes, transforms, z, cuts)
        for axes, cut in zip(row[1:], cuts, strict=True):
            columns = [_column(moved, k, cut, transforms[k]) for k in volumes]
            _draw_cut(axes, np.stack(columns, axis=1), cut)
            _label_volumes(axes, moved, volumes if row is panels[1] else [])
    title = f"{series_name(moved.series)}: slice {z + 1} of {reference.shape[0]}, cuts through all volumes"
    note = "Edges that step are motion, straight ones are none; brightness may change along the way."
    note += f" {len(volumes)} of {len(moved.sources)} volumes." if len(volumes) < len(moved.sources) else ""
    head_and_foot(figure, title, note)
    return Picture(figure, f"{title}. {note}")


def _panels(cuts: int) -> tuple[Any, list[Any]]:
    widths = [1.0, *(1.15 for _ in range(cuts))]
    width, height = 3.1 * sum(widths) + 0.5, 7.4
    figure = new_figure(width, height)
    panels = list(figure.subplots(2, 1 + cuts, width_ratios=widths, squeeze=False))
    figure.subplots_adjust(
        left=0.32 / width, right=1 - 0.1 / width, top=1 - 0.72 / height, bottom=0.72 / height, wspace=0.13, hspace=0.16
    )
    for row, name in zip(panels, ("before", "after"), strict=True):
        name_row(figure, row[0], name)
    return figure, panels


def _draw_mean(
    axes: Any, moved: MotionCorrection, volumes: list[int], transforms: Array, z: int, cuts: list[_Cut]
) -> None:
    grid = crop(moved.sources[moved.reference], z, HALF_MM)
    view = slice_view(grid)
    total = np.zeros(grid[1][1:], np.float64)
    for k in volumes:
        limits = window(seen(moved.sources[k], grid, np.eye(4)))
        total += scaled(seen(moved.sources[k], grid, transforms[k]), limits)
    draw_pixels(axes, view, total / len(volumes), "mean of all volumes", vmin=0, vmax=1)
    _draw_lines(axes, view, cuts, grid)


def _cuts(reference: Volume, z: int) -> list[_Cut]:
    """Return cuts along columns (down), rows (across) and, through enough slices, across them."""
    centre = reference.to_index(reference.centre_mm)
    centre[0] = z
    middle = reference.to_lps(centre)
    axes = [1, 2] + ([0] if reference.shape[0] >= _FEW_SLICES else [])
    found = []
    for axis, colour in zip(axes, (ACCENT, PENDING, INFO), strict=False):
        unit = reference.affine[:3, axis] / reference.spacing_mm[axis]
        unit = -unit if direction_letter(unit) in ("R", "A", "S") else unit
        place = reference.centre_mm if axis == 0 else middle
        reach = min(HALF_MM, reference.shape[axis] * reference.spacing_mm[axis] / 2)
        count = max(2, int(2 * reach / _STEP_MM))
        across = [k for k in (2, 1, 0) if k != axis]
        affine = np.eye(4)
        affine[:3, 2] = unit * _STEP_MM
        affine[:3, 1], affine[:3, 0] = reference.affine[:3, across[0]], reference.affine[:3, across[1]]
        start = place - unit * _STEP_MM * (count - 1) / 2
        affine[:3, 3] = start - affine[:3, 1] * (_THICKNESS - 1) / 2
        letters = direction_letter(-unit), direction_letter(unit)
        found.append(_Cut(affine, (1, _THICKNESS, count), letters, colour, axis))
    return found


def _profile(volume: Volume, cut: _Cut, transform: Array) -> NDArray[np.float32]:
    values = volume.resampled(cut.affine, cut.shape, transform=transform).array[0]
    return np.asarray(values.mean(axis=0), dtype=np.float32)


def _column(moved: MotionCorrection, k: int, cut: _Cut, transform: Array) -> NDArray[np.float32]:
    """Return a volume's values along a line, 0 to 1 by their window after correction.

    There all volumes show the same tissue, so that their grey values compare.
    """
    corrected = _profile(moved.sources[k], cut, moved.transforms[k])
    return scaled(_profile(moved.sources[k], cut, transform), window(corrected))


def _draw_cut(axes: Any, columns: NDArray[np.float32], cut: _Cut) -> None:
    extent = (-0.5, columns.shape[1] - 0.5, cut.length_mm, 0.0)
    axes.imshow(columns, cmap="gray", vmin=0, vmax=1, extent=extent, aspect="auto", interpolation="nearest")
    style_chart(axes)
    axes.set_yticks([])
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set(visible=True, color=cut.colour, linewidth=1.4)
    box = {"facecolor": SURFACE, "edgecolor": "none", "alpha": 0.65, "pad": 1.5}
    style = {"color": TEXT, "fontsize": 10, "ha": "center", "transform": axes.transAxes, "bbox": box}
    axes.text(0.5, 0.985, cut.letters[0], va="top", **style)
    axes.text(0.5, 0.015, cut.letters[1], va="bottom", **style)
    panel_title(axes, f"cut {'-'.join(cut.letters)}, {cut.length_mm:.0f} mm")


def _label_volumes(axes: Any, moved: MotionCorrection, volumes: list[int]) -> None:
    labels, kind = volume_labels(moved.series)
    step = max(1, -(-len(volumes) // _MOST_LABELS))
    axes.set_xticks(range(0, len(volumes), step), [labels[k] for k in volumes[::step]])
    if volumes:
        axes.set_xlabel(kind, color=MUTED, fontsize=8.5)


def _draw_lines(axes: Any, view: View, cuts: list[_Cut], grid: tuple[Array, tuple[int, int, int]]) -> None:
    """Show where the cuts within the slice run."""
    slice_grid = Volume(np.zeros(grid[1], np.float32), grid[0])
    for cut in cuts:
        if cut.axis == 0:
            continue
        centre = cut.affine[:3, 3] + cut.affine[:3, 1] * (_THICKNESS - 1) / 2
        row, column = slice_grid.to_index(centre + cut.affine[:3, 2] * (cut.shape[2] - 1) / 2)[1:]
        row, column = row + 0.5, column + 0.5
        rows, columns = grid[1][1:]
        y = (row if view.turn[0] > 0 else rows - row) * slice_grid.spacing_mm[1]
        x = (column if view.turn[1] > 0 else columns - column) * slice_grid.spacing_mm[2]
        style = {"color": cut.colour, "linewidth": 1.0, "alpha": 0.8}
        axes.axvline(x, **style) if cut.axis == 1 else axes.axhline(y, **style)
