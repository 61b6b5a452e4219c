"""The middle slice of every volume, before and after."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.comparison.choice import (
    HALF_MM,
    NO_MOTION,
    choice_note,
    chosen_volumes,
    moved_text,
    seen,
    series_name,
    volume_labels,
)
from curation.drawing import (
    ACCENT,
    PENDING,
    Picture,
    View,
    crop,
    draw_pixels,
    head_and_foot,
    message,
    name_row,
    new_figure,
    panel_title,
    slice_view,
    window,
)
from curation.geometry import Array
from curation.registration.motion import MotionCorrection

MOST_VOLUMES: Final = 6

_PANEL_INCHES: Final = 2.5
_ROWS: Final = ("before", "after", "after \N{MINUS SIGN} before")
_LINES: Final = (0.35, 0.65)  # where guide lines cross a panel, as a share of its size


def show_montage(moved: MotionCorrection | None, *, difference: bool = False) -> Picture:
    """Show the middle slice of the volumes before (above) and after correction (below).

    Both rows show the region around the centre, each volume in the grey values of its percentiles as acquired. The
    guide lines are at the same place everywhere: motion shows against them.

    Parameters
    ----------
    moved : MotionCorrection or None
        None gives a picture that says that there is none.
    difference : bool
        Whether a third row shows after minus before.

    Returns
    -------
    Picture
        At most `MOST_VOLUMES` volumes; a note says which.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    if moved is None:
        return message(NO_MOTION)
    chosen = chosen_volumes(moved, MOST_VOLUMES)
    reference = moved.sources[moved.reference]
    z = (reference.shape[0] - 1) // 2
    grid = crop(reference, z, HALF_MM)
    figure, panels = _panels(_ROWS[: 3 if difference else 2], len(chosen))
    for column, k in enumerate(chosen):
        _draw_column(panels[:, column], moved, k, grid)
    title = f"{series_name(moved.series)}: slice {z + 1} of {reference.shape[0]} before and after motion correction"
    note = f"{choice_note(moved, chosen)}{2 * HALF_MM:g} mm around the centre, each volume in its own grey values."
    head_and_foot(figure, title, note)
    return Picture(figure, f"{title}. {note}")


def _panels(names: tuple[str, ...], volumes: int) -> tuple[Any, Any]:
    columns, rows = max(volumes, 3), len(names)
    width, height = _PANEL_INCHES * columns + 0.3, (_PANEL_INCHES + 0.2) * rows + 0.75
    figure = new_figure(width, height)
    panels = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.3 / width, right=1 - 0.08 / width, top=1 - 0.68 / height, bottom=0.3 / height, wspace=0.04, hspace=0.11
    )
    for axes in panels.ravel():
        axes.set_axis_off()
    for row, name in zip(panels, names, strict=True):
        name_row(figure, row[0], name)
    return figure, panels


def _draw_column(panels: Any, moved: MotionCorrection, k: int, grid: tuple[Array, tuple[int, int, int]]) -> None:
    view = slice_view(grid)
    labels, kind = volume_labels(moved.series)
    name = f"b = {labels[k]}" if kind.startswith("b") else f"{labels[k]} s" if kind.startswith("start") else f"{k + 1}"
    before = seen(moved.sources[k], grid, np.eye(4))
    after = seen(moved.sources[k], grid, moved.transforms[k])
    low, high = window(before)
    for axes, pixels, title in ((panels[0], before, name), (panels[1], after, moved_text(moved, k))):
        draw_pixels(axes, view, pixels, title, vmin=low, vmax=high)
        _guides(axes, view)
    if moved.flags[k]:
        panel_title(panels[0], "! look at it", colour=PENDING, side="right")
    if len(panels) > 2:
        _draw_difference(panels[2], view, after - before, high - low)


def _draw_difference(axes: Any, view: View, pixels: NDArray[np.float32], span: float) -> None:
    draw_pixels(axes, view, pixels, vmin=-span / 2, vmax=span / 2)
    _guides(axes, view)


def _guides(axes: Any, view: View) -> None:
    style = {"color": ACCENT, "linewidth": 0.6, "alpha": 0.55}
    for share in _LINES:
        axes.axhline(share * view.height_mm, **style)
        axes.axvline(share * view.width_mm, **style)
