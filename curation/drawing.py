"""How slices are drawn: the dark surface, the usual view, letters for directions, a scale bar.

Aspect ratio true to the millimetre, patient's left on the viewer's right, anterior or superior up. Text from headers
is shown as it is: never read as mathematics, on one line, of bounded length, without characters that the font lacks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation.files import write_atomically
from curation.geometry import Array, direction_letter
from curation.noise import sample
from curation.optional import require
from curation.volume import Volume

WINDOW_PERCENTILES = (1.0, 99.5)
SURFACE, PANEL, TEXT, MUTED = "#0e1318", "#161d24", "#e6edf3", "#9fb0c0"
ACCENT, INFO, PENDING, DANGER = "#4cc2c0", "#6cb6ff", "#e3b341", "#ff7b72"
MOVING, STATIC = "#3ddc84", "#ff5d5d"
DPI = 110

_BAR_LENGTHS_MM = (100, 50, 20, 10, 5)
_TURNED = {"R", "A", "S"}  # a direction that must not point to the right or down
_TEXT_LIMIT = 64  # characters of a text from a header (LO, PS3.5 6.2)
_ABSENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure; a notebook shows it, `save` keeps it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    text : str
        What it shows, in words, for those who cannot see it.
    """

    figure: Any
    text: str = ""

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: float = DPI) -> bytes:
        """Return the picture as the content of a PNG file."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=dpi, facecolor=SURFACE)
        return buffer.getvalue()

    def pixels(self, dpi: float = DPI) -> NDArray[np.uint8]:
        """Return the picture as drawn, shape (rows, columns, 3), red, green and blue from 0 to 255."""
        agg = require("matplotlib.backends.backend_agg", "Drawing slices", "workspace")
        before = self.figure.dpi
        try:
            self.figure.set_dpi(dpi)
            canvas = agg.FigureCanvasAgg(self.figure)
            canvas.draw()
            return np.array(canvas.buffer_rgba())[..., :3]
        finally:
            self.figure.set_dpi(before)

    def save(self, path: str | Path) -> Path:
        """Write the picture as a PNG file."""
        return write_atomically(Path(path), self.png())


@dataclass(frozen=True, eq=False)
class View:
    """How the slices of a grid are turned to the usual view.

    Parameters
    ----------
    turn : tuple of int
        -1 for each image axis (down, right) that is turned, else 1.
    right, down : ndarray, shape (3,)
        Directions in LPS after turning.
    height_mm, width_mm : float
    """

    turn: tuple[int, int]
    right: Array
    down: Array
    height_mm: float
    width_mm: float

    @classmethod
    def of(cls, volume: Volume) -> View:
        """Return the view of a volume's slices."""
        columns, rows = volume.affine[:3, 2], volume.affine[:3, 1]
        turn = (-1 if direction_letter(rows) in _TURNED else 1), (-1 if direction_letter(columns) in _TURNED else 1)
        height, width = volume.shape[1] * volume.spacing_mm[1], volume.shape[2] * volume.spacing_mm[2]
        return cls(turn, turn[1] * columns, turn[0] * rows, height, width)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Where the pixels lie in a panel in mm, as matplotlib takes it."""
        return (0.0, self.width_mm, self.height_mm, 0.0)

    def turned(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return pixels, shape (rows, columns, ...), as they are shown."""
        return pixels[:: self.turn[0], :: self.turn[1]]


def new_figure(width_inches: float, height_inches: float, feature: str = "Drawing slices") -> Any:
    """Return an empty figure on the image surface, which no window or global state knows of.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    figures = require("matplotlib.figure", feature, "workspace")
    return figures.Figure(figsize=(width_inches, height_inches), facecolor=SURFACE)


def message(text: str) -> Picture:
    """Return a picture that says something instead of showing it."""
    figure = new_figure(7.4, 1.0)
    write(figure, 0.5, 0.5, text, color=MUTED, fontsize=11, ha="center", va="center", wrap=True)
    return Picture(figure, text)


def write(place: Any, x: float, y: float, text: str, **style: Any) -> Any:
    """Write text into a figure or its axes, never read as mathematics."""
    return place.text(x, y, text, parse_math=False, **style)


def header_text(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Return a text from a header as it can be drawn: one line, bounded, with characters that the font has."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * limit]).split())
    known = _characters()
    line = "".join(letter if ord(letter) in known else _ABSENT for letter in line)
    return line if len(line) <= limit else line[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def head_and_foot(figure: Any, title: str, note: str) -> None:
    """Write what a picture shows above it, and how below it."""
    width, height = figure.get_size_inches()
    write(figure, 0.12 / width, 1 - 0.1 / height, title, color=TEXT, fontsize=11, ha="left", va="top")
    write(figure, 0.12 / width, 0.08 / height, note, color=MUTED, fontsize=8, ha="left")


def name_row(figure: Any, axes: Any, name: str) -> None:
    """Write the name of a row of panels beside the first of them."""
    place = axes.get_position()
    style = {"color": TEXT, "fontsize": 10, "rotation": 90, "ha": "center", "va": "center"}
    write(figure, 0.16 / figure.get_size_inches()[0], (place.y0 + place.y1) / 2, name, **style)


@cache
def _characters() -> frozenset[int]:
    fonts = require("matplotlib.font_manager", "Drawing slices", "workspace")
    return frozenset(fonts.get_font(fonts.findfont(fonts.FontProperties())).get_charmap())


def window(values: NDArray[Any]) -> tuple[float, float]:
    """Return the grey values that are shown black and white: percentiles of what is finite."""
    chosen = sample(values)
    finite = chosen[np.isfinite(chosen)]
    low, high = (float(v) for v in np.percentile(finite, WINDOW_PERCENTILES)) if finite.size else (0.0, 1.0)
    return low, max(high, low + 1e-6)


def scaled(pixels: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Return values between two limits as 0 to 1; 0 where they are not finite."""
    low, high = limits
    share = np.nan_to_num((pixels - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def draw_pixels(axes: Any, view: View, pixels: NDArray[Any], title: str = "", **style: Any) -> Any:
    """Draw one slice with letters and a scale bar.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    view : View
    pixels : ndarray, shape (rows, columns) or (rows, columns, 3)
        In the order of the array, not turned.
    title : str
    **style
        For ``imshow``: ``vmin``, ``vmax``, ``cmap`` (grey by default).

    Returns
    -------
    matplotlib.image.AxesImage
    """
    style = {"cmap": "gray", "interpolation": "bilinear", **style}
    image = axes.imshow(view.turned(pixels), extent=view.extent, **style)
    axes.set_axis_off()
    if title:
        panel_title(axes, title)
    _letters(axes, view)
    _scale_bar(axes, view.width_mm, view.height_mm)
    return image


def panel_title(axes: Any, text: str, *, colour: str = MUTED, side: str = "left") -> None:
    """Write a title above a panel, where it stays: to have matplotlib find a free place takes longer than to draw."""
    axes.set_title(text, color=colour, fontsize=9, loc=side, pad=4, y=1.0, parse_math=False)


def _letters(axes: Any, view: View) -> None:
    style = {"color": TEXT, "fontsize": 10, "transform": axes.transAxes, "ha": "center", "va": "center"}
    places = ((0.97, 0.5, view.right), (0.03, 0.5, -view.right), (0.5, 0.03, view.down), (0.5, 0.97, -view.down))
    for x, y, direction in places:
        axes.text(x, y, direction_letter(direction), **style).set_path_effects(halo())


def _scale_bar(axes: Any, width: float, height: float) -> None:
    length = next((mm for mm in _BAR_LENGTHS_MM if mm <= width / 3), _BAR_LENGTHS_MM[-1])
    x, y = 0.04 * width, 0.955 * height
    axes.plot([x, x + length], [y, y], color=TEXT, linewidth=2.2, solid_capstyle="butt", path_effects=halo())
    label = axes.text(x, y - 0.02 * height, f"{length} mm", color=TEXT, fontsize=8, ha="left", va="bottom")
    label.set_path_effects(halo())


def halo() -> list[Any]:
    """Return a dark border, so that letters and bars are seen on bright tissue."""
    effects = require("matplotlib.patheffects", "Drawing slices", "workspace")
    return [effects.withStroke(linewidth=2.4, foreground=SURFACE)]


def style_chart(axes: Any) -> None:
    """Give a chart the look of the pictures: no box, muted letters."""
    axes.set_facecolor(SURFACE)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(MUTED)


def slice_view(grid: tuple[Array, tuple[int, int, int]]) -> View:
    """Return the view of a grid of one slice, see `crop`."""
    affine, shape = grid
    return View.of(Volume(np.broadcast_to(np.float32(0), shape), affine))


def crop(
    volume: Volume, z: float, half_mm: float, centre: ArrayLike | None = None
) -> tuple[Array, tuple[int, int, int]]:
    """Return the grid of one slice of a volume around a point: affine, shape (4, 4), and shape (1, rows, columns).

    Parameters
    ----------
    volume : Volume
    z : float
        Index of the slice.
    half_mm : float
        Half extent along rows and columns; the grid ends where the volume ends.
    centre : array_like, shape (3,), optional
        LPS mm; centre of the volume without it.
    """
    middle = volume.to_index(volume.centre_mm if centre is None else centre)
    first, count = np.zeros(3), [1, 1, 1]
    first[0] = z
    for axis in (1, 2):
        reach = half_mm / volume.spacing_mm[axis]
        start = int(np.clip(np.ceil(middle[axis] - reach), 0, volume.shape[axis] - 1))
        stop = int(np.clip(np.floor(middle[axis] + reach), start, volume.shape[axis] - 1))
        first[axis], count[axis] = start, stop - start + 1
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(first)
    return affine, (count[0], count[1], count[2])
