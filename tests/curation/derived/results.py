"""Results to write: what motion correction, co-registration and an ADC fit give, made by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation import Series, Volume
from curation.derivation import Derivation
from curation.geometry import Array

PARAMETERS = {
    "registration_steps": [
        {"registration_step_name": "rigid", "levels": [{"factor": 2, "level_iters": 100, "sigma": 2.0}]}
    ],
    "nbins": 32,
    "sampling_prop": 0.1,
}
UNIT = ("um2/s", "square micrometer per second")


class Lazy(Sequence[Volume]):
    """Volumes that are computed when they are read; `reads` holds which were, in order."""

    def __init__(self, count: int, compute: Callable[[int], Volume]) -> None:
        self._count, self._compute = count, compute
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: Any) -> Any:
        if not 0 <= k < self._count:
            raise IndexError(k)
        self.reads.append(k)
        return self._compute(k)


def rigid(degrees: float, shift_mm: Sequence[float]) -> Array:
    """Return a turn about z and a shift."""
    matrix = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = shift_mm
    return matrix


def transforms(count: int) -> Array:
    """Return the identity and then growing movements."""
    return np.stack([rigid(0.7 * k, (0.8 * k, -0.5 * k, 0.3 * k)) for k in range(count)])


def resampled(volume: Volume, affine: Array, shape: tuple[int, int, int], transform: Array, frame: str) -> Volume:
    """Return the volume moved by the transform, on another grid."""
    indices = np.moveaxis(np.indices(shape), 0, -1)
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(transform)
    return Volume(volume.sample(points @ inverse[:3, :3].T + inverse[:3, 3]), affine, frame)


def motion_corrected(series: Series, **changes: Any) -> Derivation:
    """Return a motion correction of a series."""
    first, moves = series.volume(0), transforms(series.n_volumes)

    def compute(k: int) -> Volume:
        uid = series.frame_of_reference_uid
        return resampled(series.volume(k), first.affine, first.shape, moves[k], uid)

    return _derivation(series, "motion_correction", Lazy(series.n_volumes, compute), moves, changes)


def coregistered(series: Series, static: Series, **changes: Any) -> Derivation:
    """Return a series on the grid of a static one; every other slice where that is large."""
    target = static.volume(0)
    moves = rigid(1.0, (2, 1, -1)) @ transforms(series.n_volumes)

    def compute(k: int) -> Volume:
        uid = static.frame_of_reference_uid
        return resampled(series.volume(k), target.affine, target.shape, moves[k], uid)

    changes = {"static": static, **changes}
    return _derivation(series, "coregistration", Lazy(series.n_volumes, compute), moves, changes)


def adc(series: Series, **changes: Any) -> Derivation:
    """Return a map of 10^-6 mm2/s that was fitted to all volumes of a diffusion series."""
    low, high = series.volume(0), series.volume(series.n_volumes - 1)
    values = 1000 * np.log((low.array + 1) / (high.array + 1))
    volume = Volume(values.astype(np.float32), low.affine, low.frame_of_reference_uid)
    changes = {"role": "adc", "b_values": None, "times_s": None, "unit": UNIT, **changes}
    return _derivation(series, "adc", [volume], None, changes)


def _derivation(
    series: Series, function: Any, volumes: Sequence[Volume], moves: Array | None, changes: dict[str, Any]
) -> Derivation:
    values: dict[str, Any] = {
        "function": function,
        "source": series,
        "volumes": volumes,
        "role": series.role,
        "description": f"{series.description[:40]} {function}",
        "engine": "lightbox",
        "engine_version": "0.1.0",
        "parameters": PARAMETERS,
        "transforms": moves,
        "b_values": series.b_values,
        "times_s": series.acquisition_times_s,
    }
    return Derivation(**{**values, **changes})


def step_of(values: Sequence[NDArray[np.float32]]) -> float:
    """Return the step that 16-bit integers need for these values."""
    return (max(float(v.max()) for v in values) - min(float(v.min()) for v in values)) / 65535
