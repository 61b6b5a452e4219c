"""How far each volume was moved, as a chart."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from curation.comparison.choice import NO_MOTION, series_name, volume_labels, volume_name
from curation.drawing import ACCENT, INFO, MUTED, PENDING, TEXT, Picture, message, new_figure, style_chart, write
from curation.geometry import Array
from curation.registration.motion import MotionCorrection

_MOST_LABELS: Final = 24
_MOST_FLAGS: Final = 3
_LEAST_TOP: Final = 1.0  # of the axes, in mm and degrees: a tenth of a millimetre must not look like much


def show_displacement(moved: MotionCorrection | None) -> Picture:
    """Show displacement (mm, at the centre) and rotation (degrees) of each volume; those to look at are marked.

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
    count = len(moved.sources)
    flagged = [k for k in range(count) if moved.flags[k]]
    lines = _flag_lines(moved, flagged)
    width, height = float(np.clip(2.2 + 0.45 * count, 7.4, 13.0)), 3.6 + 0.2 * len(lines)
    figure = new_figure(width, height, "Drawing a chart")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.15 / width, top=1 - 0.5 / height, bottom=(0.62 + 0.2 * len(lines)) / height
    )
    _bars(upper, moved.displacement_mm, "mm", ACCENT, moved.reference, flagged)
    _bars(lower, moved.rotation_degrees, "degrees", INFO, moved.reference, [])
    if not np.nan_to_num(moved.displacement_mm).any():
        style = {"color": MUTED, "fontsize": 10, "ha": "center", "va": "center", "transform": upper.transAxes}
        upper.text(0.5, 0.55, "No volume was moved.", **style)
    labels, kind = volume_labels(moved.series)
    step = max(1, -(-count // _MOST_LABELS))
    lower.set_xticks(range(0, count, step), labels[::step])
    lower.set_xlabel(kind, color=MUTED, fontsize=9)
    lower.set_xlim(-0.6, max(count, 2) - 0.4)
    title = f"{series_name(moved.series)}: displacement and rotation of each volume"
    write(figure, 0.12 / width, 1 - 0.12 / height, title, color=TEXT, fontsize=11, ha="left", va="top")
    for number, line in enumerate(reversed(lines)):
        write(figure, 0.12 / width, (0.1 + 0.2 * number) / height, line, color=PENDING, fontsize=8.5, ha="left")
    return Picture(figure, f"{title}. {_words(moved)} {' '.join(lines)}".strip())


def _bars(axes: Any, values: Array, unit: str, colour: str, reference: int, flagged: list[int]) -> None:
    style_chart(axes)
    heights = np.where(np.isfinite(values), values, 0.0)
    colours = [PENDING if k in flagged else colour for k in range(len(heights))]
    axes.bar(range(len(heights)), heights, color=colours, width=0.62)
    top = 1.2 * max(float(heights.max()), _LEAST_TOP)
    axes.set_ylim(0, top)
    axes.set_ylabel(unit, color=MUTED, fontsize=9)
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.text(reference, 0.03 * top, "ref", color=TEXT, fontsize=8, ha="center", va="bottom")
    for k in flagged:
        axes.text(k, heights[k] + 0.02 * top, "!", color=PENDING, fontsize=11, ha="center", va="bottom", weight="bold")


def _flag_lines(moved: MotionCorrection, flagged: list[int]) -> list[str]:
    lines = [
        f"! {volume_name(moved.series, k)}: {' '.join(str(flag) for flag in moved.flags[k])}"
        for k in flagged[:_MOST_FLAGS]
    ]
    return [*lines, f"and {len(flagged) - _MOST_FLAGS} more to look at"] if len(flagged) > _MOST_FLAGS else lines


def _words(moved: MotionCorrection) -> str:
    shift = np.nan_to_num(moved.displacement_mm)
    if not shift.any():
        return "No volume was moved."
    k = int(shift.argmax())
    return f"Largest: {shift[k]:.1f} mm, {volume_name(moved.series, k)}."
