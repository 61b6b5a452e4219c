"""Rigid registration of images of different kinds in a region, by mutual information with a prior.

Mutual information of a small, smooth gland hardly changes with rotation, so that every unrestrained maximiser drifts
by millimetres. A prior keeps the result near its start, the scanner's own alignment, unless the images say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation import resampling
from curation.geometry import Array, apply_affine, inverse, spacing_mm
from curation.registration import information_kernels, kernels
from curation.registration.poses import rotation_vector, step
from curation.registration.pyramid import Level, crop, pyramid
from curation.registration.sampling import Samples, sample, spread_indices, value_range, values_at
from curation.volume import Volume

SAMPLES: Final = (12_000, 25_000)
"""Points of the coarse and of the fine level."""
ITERATIONS: Final = (30, 30)
BINS: Final = 32
PRIOR_MM: Final = 5.0
PRIOR_RAD: Final = float(np.radians(3.0))
PRIOR_WEIGHT: Final = 0.005
"""Half this, in nats, is what a displacement of PRIOR_MM or a turn of PRIOR_RAD costs."""

_SCALES: Final = np.array([1.0, 1.0, 1.0, 0.02, 0.02, 0.02])
"""What counts alike for the optimiser: 1 mm, and 0.02 rad, which is 1 mm at 50 mm from the centre."""
_LONGEST_MM: Final = 3.0
_TOLERANCE_MM: Final = (0.1, 0.02)
_LEAST: Final = 500
"""With fewer points in common there is no result."""
_FOREGROUND: Final = 0.25
"""Points count where the moving image has at least this share of its upper quartile: air tells nothing."""
_AROUND_MM: Final = (15.0, 0.0)
"""The coarse level looks around the region too: bones and muscles bring it near. The fine level follows the gland,
which moves on its own where bladder and rectum fill."""
_MARGIN_MM: Final = 25.0


@dataclass(frozen=True)
class Region:
    """A box along the axes of the static image.

    Parameters
    ----------
    centre_mm : ndarray, shape (3,)
        LPS.
    half_mm : tuple of float
        Half of its extent along (z, y, x) of the static image.
    """

    centre_mm: Array
    half_mm: tuple[float, float, float] = (30.0, 35.0, 35.0)

    def indices(self, level: Level, count: int, around_mm: float = 0.0) -> Array:
        """Return evenly spread (z, y, x) indices of the box, grown by `around_mm`, in an image."""
        centre = apply_affine(inverse(level.affine), self.centre_mm)
        reach = (np.array(self.half_mm) + around_mm) / np.array(spacing_mm(level.affine))
        low = np.clip(centre - reach, 0, np.array(level.image.shape) - 1.0)
        high = np.clip(centre + reach, 0, np.array(level.image.shape) - 1.0)
        return np.asarray(low + spread_indices((2, 2, 2), count) * (high - low))


class Target:
    """The static side: what depends on the static volume and the region alone, made once.

    Parameters
    ----------
    volume : Volume
    region : Region
    bins : int
        Of the histogram, for static and moving values.
    samples : tuple of int
        Points per level, before those are left out at which the moving image has no signal.
    """

    def __init__(self, volume: Volume, region: Region, *, bins: int = BINS, samples: tuple[int, int] = SAMPLES) -> None:
        self.region, self.bins, self.samples = region, bins, samples
        self.levels = pyramid(crop(volume, region.centre_mm, [half + _MARGIN_MM for half in region.half_mm]))[:2]


class _Work:
    """Arrays that every look fills anew; each climb has its own, so that climbs can run side by side."""

    def __init__(self, count: int, shape: tuple[int, int]) -> None:
        self.values = np.empty((5, count), np.float32)
        self.rows = np.empty((8, count), np.float32)
        self.slopes = np.empty(count, np.float32)
        self.histogram = np.empty(shape)
        self.logarithms = np.empty(shape, np.float32)
        self.gradient = np.empty(6)


class Pair:
    """A target and a moving image, ready to be aligned from several starts.

    Parameters
    ----------
    target : Target
    moving : tuple of Level
        From `curation.registration.pyramid.pyramid`.
    home : ndarray, shape (4, 4), optional
        Centre of the prior: maps an LPS point of the static image to where it is expected in the moving one.
        Identity without it.
    prior_weight : float
        0 for none.
    """

    def __init__(
        self,
        target: Target,
        moving: tuple[Level, Level, Level],
        *,
        home: Array | None = None,
        prior_weight: float = PRIOR_WEIGHT,
    ) -> None:
        self.home = np.eye(4) if home is None else home
        self.levels: list[_Ascent] = []
        plan = zip(moving[:2], target.levels, target.samples, _AROUND_MM, strict=True)
        for level, static, count, around in plan:
            samples = _common(target, static, moving[0], self.home, (count, around))
            if samples.count >= _LEAST and level.image.max() > level.image.min():
                self.levels.append(_Ascent(target, level, samples, self.home, prior_weight))

    @property
    def blind(self) -> bool:
        """Whether the images have too little in common to be aligned."""
        return len(self.levels) < len(SAMPLES)

    def align(self, start: Array | None = None, iterations: tuple[int, int] = ITERATIONS) -> Array:
        """Maximise from a start, coarse to fine.

        Parameters
        ----------
        start : ndarray, shape (4, 4), optional
            The centre of the prior without it.
        iterations : tuple of int
            Most looks at the images per level.

        Returns
        -------
        ndarray, shape (4, 4)
            Maps an LPS point of the static image to where it is seen in the moving one; `start` where the pair is
            blind.
        """
        pose = self.home if start is None else start
        if not self.blind:
            for level, limit, tolerance in zip(self.levels, iterations, _TOLERANCE_MM, strict=True):
                pose = level.climb(pose, limit, tolerance)
        return pose


def _common(target: Target, static: Level, moving: Level, home: Array, reach: tuple[int, float]) -> Samples:
    """Sample the region where the moving image has signal at the centre of the prior."""
    count, around = reach
    indices = target.region.indices(static, 2 * count, around)
    seen = values_at(moving, apply_affine(inverse(moving.affine) @ home @ static.affine, indices))
    signal = seen[seen > 0]
    level = _FOREGROUND * np.percentile(signal, 75) if signal.size else np.inf
    return sample(static, indices[seen > level][:count], target.bins)


class _Ascent:
    """One level: mutual information minus the cost of the prior, and its gradient."""

    def __init__(self, target: Target, level: Level, samples: Samples, home: Array, weight: float) -> None:
        self.level, self.samples, self.home, self.weight = level, samples, home, weight
        self.anchor = target.region.centre_mm
        self.to_index = inverse(level.affine)
        self.gradient_map = np.ascontiguousarray(self.to_index[:3, :3].T)
        self.shape = (target.bins, target.bins)
        low, high = value_range(level.image)
        self.low, self.width = low, max(high - low, 1e-6) / (target.bins - 5)

    def climb(self, pose: Array, limit: int, tolerance_mm: float) -> Array:
        """Maximise by BFGS steps (Nocedal and Wright, Numerical Optimization, 2006, chapter 6) with backtracking.

        Six parameters need no library, and one that calls threaded linear algebra for them is ten times slower.
        """
        work = _Work(self.samples.count, self.shape)
        value, slope = self._value(pose, work)
        curvature = np.eye(6) / max(float(np.linalg.norm(slope)), 1e-9)  # the first step is 1 mm long
        fresh, looks = True, 1
        while looks < limit:
            ascent = curvature @ slope
            ascent *= min(1.0, _LONGEST_MM / max(float(np.linalg.norm(ascent)), 1e-9))
            length, rise = 1.0, float(slope @ ascent)
            while True:
                change = length * ascent
                tried = step(change * _SCALES, apply_affine(pose, self.anchor)) @ pose
                new_value, new_slope = self._value(tried, work)
                looks += 1
                if new_value >= value + 1e-4 * length * rise:
                    break
                length *= 0.4
                if looks >= limit or length * float(np.linalg.norm(ascent)) < tolerance_mm:
                    return pose
            bend = slope - new_slope
            product = float(change @ bend)
            if product > 1e-12:
                curvature = _updated(np.eye(6) * product / (bend @ bend) if fresh else curvature, change, bend)
                fresh = False
            pose, value, slope = tried, new_value, new_slope
            if float(np.abs(change).max()) < tolerance_mm:
                break
        return pose

    def _value(self, pose: Array, work: _Work) -> tuple[float, NDArray[np.float64]]:
        """Return the value and its gradient by a step from `pose`, in units of `_SCALES`."""
        moved = apply_affine(pose, self.anchor)
        to_voxel = np.ascontiguousarray((self.to_index @ pose)[:3])
        resampling.sample_with_gradient(self.level.image, to_voxel, self.samples.points, work.values)
        binned = (work.values, self.samples.starts, self.low, self.width)
        inside = information_kernels.joint_histogram(*binned, work.histogram)
        if inside < 0.3 * self.samples.count:
            return -10.0, np.zeros(6)
        value = information_kernels.information(work.histogram, work.logarithms)
        information_kernels.information_slopes(*binned, work.logarithms, work.slopes)
        kernels.motion_derivatives(work.values, self.samples.points, pose[:3], self.gradient_map, moved, work.rows)
        information_kernels.project(work.rows, work.slopes, work.gradient)
        cost, slope = self._prior(pose, moved)
        return value - cost, (work.gradient / inside - slope) * _SCALES

    def _prior(self, pose: Array, moved: Array) -> tuple[float, NDArray[np.float64]]:
        shift = moved - apply_affine(self.home, self.anchor)
        turn = rotation_vector(pose[:3, :3] @ self.home[:3, :3].T)
        cost = 0.5 * self.weight * (shift @ shift / PRIOR_MM**2 + turn @ turn / PRIOR_RAD**2)
        return float(cost), self.weight * np.concatenate([shift / PRIOR_MM**2, turn / PRIOR_RAD**2])


def _updated(curvature: Array, change: Array, bend: Array) -> Array:
    """Return the BFGS update of the inverse Hessian (Nocedal and Wright, equation 6.17)."""
    share = 1.0 / float(change @ bend)
    left = np.eye(6) - share * np.outer(change, bend)
    return np.asarray(left @ curvature @ left.T + share * np.outer(change, change))


def region_corners(region: Region, affine: ArrayLike, share: float = 0.5) -> Array:
    """Return the corners of a box `share` as large as the region, shape (8, 3) LPS mm: where the gland lies."""
    directions = np.asarray(affine, dtype=np.float64)[:3, :3] / np.array(spacing_mm(np.asarray(affine)))
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    return np.asarray(region.centre_mm + (signs * np.array(region.half_mm) * share) @ directions.T)
