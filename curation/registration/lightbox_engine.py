"""Our own engine: the correlation ratio for the volumes of one series, mutual information where that fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from curation.geometry import Array, inverse
from curation.problems import Problem
from curation.reading.dicom_io import Progress
from curation.registration import correlation_ratio, guard, mutual_information
from curation.registration.parameters import RegistrationParameters, RegistrationStep
from curation.registration.poses import displacement_mm
from curation.registration.pyramid import Level, pyramid
from curation.registration.results import in_threads
from curation.volume import Volume

Levels = tuple[Level, Level, Level]
Flags = tuple[tuple[Problem, ...], ...]


def motion_transforms(
    volumes: Sequence[Volume],
    reference: int,
    parameters: RegistrationParameters,
    *,
    refine_gland: bool = False,
    progress: Progress | None = None,
) -> tuple[Array, Flags]:
    """Find where the volumes of a series lie relative to one of them.

    Parameters
    ----------
    volumes : sequence of Volume
        On one grid.
    reference : int
    parameters : RegistrationParameters
        A rigid step with three levels, optionally an affine one.
    refine_gland : bool
        Whether the region around the centre is followed by itself afterwards.
    progress : callable, optional
        Called with the number of volumes done and of all.

    Returns
    -------
    transforms : ndarray, shape (n, 4, 4)
        Maps an LPS point seen in volume k to where it lies in the reference.
    flags : tuple of tuple of Problem
        For each volume, what a person should look at.
    """
    task = _Task(volumes[reference], parameters, refine_gland)
    done = _Counter(len(volumes), progress)

    def follow(k: int) -> tuple[Array, tuple[Problem, ...]]:
        result = (np.eye(4), ()) if k == reference else task.follow(volumes[k])
        done.one_more()
        return result

    found = in_threads(follow, range(len(volumes)))
    transforms = np.stack([transform for transform, _ in found])
    flags = guard.flags_of(volumes, reference, transforms)
    return transforms, tuple((*said, *seen) for (_, said), seen in zip(found, flags, strict=True))


class _Counter:
    """Counts over threads and tells."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done, self._lock = total, progress, 0, threading.Lock()

    def one_more(self) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)


def _iterations(step: RegistrationStep) -> tuple[int, int, int]:
    coarse, middle, fine = (level.level_iters for level in step.levels)
    return coarse, middle, fine


class _Task:
    """The reference of a series and how its volumes are followed."""

    def __init__(self, volume: Volume, parameters: RegistrationParameters, refine_gland: bool) -> None:
        rigid, *affine = parameters.registration_steps
        self.iterations = _iterations(rigid)
        self.affine_iterations = _iterations(affine[0]) if affine else None
        self.volume, self.refine_gland = volume, refine_gland
        self.reference = correlation_ratio.Reference(volume)
        self.centre = volume.centre_mm
        self.corners = guard.region_corners(volume)
        self.likeness = guard.Likeness(volume)

    def follow(self, moving: Volume) -> tuple[Array, tuple[Problem, ...]]:
        """Return the transform of one volume and what was unusual about finding it."""
        levels = pyramid(moving)
        if min(self.reference.shape) < 2 or min(levels[2].image.shape) < 2:
            return np.eye(4), (Problem("not-corrected", "It has too few slices for motion to be looked for."),)
        pose = correlation_ratio.align(
            self.reference, levels, iterations=self.iterations, affine_iterations=self.affine_iterations
        )
        said: tuple[Problem, ...] = ()
        if self._unmoved(levels[2], pose):
            pose = np.eye(4)
        elif reason := self._doubt(levels, pose):
            pose, said = self._second_way(levels, reason)
        if self.refine_gland:
            pose = self._refined(levels, pose)
        return inverse(pose), said

    def _unmoved(self, moving: Level, pose: Array) -> bool:
        """Return whether the volume is better left as acquired."""
        most = displacement_mm(pose, self.corners).max()
        return most <= guard.LEAST_MM or (most <= guard.SMALL_MM and self.likeness.worsens(moving, pose, 0.0))

    def _doubt(self, levels: Levels, pose: Array) -> str:
        if np.array_equal(pose, np.eye(4)):
            return ""
        if reason := guard.implausible(pose, self.centre):
            return reason
        return "the images would agree less than before" if self.likeness.worsens(levels[2], pose) else ""

    def _second_way(self, levels: Levels, reason: str) -> tuple[Array, tuple[Problem, ...]]:
        """Try mutual information; without a better result the volume stays as acquired."""
        pose = self._by_information(levels, np.eye(4))
        if not self._doubt(levels, pose):
            text = f"The first result was not believed ({reason}); another measure gave this one. Look at it."
            return pose, (Problem("second-measure", text),)
        text = f"It was left as acquired: {reason}, and another measure found nothing better."
        return np.eye(4), (Problem("not-corrected", text),)

    def _refined(self, levels: Levels, pose: Array) -> Array:
        """Return where the gland lies by itself, if it looks more alike there."""
        refined = self._by_information(levels, pose)
        likeness = guard.Likeness(self.volume, gland=True)
        better = likeness(levels[2], refined) > likeness(levels[2], pose)
        return refined if better and not guard.implausible(refined, self.centre) else pose

    def _by_information(self, levels: Levels, home: Array) -> Array:
        region = mutual_information.Region(self.centre)
        target = mutual_information.Target(self.volume, region)
        return mutual_information.Pair(target, levels, home=home).align()
