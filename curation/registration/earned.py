"""Co-registration by our own engine, and whether a result has earned to replace the scanner's positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from curation import agreement, geometry
from curation.geometry import Array, inverse
from curation.registration import mutual_information
from curation.registration.guard import MOST_STRETCH
from curation.registration.parameters import RegistrationParameters
from curation.registration.poses import displacement_mm, rotation_vector, step
from curation.registration.pyramid import pyramid
from curation.registration.results import in_threads
from curation.volume import Volume

AGREEMENT_MM: Final = 1.0
"""Results from other starts may differ by so much in the gland."""
MOST_MM: Final = 15.0
MOST_DEGREES: Final = 8.0
"""Between series of one session the gland moves by this at most: bladder and rectum fill, the patient shifts. In half
an hour between T2w and DCE it moved by 9 mm (ProstateX-0218, benchmarks/landmarks)."""
LEAST_GAIN: Final = 0.01
"""Edge overlap must rise by so much: what chance alone gives is below it."""

_STARTS: Final = (
    (3, 0, 0, 0, 0.05, 0),
    (-3, 0, 0, 0, 0, -0.05),
    (0, 3, 0, 0.05, 0, 0),
    (0, -2, 3, 0, -0.05, 0.03),
)
"""Other starts: mm and rad."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """A transform that was found, and whether and why it is used."""

    candidate: Array
    accepted: bool
    reasons: tuple[str, ...]


def register(static: Volume, moving: Volume, parameters: RegistrationParameters) -> Verdict:
    """Register two volumes by mutual information in the region of the gland, and judge the result.

    Parameters
    ----------
    static, moving : Volume
    parameters : RegistrationParameters
        One rigid step with two levels; bins.

    Returns
    -------
    Verdict
        Its candidate, shape (4, 4), maps an LPS point of `moving` to where it lies in `static`.
    """
    coarse, fine = (level.level_iters for level in parameters.registration_steps[0].levels)
    region = mutual_information.Region(static.centre_mm)
    target = mutual_information.Target(static, region, bins=parameters.nbins or mutual_information.BINS)
    pair = mutual_information.Pair(target, pyramid(moving))
    if pair.blind:
        return Verdict(np.eye(4), False, ("The images have too little in common around the centre of the static.",))
    starts = [np.eye(4), *(step(values, region.centre_mm) for values in _STARTS)]
    poses = in_threads(lambda start: pair.align(start, (coarse, fine)), starts)
    corners = mutual_information.region_corners(region, static.affine)
    ends = np.stack([geometry.apply_affine(pose, corners) for pose in poses])
    spread = float(np.linalg.norm(ends[1:] - ends[0], axis=-1).max())
    return judge(static, moving, inverse(poses[0]), spread_mm=spread)


def judge(static: Volume, moving: Volume, candidate: Array, *, spread_mm: float | None = None) -> Verdict:
    """Judge a transform: three conditions, each of which can refuse it.

    Parameters
    ----------
    static, moving : Volume
    candidate : ndarray, shape (4, 4)
        Maps an LPS point of `moving` to where it lies in `static`.
    spread_mm : float, optional
        How far results from other starts lie apart in the gland.
    """
    centre = static.centre_mm
    pose = inverse(candidate)
    shift = float(displacement_mm(pose, centre))
    turn = float(np.degrees(np.linalg.norm(rotation_vector(pose[:3, :3]))))
    against: list[str] = []
    if spread_mm is not None and spread_mm > AGREEMENT_MM:
        against.append(f"Started elsewhere it ends {spread_mm:.1f} mm away in the gland (allowed {AGREEMENT_MM:g} mm).")
    stretch = float(np.abs(np.linalg.svd(pose[:3, :3], compute_uv=False) - 1).max())
    if stretch > MOST_STRETCH:
        against.append(f"It stretches by {stretch:.0%}, more than {MOST_STRETCH:.0%}.")
    if shift > MOST_MM or turn > MOST_DEGREES:
        limits = f"{MOST_MM:g} mm and {MOST_DEGREES:g} degrees"
        against.append(f"It moves the gland by {shift:.1f} mm and {turn:.1f} degrees, more than {limits}.")
    if against:
        return Verdict(candidate, False, tuple(against))
    before = agreement.edge_overlap(static, moving)
    after = agreement.edge_overlap(static, moving, transform=candidate)
    if before is None or after is None:
        return Verdict(candidate, False, ("There are too few edges around the gland to judge it by.",))
    change = f"Edge overlap goes from {before:.3f} to {after:.3f}"
    if after < before + LEAST_GAIN:
        return Verdict(candidate, False, (f"{change}: no clear gain over the scanner's positions.",))
    found = f"It moves the gland by {shift:.1f} mm and {turn:.1f} degrees."
    starts = () if spread_mm is None else (f"Other starts end within {spread_mm:.1f} mm.",)
    return Verdict(candidate, True, (f"{change}.", found, *starts))
