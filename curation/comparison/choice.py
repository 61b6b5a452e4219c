"""What comparisons share: which volumes are shown, what they are called, and how they are seen in a region."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from curation.drawing import header_text
from curation.geometry import Array
from curation.registration.motion import MotionCorrection
from curation.series import Series
from curation.volume import Volume

HALF_MM: Final = 60.0
"""Half extent of what is shown around the centre: the gland and what borders on it. In the whole field of view two
millimetres of motion cannot be seen."""

NO_MOTION: Final = "There is no diffusion-weighted or dynamic series here, so there is no motion to compare."


def series_name(series: Series) -> str:
    """Return what a series is called in pictures: its role and its description."""
    role = series.role.upper() if series.role in ("dwi", "dce", "adc", "pd") else series.role
    return f"{role}  {header_text(series.description)}".strip()


def volume_labels(series: Series) -> tuple[list[str], str]:
    """Return a short label for each volume, and what the labels are: b-values, seconds or numbers from 1."""
    count = max(series.n_volumes, 1)
    if series.b_values and len(series.b_values) == count:
        return [f"{b:g}" for b in series.b_values], "b-value (s/mm²)"
    times = series.acquisition_times_s
    if times and len(times) == count and None not in times:
        return [f"{time or 0:.0f}" for time in times], "start of volume (s)"
    return [str(k + 1) for k in range(count)], "volume"


def volume_name(series: Series, k: int) -> str:
    """Return what volume k is called in a sentence: ``volume 3 of 12 (16 s)``."""
    labels, kind = volume_labels(series)
    number = f"volume {k + 1} of {len(labels)}"
    if kind.startswith("b"):
        return f"{number} (b = {labels[k]} s/mm²)"
    return f"{number} ({labels[k]} s)" if kind.startswith("start") else number


def chosen_volumes(moved: MotionCorrection, limit: int) -> list[int]:
    """Return which volumes to show, in their order.

    All of them where they are no more than `limit`; else the reference, then those with flags and those that moved
    most, and evenly spread ones for the rest.
    """
    count = len(moved.sources)
    if count <= limit:
        return list(range(count))
    shift = np.nan_to_num(moved.displacement_mm)
    pointed = [k for k in np.argsort(-shift, kind="stable") if moved.flags[k] or shift[k] > 0]
    chosen = dict.fromkeys([moved.reference, *(int(k) for k in pointed[: limit // 2])])
    for k in np.linspace(0, count - 1, limit).round().astype(int):
        if len(chosen) < limit:
            chosen[int(k)] = None
    for k in range(count):
        if len(chosen) < limit:
            chosen[k] = None
    return sorted(chosen)


def choice_note(moved: MotionCorrection, chosen: list[int]) -> str:
    """Say which volumes are shown, where not all are."""
    if len(chosen) == len(moved.sources):
        return ""
    return (
        f"{len(chosen)} of {len(moved.sources)} volumes: the reference, those that moved most or are flagged, "
        "and others evenly spread. "
    )


def seen(volume: Volume, grid: tuple[Array, tuple[int, int, int]], transform: Array) -> NDArray[np.float32]:
    """Return what of a moved volume is seen on the grid of one slice, shape (rows, columns).

    The values are those of the result of a correction: interpolated once, from the volume as acquired.
    """
    affine, shape = grid
    return np.asarray(volume.resampled(affine, shape, transform=transform).array[0], dtype=np.float32)


def moved_text(moved: MotionCorrection, k: int) -> str:
    """Return in a few words what was done with volume k."""
    if k == moved.reference:
        return "reference"
    if np.array_equal(moved.transforms[k], np.eye(4)):
        return "as acquired"
    return f"moved {moved.displacement_mm[k]:.1f} mm"
