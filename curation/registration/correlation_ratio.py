"""Rigid (optionally affine) registration of two volumes of one series, by the correlation ratio.

The volumes of a series show the same tissue at other b-values or contrast, so the moving value is nearly a function
of the static one. The function is unknown and estimated as it goes: minimised is the variance of the moving values
that the static ones do not explain (correlation ratio: Roche et al., MICCAI 1998;1496:1115), with Tukey's biweight
against what enhances or flows, by Gauss-Newton steps from coarse to fine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from curation import resampling
from curation.geometry import Array, apply_affine, inverse
from curation.registration import kernels
from curation.registration.poses import step
from curation.registration.pyramid import Level, pyramid
from curation.registration.sampling import Samples, sample, spread_indices
from curation.volume import Volume

SAMPLES: Final = (6000, 15_000, 60_000)
"""How many points each level looks at, coarse to fine."""
ITERATIONS: Final = (20, 12, 10)
BINS: Final = 24
_TOLERANCE_MM: Final = (0.1, 0.05, 0.02)
"""A level ends when a step moves nothing within 50 mm of the centre by more than about this."""
_ARM_MM: Final = 50.0
_TUKEY: Final = 4.0
"""Residuals beyond so many times their scale count nothing."""


class Reference:
    """The static side of a series: all that depends on the reference volume alone, made once.

    Parameters
    ----------
    volume : Volume
    samples : tuple of int
        Points per level, coarse to fine.
    """

    def __init__(self, volume: Volume, samples: tuple[int, int, int] = SAMPLES) -> None:
        self.centre = volume.centre_mm
        levels = pyramid(volume)
        finest = levels[-1].image
        self.shape = finest.shape
        self.flat = bool(finest.max() <= finest.min()) or min(self.shape) < 2
        self.levels = (
            [] if self.flat else [_samples(level, count) for level, count in zip(levels, samples, strict=True)]
        )


def _samples(level: Level, count: int) -> Samples:
    return sample(level, spread_indices(level.image.shape, min(count, level.image.size)), BINS)


def align(
    reference: Reference,
    moving: tuple[Level, Level, Level],
    *,
    iterations: tuple[int, int, int] = ITERATIONS,
    affine_iterations: tuple[int, int, int] | None = None,
    start: Array | None = None,
) -> Array:
    """Align a volume with the reference.

    Parameters
    ----------
    reference : Reference
    moving : tuple of Level
        From `curation.registration.pyramid.pyramid`; on any grid.
    iterations : tuple of int
        Most Gauss-Newton steps per level, coarse to fine.
    affine_iterations : tuple of int, optional
        Most steps with twelve parameters per level, after the rigid ones; none without it.
    start : ndarray, shape (4, 4), optional
        Where to begin; identity without it.

    Returns
    -------
    ndarray, shape (4, 4)
        Maps an LPS point of the reference to where it is seen in `moving`. What begins as it is (`start`) stays so
        where either volume has no contrast at all.
    """
    pose = np.eye(4) if start is None else start.copy()
    finest = moving[2].image
    if reference.flat or finest.max() <= finest.min() or min(finest.shape) < 2:
        return pose
    for parameters, limits in ((6, iterations), (12, affine_iterations)):
        steps = zip(moving, reference.levels, limits or (), _TOLERANCE_MM, strict=False)
        for level, samples, limit, tolerance in steps:
            pose = _descend(pose, level, samples, reference.centre, (parameters, limit, tolerance))
    return pose


def _descend(pose: Array, level: Level, samples: Samples, centre: Array, plan: tuple[int, int, float]) -> Array:
    """Take Gauss-Newton steps on one level until they are small."""
    parameters, iterations, tolerance = plan
    count = samples.count
    to_index = inverse(level.affine)
    gradient_map = np.ascontiguousarray(to_index[:3, :3].T)
    values, means = np.empty((5, count), np.float32), np.empty(BINS + 1)
    rows, system = np.empty((parameters + 2, count), np.float32), np.empty((parameters + 1, parameters + 1))
    scale = 1e9
    for iteration in range(iterations):
        moved = apply_affine(pose, centre)
        resampling.sample_with_gradient(
            level.image, np.ascontiguousarray((to_index @ pose)[:3]), samples.points, values
        )
        kernels.conditional_means(values, samples.fraction, samples.starts, means)
        kernels.motion_derivatives(values, samples.points, pose[:3], gradient_map, moved, rows)
        limit = _TUKEY * scale
        total, inside = kernels.weigh_rows(values, samples.fraction, samples.starts, means, limit, rows)
        if inside < 0.1 * count:
            return pose  # nothing left in common: what is there is better than a guess
        # 1.25 times the mean absolute residual is the standard deviation of a normal distribution.
        scale = max(1.25 * total / inside, 1e-6)
        kernels.normal_equations(rows, system)
        damped = system[:-1, :-1] + np.diag(np.diag(system[:-1, :-1]) * 1e-3 + 1e-9)
        change = -np.linalg.solve(damped, system[-1, :-1])
        if not np.isfinite(change).all():
            return pose  # values so large that their products overflow
        pose = step(change, moved) @ pose
        if iteration and np.abs(change[:3]).max() + _ARM_MM * np.abs(change[3:]).max() < tolerance:
            break
    return pose
