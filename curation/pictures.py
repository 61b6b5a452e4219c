"""Still pictures of slices as radiologists expect them.

Aspect ratio true to the millimetre, patient's left on the viewer's right, anterior or superior up, letters
for the directions, a scale bar, and the outline of what was delineated. Grey values between the 1st and the
99.5th percentile; pixels are interpolated linearly, which the picture says.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.files import write_atomically
from curation.geometry import direction_letter
from curation.optional import require
from curation.segmentation.codes import segment_colour
from curation.segmentation.segment import Segmentation
from curation.series import Series
from curation.volume import Volume

WINDOW_PERCENTILES = (1.0, 99.5)

_SURFACE, _TEXT, _MUTED = "#0e1318", "#e6edf3", "#9fb0c0"
_PANEL_INCHES = 3.7
_DPI = 110
_BAR_LENGTHS_MM = (100, 50, 20, 10, 5)
_TURNED = {"R", "A", "S"}  # a direction that must not point to the right or down


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure; a notebook shows it, `save` keeps it."""

    figure: Any

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=_DPI, facecolor=_SURFACE)
        return buffer.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the picture as a PNG file."""
        return write_atomically(Path(path), self._repr_png_())


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
        return _empty("There is no such series in this study.")
    shown = series.volume(volume)
    slices = _slices(shown, count, outlines)
    panels = [_Panel(shown, z, f"slice {z + 1} of {shown.shape[0]}") for z in slices]
    return _draw(panels, series.description, outlines)


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
        return _empty("There is no diffusion-weighted series in this study.")
    b_values = series.b_values or (None,) * max(series.n_volumes, 1)
    first_of_each = {b: b_values.index(b) for b in b_values}
    volumes = [(b, series.volume(k)) for b, k in first_of_each.items()]
    z = _slices(volumes[0][1], 1, outlines)[0]
    panels = [_Panel(v, z, "b unknown" if b is None else f"b = {b:g} s/mm²") for b, v in volumes]
    return _draw(panels, f"{series.description}, slice {z + 1} of {series.shape[1]}", outlines)


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
    figure = _figure(len(panels))
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw_panel(axes, panel, outlines)
    figure.suptitle(title or "no description", color=_TEXT, fontsize=11, x=0.012, ha="left", y=0.975)
    low, high = WINDOW_PERCENTILES
    names = ", ".join(s.label for segmentation in outlines for s in segmentation.segments)
    note = f"Grey values {low:g} to {high:g} percentile, linear interpolation." + (names and f" Outlined: {names}.")
    figure.text(0.012, 0.018, note, color=_MUTED, fontsize=8, ha="left")
    return Picture(figure)


def _figure(columns: int) -> Any:
    figures = require("matplotlib.figure", "Drawing slices", "workspace")
    figure = figures.Figure(figsize=(_PANEL_INCHES * columns, _PANEL_INCHES + 0.75), facecolor=_SURFACE)
    figure.subplots_adjust(left=0.012, right=0.988, top=0.865, bottom=0.065, wspace=0.03)
    return figure


def _empty(text: str) -> Picture:
    figures = require("matplotlib.figure", "Drawing slices", "workspace")
    figure = figures.Figure(figsize=(_PANEL_INCHES * 2, 1.0), facecolor=_SURFACE)
    figure.text(0.5, 0.5, text, color=_MUTED, fontsize=11, ha="center", va="center")
    return Picture(figure)


def _draw_panel(axes: Any, panel: _Panel, outlines: Sequence[Segmentation]) -> None:
    volume = panel.volume
    columns, rows = volume.affine[:3, 2], volume.affine[:3, 1]
    turn = _turn(columns, rows)
    right = columns if turn[1] > 0 else -columns
    down = rows if turn[0] > 0 else -rows
    pixels = volume.array[panel.z][:: turn[0], :: turn[1]]
    height, width = pixels.shape[0] * volume.spacing_mm[1], pixels.shape[1] * volume.spacing_mm[2]
    low, high = np.percentile(volume.array, WINDOW_PERCENTILES)
    extent = (0.0, width, height, 0.0)
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), extent=extent, interpolation="bilinear")
    for number, mask in _masks_on(volume, panel.z, outlines):
        if mask.max() > 0.5:
            colour = tuple(channel / 255 for channel in segment_colour(number))
            turned = mask[:: turn[0], :: turn[1]]
            axes.contour(turned, [0.5], colors=[colour], linewidths=1.4, extent=extent, origin="upper")
    axes.set_axis_off()
    axes.set_title(panel.title, color=_MUTED, fontsize=9, loc="left", pad=4)
    _letters(axes, right, down)
    _scale_bar(axes, width, height)


def _turn(columns: NDArray[np.float64], rows: NDArray[np.float64]) -> tuple[int, int]:
    """Return -1 for each image axis (down, right) that must be turned to the usual view."""
    down, right = direction_letter(rows), direction_letter(columns)
    return (-1 if down in _TURNED else 1), (-1 if right in _TURNED else 1)


def _letters(axes: Any, right: NDArray[np.float64], down: NDArray[np.float64]) -> None:
    style = {"color": _TEXT, "fontsize": 10, "transform": axes.transAxes, "ha": "center", "va": "center"}
    for x, y, direction in ((0.97, 0.5, right), (0.03, 0.5, -right), (0.5, 0.03, down), (0.5, 0.97, -down)):
        label = axes.text(x, y, direction_letter(direction), **style)
        label.set_path_effects(_halo())


def _scale_bar(axes: Any, width: float, height: float) -> None:
    length = next((mm for mm in _BAR_LENGTHS_MM if mm <= width / 3), _BAR_LENGTHS_MM[-1])
    x, y = 0.04 * width, 0.955 * height
    axes.plot([x, x + length], [y, y], color=_TEXT, linewidth=2.2, solid_capstyle="butt", path_effects=_halo())
    label = axes.text(x, y - 0.02 * height, f"{length} mm", color=_TEXT, fontsize=8, ha="left", va="bottom")
    label.set_path_effects(_halo())


def _halo() -> list[Any]:
    """Return a dark border, so that letters and bars are seen on bright tissue."""
    effects = require("matplotlib.patheffects", "Drawing slices", "workspace")
    return [effects.withStroke(linewidth=2.4, foreground=_SURFACE)]
