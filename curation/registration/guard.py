"""Whether a result can be believed, and what of a volume a person should look at.

A registration that fails does so silently: the maximum of a similarity is somewhere else. So a result counts only if
a pelvis on a table can have moved that way and the images agree at least as well as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from curation import agreement, geometry
from curation.geometry import Array
from curation.problems import Problem
from curation.registration.poses import displacement_mm, rotation_vector
from curation.registration.pyramid import Level, clean
from curation.registration.sampling import spread_indices, values_at
from curation.volume import Volume

MOST_MM: Final = 25.0
"""At the centre. Within one series of some minutes a pelvis moves by a few mm; whole-table shifts are not motion."""
MOST_DEGREES: Final = 15.0
MOST_STRETCH: Final = 0.1
"""How much an affine result may differ from a rigid one: the pelvis does not change its size."""
NOTED_MM: Final = 3.0
"""Motion from which a volume is pointed out: about a slice."""
LEAST_MM: Final = 0.1
"""A volume that moves nothing in the region by more is left as acquired: the estimate scatters by about as much, and
interpolation would cost more than it corrects."""

SMALL_MM: Final = 1.0
"""A result that moves nothing in the region by more must raise the similarity, or the volume is left as acquired."""
CHANCE: Final = 0.002
"""How much normalised mutual information may fall by chance."""

_REGION_MM: Final = (30.0, 35.0, 35.0)
_POINTS: Final = 20_000
_LIKENESS_POINTS: Final = 8_000
_SATURATED: Final = 0.005


def region_points(volume: Volume, count: int = _POINTS, half_mm: tuple[float, float, float] = _REGION_MM) -> Array:
    """Return evenly spread points around the centre of a volume, where the gland is; shape (count, 3) LPS mm."""
    reach = np.minimum(np.array(half_mm) / np.array(volume.spacing_mm), (np.array(volume.shape) - 1) / 2)
    middle = (np.array(volume.shape) - 1) / 2
    return volume.to_lps(middle - reach + 2 * reach * spread_indices((2, 2, 2), count))


def region_corners(volume: Volume, half_mm: tuple[float, float, float] = _REGION_MM) -> Array:
    """Return the corners of the region around the centre, shape (8, 3) LPS mm."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    middle = (np.array(volume.shape) - 1) / 2
    return volume.to_lps(middle + signs * np.array(half_mm) / np.array(volume.spacing_mm))


class Likeness:
    """Normalised mutual information of one static volume with others.

    Parameters
    ----------
    static : Volume
    gland : bool
        Whether only the region around the centre counts, not the whole volume.
    """

    def __init__(self, static: Volume, *, gland: bool = False) -> None:
        if gland:
            indices = static.to_index(region_points(static, _LIKENESS_POINTS))
        else:
            indices = spread_indices(static.shape, _LIKENESS_POINTS)
        self._points = static.to_lps(indices)
        self._values = values_at(clean(static), indices)

    def __call__(self, moving: Level, pose: Array) -> float:
        """Return the likeness, 1 where there is nothing to compare.

        `pose`, shape (4, 4), maps an LPS point of the static volume to where it is seen in `moving`.
        """
        to_index = geometry.inverse(moving.affine) @ pose
        seen = values_at(moving, geometry.apply_affine(to_index, self._points))
        return agreement.nmi(self._values, seen) or 1.0

    def worsens(self, moving: Level, pose: Array, loss: float = CHANCE) -> bool:
        """Return whether the images agree less with the pose than without it, by more than `loss`."""
        return self(moving, pose) < self(moving, np.eye(4)) - loss


def implausible(pose: Array, centre: Array) -> str:
    """Return why a pelvis cannot have moved so; empty where it can."""
    if not np.isfinite(pose).all():
        return "the result is no transform"
    shift = float(displacement_mm(pose, centre))
    turn = float(np.degrees(np.linalg.norm(rotation_vector(pose[:3, :3]))))
    stretch = float(np.abs(np.linalg.svd(pose[:3, :3], compute_uv=False) - 1).max())
    if shift > MOST_MM:
        return f"a displacement of {shift:.0f} mm is more than the {MOST_MM:.0f} mm that a patient moves"
    if turn > MOST_DEGREES:
        return f"a turn of {turn:.0f} degrees is more than the {MOST_DEGREES:.0f} that a patient turns"
    if stretch > MOST_STRETCH:
        return f"a stretch by {stretch:.0%} is more than the {MOST_STRETCH:.0%} that tissue is deformed"
    return ""


def flags_of(volumes: Sequence[Volume], reference: int, transforms: Array) -> tuple[tuple[Problem, ...], ...]:
    """Return for each volume what a person should look at: its values, and how far it is moved."""
    centre = volumes[reference].centre_mm
    flags: list[tuple[Problem, ...]] = []
    for volume, transform in zip(volumes, transforms, strict=True):
        shift = float(displacement_mm(transform, centre))
        found = value_flags(volume)
        if reason := implausible(transform, centre):
            found.append(Problem("implausible-motion", f"Look at it closely: {reason}."))
        elif shift > NOTED_MM:
            found.append(Problem("large-motion", f"It moved by {shift:.1f} mm: look at it."))
        flags.append(tuple(found))
    return tuple(flags)


def value_flags(volume: Volume) -> list[Problem]:
    """Return what is wrong with the values of a volume."""
    values = np.asarray(volume.array)
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        return [Problem("not-finite", f"{bad} values are no numbers; they counted as 0.")]
    highest = values.max()
    if highest <= values.min():
        return [Problem("no-contrast", "All values are the same: motion cannot be seen.")]
    share = np.count_nonzero(values == highest) / values.size
    if share > _SATURATED:
        return [Problem("saturated", f"{share:.1%} of the values are the highest possible: they are cut off.")]
    return []
