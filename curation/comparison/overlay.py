"""The moving image on the static one, in colour and by its edges."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.comparison.choice import HALF_MM, seen, series_name, volume_name
from curation.drawing import (
    MOVING,
    STATIC,
    TEXT,
    Picture,
    crop,
    draw_pixels,
    head_and_foot,
    message,
    new_figure,
    scaled,
    slice_view,
    window,
    write,
)
from curation.geometry import Array
from curation.registration.coregister import CoRegistration
from curation.volume import Volume

NOTHING: Final = "Nothing was laid on a static series here: it takes an axial T2w series and one to lay on it."

_PANEL_INCHES: Final = 2.9
_SPREAD_MM: Final = 15.0  # between the slices that are shown: base, middle and apex of the gland
_EDGE_MM: Final = 1.2  # standard deviation of the Gaussian whose gradients are edges: noise has few
_EDGES: Final = (80, 99)  # percentiles of the gradient that are drawn not at all and fully
_LINE: Final = 150  # characters


def show_overlay(fixed: CoRegistration | None, *, count: int = 3) -> Picture:
    """Show the moving image (green) on the static one (red), by the scanner's positions and registered.

    Left in colour: what agrees is pale yellow, what does not is green or red. Right the edges of the moving image in
    green on the static one in grey. Where the registration was refused, its result is shown too, as not used.

    Parameters
    ----------
    fixed : CoRegistration or None
        None gives a picture that says that there is none. The reference volume of a series is shown.
    count : int
        How many slices of the static, around the middle one.

    Returns
    -------
    Picture
        Its title says whether the registration is used, and why.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    if fixed is None:
        return message(NOTHING)
    columns, lines = _columns(fixed), _lines(fixed)
    slices = _slices(fixed.static_volume, count)
    width = _PANEL_INCHES * 2 * len(columns) + 0.1
    height = (_PANEL_INCHES + 0.2) * len(slices) + 0.75 + 0.2 * len(lines)
    figure = new_figure(width, height)
    panels = figure.subplots(len(slices), 2 * len(columns), squeeze=False)
    top = 1 - (0.6 + 0.2 * len(lines)) / height
    figure.subplots_adjust(left=0.008, right=0.992, top=top, bottom=0.27 / height, wspace=0.04, hspace=0.09)
    for row, z in zip(panels, slices, strict=True):
        _draw_row(row, fixed, z, columns)
    moving = fixed.moving
    title = f"{series_name(moving.series)}, {volume_name(moving.series, moving.reference)}, on "
    title += series_name(fixed.static)
    note = "Moving green, static red; at the right its edges on the static. Grey values by percentiles of each image."
    head_and_foot(figure, title, note)
    for number, line in enumerate(lines):
        y = 1 - (0.36 + 0.2 * number) / height
        write(figure, 0.12 / width, y, line, color=TEXT, fontsize=9.5, ha="left", va="top")
    return Picture(figure, f"{title}. {' '.join(lines)} {note}")


def _columns(fixed: CoRegistration) -> list[tuple[str, Array]]:
    """Return what is compared: the scanner's positions, and what registration found where it found something."""
    scanner = ("scanner's positions" + ("" if fixed.accepted else ", used"), np.eye(4))
    if np.array_equal(fixed.candidate, np.eye(4)):
        return [scanner]
    return [scanner, ("registered, used" if fixed.accepted else "registered, not used", fixed.candidate)]


def _slices(static: Volume, count: int) -> list[int]:
    """Return slices around the middle, `_SPREAD_MM` apart where the stack allows it, top first."""
    depth, spacing = static.shape[0], static.spacing_mm[0]
    count = max(1, min(count, depth))
    step = max(1, min(round(_SPREAD_MM / spacing), (depth - 1) // max(count - 1, 1)))
    first = (depth - 1) // 2 - step * (count - 1) // 2
    chosen = [int(np.clip(first + step * n, 0, depth - 1)) for n in range(count)]
    return list(dict.fromkeys(reversed(chosen)))


def _lines(fixed: CoRegistration) -> list[str]:
    """Say whether the registration is used and why, on lines that fit."""
    start = "Registration used." if fixed.accepted else "Kept where the scanner put it."
    words, lines = " ".join((start, *fixed.reasons)).split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) >= _LINE * (1 if len(_columns(fixed)) > 1 else 0.5):
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:6]


def _draw_row(row: Any, fixed: CoRegistration, z: int, columns: list[tuple[str, Array]]) -> None:
    static, moving = fixed.static_volume, fixed.moving.sources[fixed.moving.reference]
    grid = crop(static, z, HALF_MM)
    view = slice_view(grid)
    under = scaled(seen(static, grid, np.eye(4)), window(_middle(static)))
    limits = window(_middle(moving))
    for number, (name, transform) in enumerate(columns):
        over = scaled(seen(moving, grid, transform), limits)
        title = f"slice {z + 1} of {static.shape[0]}, {name}"
        draw_pixels(row[number], view, blend(under, over), title)
        edges = edge_strength(over, static.spacing_mm)[..., np.newaxis]
        drawn = under[..., np.newaxis] * (1 - edges) + edges * _rgb(MOVING)
        draw_pixels(row[len(columns) + number], view, drawn, f"edges, {name}")


def _middle(volume: Volume) -> NDArray[Any]:
    """Return the values around the centre: those of fat at the surface must not set the window."""
    z, y, x = volume.shape
    return volume.array[z // 4 : z - z // 4, y // 4 : y - y // 4, x // 4 : x - x // 4]


def blend(static: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the static image in its colour and the moving one in its own, shape (rows, columns, 3).

    Both from 0 to 1. The two colours add up to nearly white: what agrees is grey.
    """
    mixed = static[..., np.newaxis] * _rgb(STATIC) + moving[..., np.newaxis] * _rgb(MOVING)
    return np.asarray(np.clip(mixed, 0, 1), dtype=np.float32)


def edge_strength(pixels: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Return how strong the edges of a slice are, 0 to 1, shape (rows, columns); see `_EDGES`."""
    from scipy.ndimage import gaussian_gradient_magnitude

    steepness = gaussian_gradient_magnitude(pixels, [_EDGE_MM / mm for mm in spacing_mm[1:]], mode="nearest")
    low, high = (float(value) for value in np.percentile(steepness, _EDGES))
    return scaled(steepness, (low, max(high, low + 1e-6)))


def _rgb(code: str) -> NDArray[np.float64]:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
