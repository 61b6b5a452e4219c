"""ADC maps side by side, in the same grey values."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.comparison.choice import HALF_MM, seen
from curation.diffusion import AdcFit
from curation.drawing import (
    MUTED,
    Picture,
    View,
    crop,
    draw_pixels,
    head_and_foot,
    header_text,
    message,
    new_figure,
    slice_view,
    style_chart,
)
from curation.volume import Volume

ADC_WINDOW: Final = (0.0, 2500.0)
"""Shown black and white, in 10^-6 mm2/s; a fixed window, so that one value is one grey everywhere."""

DIFFERENCE: Final = 500.0

_PANEL_INCHES: Final = 3.4
_UNIT: Final = "10⁻⁶ mm²/s"


def show_adc(
    fit: AdcFit | Volume | None,
    *,
    before: AdcFit | Volume | None = None,
    vendor: Volume | None = None,
    title: str = "",
) -> Picture:
    """Show the middle slice of an ADC map, and of those that it is compared with.

    Parameters
    ----------
    fit : AdcFit or Volume or None
        After correction, in 10^-6 mm2/s; None gives a picture that says that there is none.
    before : AdcFit or Volume, optional
        Of the volumes as acquired.
    vendor : Volume, optional
        The scanner's map in 10^-6 mm2/s (see `curation.diffusion.normalise_adc`); with it a panel shows the
        difference.
    title : str
        What the map belongs to, for example the description of the DWI.

    Returns
    -------
    Picture

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    if fit is None:
        return message("There is no ADC map here: it takes a diffusion-weighted series with two b-values.")
    after = _map(fit)
    z = (after.shape[0] - 1) // 2
    grid = crop(after, z, HALF_MM)
    view = slice_view(grid)
    named = (("before correction", before), ("recomputed", after), ("by the scanner", vendor))
    shown = [(name, seen(_map(given), grid, np.eye(4))) for name, given in named if given is not None]
    panels = len(shown) + (vendor is not None)
    width, height = (_PANEL_INCHES + 0.75) * panels + 0.15, _PANEL_INCHES + 0.85
    figure = new_figure(width, height)
    row = figure.subplots(1, panels, squeeze=False)[0]
    figure.subplots_adjust(left=0.012, right=1 - 0.75 / width, top=1 - 0.62 / height, bottom=0.32 / height, wspace=0.26)
    for axes, (name, pixels) in zip(row, shown, strict=False):
        image = draw_pixels(axes, view, pixels, name, vmin=ADC_WINDOW[0], vmax=ADC_WINDOW[1])
        _colour_bar(figure, axes, image)
    if vendor is not None:
        _draw_difference(figure, row[-1], view, seen(after, grid, np.eye(4)), shown[-1][1])
    heading = f"ADC  {header_text(title)}".strip() + f", slice {z + 1} of {after.shape[0]}"
    note = f"In {_UNIT}, {ADC_WINDOW[0]:g} black to {ADC_WINDOW[1]:g} white, {2 * HALF_MM:g} mm around the centre."
    head_and_foot(figure, heading, note)
    names = ", ".join([name for name, _ in shown] + (["difference"] if vendor is not None else []))
    return Picture(figure, f"{heading}: {names}. {note}")


def _map(given: AdcFit | Volume) -> Volume:
    return given.adc if isinstance(given, AdcFit) else given


def _draw_difference(
    figure: Any, axes: Any, view: View, after: NDArray[np.float32], vendor: NDArray[np.float32]
) -> None:
    both = (after > 0) & (vendor > 0)  # false for NaN
    pixels = np.where(both, after - vendor, np.nan)
    image = draw_pixels(
        axes, view, pixels, "recomputed \N{MINUS SIGN} scanner", vmin=-DIFFERENCE, vmax=DIFFERENCE, cmap="coolwarm",
        interpolation="nearest",
    )  # fmt: skip
    _colour_bar(figure, axes, image)


def _colour_bar(figure: Any, axes: Any, image: Any) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.042, pad=0.02)
    style_chart(bar.ax)
    bar.outline.set_visible(False)
    bar.ax.set_title(_UNIT, color=MUTED, fontsize=7.5, pad=5, loc="left", y=1.0)
