"""Keeping computed volumes on disk for a moment, and storing them as 16-bit integers with one scale.

The scale of a series needs its smallest and largest value, and volumes may be costly to compute: each is
computed once, noted and put aside, so that memory holds one volume at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from curation.errors import DerivedError
from curation.geometry import Array
from curation.volume import Volume

SAME_GRID_TOLERANCE_MM = 1e-3
WINDOW_PERCENTILES = (1.0, 99.0)

_SAMPLES = 50_000  # per volume, for percentiles
_LEVELS = 65535


@dataclass(frozen=True, eq=False)
class Staged:
    """Volumes of one grid on disk, with what a scale must know of their values."""

    files: tuple[Path, ...]
    affine: Array
    shape: tuple[int, int, int]
    frame_of_reference_uid: str
    low: float
    high: float
    integral: bool
    samples: tuple[NDArray[np.float32], ...]

    def values(self, k: int) -> NDArray[np.float32]:
        """Return volume k, shape (z, y, x)."""
        return np.fromfile(self.files[k], dtype=np.float32).reshape(self.shape)


@dataclass(frozen=True)
class Scale:
    """Value = stored value x slope + intercept, as written in decimal strings (PS3.3 C.11.1.1.2)."""

    slope: str
    intercept: str
    signed: bool

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest stored value."""
        return (-32768, 32767) if self.signed else (0, _LEVELS)

    def stored(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return the 16-bit integers nearest to values."""
        exact = (values.astype(np.float64) - float(self.intercept)) / float(self.slope)
        low, high = self.stored_range
        return np.clip(np.rint(exact), low, high).astype("<i2" if self.signed else "<u2")


def stage(volumes: Sequence[Volume], folder: Path, done: Callable[[], None]) -> Staged:
    """Compute volumes one by one and put them aside.

    Parameters
    ----------
    volumes : sequence of Volume
        Read once each.
    folder : Path
        Exists.
    done : callable
        Called after each volume.

    Returns
    -------
    Staged

    Raises
    ------
    DerivedError
        If there is no volume, a value is not finite, or the grids or frames of reference differ.
    """
    first: Volume | None = None
    files: list[Path] = []
    samples: list[NDArray[np.float32]] = []
    extremes: list[float] = []
    integral = True
    for k in range(len(volumes)):
        volume = volumes[k]
        # Of the first only the place is kept.
        first = first or Volume(np.broadcast_to(np.int8(0), volume.shape), volume.affine, volume.frame_of_reference_uid)
        _check_same_grid(volume, first, k)
        values = np.ascontiguousarray(volume.array, dtype=np.float32)
        extremes += _range(values, k)
        integral = integral and bool(np.array_equal(np.rint(values), values))
        files.append(folder / str(k))
        # Not numpy.save: it does not notice that the last bytes found no space.
        files[-1].write_bytes(values.data)
        samples.append(values.reshape(-1)[:: values.size // _SAMPLES + 1].copy())
        done()
    if first is None:
        raise DerivedError("There is no volume to write; a derived series has at least one.")
    uid = first.frame_of_reference_uid
    low, high = min(extremes), max(extremes)
    return Staged(tuple(files), first.affine, first.shape, uid, low, high, integral, tuple(samples))


def _range(values: NDArray[np.float32], k: int) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise DerivedError(
            f"Volume {k} holds {count} value(s) that are not finite, which integers cannot hold. "
            "Decide what they mean and replace them before writing."
        )
    return low, high


def _check_same_grid(volume: Volume, first: Volume, k: int) -> None:
    if volume.shape != first.shape:
        raise DerivedError(f"Volume {k} has the shape {volume.shape}, volume 0 {first.shape}; a series has one grid.")
    if np.abs(volume.affine - first.affine).max() > SAME_GRID_TOLERANCE_MM:
        raise DerivedError(f"Volume {k} lies elsewhere than volume 0; resample all volumes of a series to one grid.")
    if volume.frame_of_reference_uid != first.frame_of_reference_uid:
        raise DerivedError(
            f"Volume {k} lies in frame of reference {volume.frame_of_reference_uid or 'none'}, volume 0 in "
            f"{first.frame_of_reference_uid or 'none'}; a series lies in one."
        )


def choose_scale(staged: Staged) -> Scale:
    """Return the scale with the smallest steps: 1 where all values are whole, else range / 65535.

    Parameters
    ----------
    staged : Staged

    Returns
    -------
    Scale
        Signed where there are negative values; zero is then kept exactly but for rounding of the intercept.
    """
    low, high = staged.low, staged.high
    signed = low < 0
    largest = 32767 if signed else _LEVELS
    if staged.integral and low >= largest - _LEVELS and high <= largest:
        return Scale("1", "0", signed)
    if low == high:
        return Scale("1", format_number_as_ds(low), False)
    if not signed:
        return Scale(format_number_as_ds((high - low) / _LEVELS), format_number_as_ds(low), False)
    # One step less than the range has, so that zero falls on a whole stored value.
    slope = format_number_as_ds((high - low) / (_LEVELS - 1))
    shift = round(low / float(slope)) + 32768
    return Scale(slope, format_number_as_ds(shift * float(slope) + 0.0), True)


def window(samples: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Return centre and width of a window from the 1st to the 99th percentile of the values above 0.

    The zeros beyond the edge of a resampled image say nothing of it. Without any value above 0 all count.
    """
    values = np.concatenate(list(samples))
    positive = values[values > 0]
    low, high = np.percentile(positive if positive.size else values, WINDOW_PERCENTILES)
    return float(low + high) / 2, float(high - low)
