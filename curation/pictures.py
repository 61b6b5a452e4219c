"""Still pictures of slices as radiologists expect them.

Aspect ratio true to the millimetre, patient's left on the viewer's right, anterior or superior up, letters
for the directions, a scale bar, and the outline of what was delineated. Grey values between the 1st and the
99.5th percentile; pixels are interpolated linearly, which the picture says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.drawing import (
    MUTED,
    TEXT,
    WINDOW_PERCENTILES,
    Picture,
    View,
    draw_pixels,
    header_text,
    message,
    new_figure,
    window,
    write,
)
from curation.segmentation.codes import segment_colour
from curation.segmentation.segment import Segmentation
from curation.series import Series
from curation.volume import Volume

__all__ = ["WINDOW_PERCENTILES", "Picture", "show_diffusion", "show_slices"]

_PANEL_INCHES = 3.7


@dataclass(frozen=True, eq=False)
class _Panel:
    volume: Volume
    z: int
    title: str


def show_slices(
    series: Series | None,
    *,
    volume: int = 0,
    count: int = 3,
    outlines: Sequence[Segmentation] = (),
) -> Picture:
    """Show slices around the middle one, or around what is outlined.

    Parameters
    ----------
    series : Series or None
        None gives a picture that says that there is none.
    volume : int
        Which of its volumes.
    count : int
        How many slices, evenly spread over the middle third of the stack; with outlines neighbours of the
        slice that shows most of them.
    outlines : sequence of Segmentation
        Drawn where they meet the slices, whatever grid they have.

    Returns
    -------
    Picture

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    IrregularSeriesError, PixelDataError
        As `Series.volume`.
    """
    if series is None:
        return message("There is no such series in this study.")
    shown = series.volume(volume)
    slices = _slices(shown, count, outlines)
    panels = [_Panel(shown, z, f"slice {z + 1} of {shown.shape[0]}") for z in slices]
    return _draw(panels, header_text(series.description), outlines)


def show_diffusion(series: Series | None, *, outlines: Sequence[Segmentation] = ()) -> Picture:
    """Show one slice at each b-value side by side: the middle one, or the one with most of the outlines.

    Parameters
    ----------
    series : Series or None
        Diffusion-weighted; None gives a picture that says that there is none. Of several volumes with one
        b-value the first is shown.
    outlines : sequence of Segmentation
        Drawn where they meet the slice, whatever grid they have. They do not follow motion between volumes.

    Returns
    -------
    Picture

    Raises
    ------
    MissingDependencyError, IrregularSeriesError, PixelDataError
        As `show_slices`.
    """
    if series is None:
        return message("There is no diffusion-weighted series in this study.")
    b_values = series.b_values or (None,) * max(series.n_volumes, 1)
    first_of_each = {b: b_values.index(b) for b in b_values}
    volumes = [(b, series.volume(k)) for b, k in first_of_each.items()]
    z = _slices(volumes[0][1], 1, outlines)[0]
    panels = [_Panel(v, z, "b unknown" if b is None else f"b = {b:g} s/mm²") for b, v in volumes]
    return _draw(panels, f"{header_text(series.description)}, slice {z + 1} of {series.shape[1]}", outlines)


def _slices(volume: Volume, count: int, outlines: Sequence[Segmentation]) -> list[int]:
    depth = volume.shape[0]
    count = max(1, min(count, depth))
    areas = [_mask_area(volume, z, outlines) for z in range(depth)] if outlines else [0.0]
    if max(areas) > 0:
        start = int(np.clip(int(np.argmax(areas)) - count // 2, 0, depth - count))
        return list(range(start, start + count))
    spread = np.linspace(-1 / 6, 1 / 6, count) if count > 1 else np.zeros(1)
    return [int(np.clip((depth - 1) / 2 + s * depth + 0.5, 0, depth - 1)) for s in spread]


def _mask_area(volume: Volume, z: int, outlines: Sequence[Segmentation]) -> float:
    return sum(float(mask.sum()) for _, mask in _masks_on(volume, z, outlines))


def _masks_on(volume: Volume, z: int, outlines: Sequence[Segmentation]) -> list[tuple[int, NDArray[np.float32]]]:
    """Return the number of every segment and how far each pixel of a slice lies inside it, 0 to 1."""
    rows, columns = volume.shape[1:]
    points = volume.to_lps(np.stack(np.broadcast_arrays(z, *np.ogrid[:rows, :columns]), axis=-1))
    found = []
    for segmentation in outlines:
        for number, segment in enumerate(segmentation.segments, start=1):
            mask = Volume(segment.mask.astype(np.float32), segmentation.affine)
            found.append((number, mask.sample(points)))
    return found


def _draw(panels: Sequence[_Panel], title: str, outlines: Sequence[Segmentation]) -> Picture:
    figure = new_figure(_PANEL_INCHES * len(panels), _PANEL_INCHES + 0.75)
    figure.subplots_adjust(left=0.012, right=0.988, top=0.865, bottom=0.065, wspace=0.03)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw_panel(axes, panel, outlines)
    title = title or "no description"
    write(figure, 0.012, 0.975, title, color=TEXT, fontsize=11, ha="left", va="top")
    low, high = WINDOW_PERCENTILES
    names = ", ".join(header_text(s.label) for segmentation in outlines for s in segmentation.segments)
    note = f"Grey values {low:g} to {high:g} percentile, linear interpolation." + (names and f" Outlined: {names}.")
    write(figure, 0.012, 0.018, note, color=MUTED, fontsize=8, ha="left")
    return Picture(figure, f"{title}: {', '.join(panel.title for panel in panels)}. {note}")


def _draw_panel(axes: Any, panel: _Panel, outlines: Sequence[Segmentation]) -> None:
    view = View.of(panel.volume)
    low, high = window(panel.volume.array)
    draw_pixels(axes, view, panel.volume.array[panel.z], panel.title, vmin=low, vmax=high)
    for number, mask in _masks_on(panel.volume, panel.z, outlines):
        if mask.max() > 0.5:
            colour = tuple(channel / 255 for channel in segment_colour(number))
            axes.contour(view.turned(mask), [0.5], colors=[colour], linewidths=1.4, extent=view.extent, origin="upper")
