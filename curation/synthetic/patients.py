"""Who the synthetic patients are: how they differ, drawn from a seed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

import numpy as np

from curation.synthetic.shapes import Vector

Scanner = Literal["siemens", "ge", "philips"]
Zone = Literal["peripheral", "transition"]

_SCANNERS: tuple[Scanner, ...] = ("siemens", "ge", "philips")
# Every fourth patient has no lesion; the others alternate zones as in a screened cohort.
_LESION_ZONES: tuple[Zone | None, ...] = ("peripheral", "transition", None, "peripheral")


@dataclass(frozen=True)
class Lesion:
    """Zone, centre and radii in mm (anatomical axes, from the gland's centre) and turn about z in degrees."""

    zone: Zone
    centre: Vector
    radii: Vector
    turn_degrees: float


@dataclass(frozen=True)
class Patient:
    """One patient.

    Parameters
    ----------
    number : int
        From 1.
    seed : int
        Of the cohort.
    scanner : str
        Whose habits the files follow.
    date : datetime.date
        Of the study.
    age_years : int
    gland_radii : tuple of float
        Half of width, depth and height of the prostate, mm.
    transition_share : float
        Radii of the transition zone relative to the gland's.
    nodules : int
        Of hyperplasia in the transition zone.
    bladder_radius, gas_radius, fat_mm : float
        Filling of the bladder, gas in the rectum, fat under the skin; mm.
    tilt_degrees : float
        Of axial and coronal slices about the left-right axis.
    isocentre : tuple of float
        Centre of the gland in LPS mm.
    noise : float
        Standard deviation of each of the two Gaussian channels, relative to the signal of muscle.
    lesion : Lesion or None
    """

    number: int
    seed: int
    scanner: Scanner
    date: datetime.date
    age_years: int
    gland_radii: Vector
    transition_share: float
    nodules: int
    bladder_radius: float
    gas_radius: float
    fat_mm: float
    tilt_degrees: float
    isocentre: Vector
    noise: float
    lesion: Lesion | None

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return f"SYNTHETIC-{self.seed}-{self.number:02d}"

    def random(self, purpose: int) -> np.random.Generator:
        """Return the patient's generator for one purpose, independent of all others."""
        return np.random.default_rng([self.seed, self.number, purpose])


def draw_patient(seed: int, number: int) -> Patient:
    """Draw patient `number` (from 1) of the cohort with this seed; the same for any size of cohort."""
    rng = np.random.default_rng([seed, number])
    share = float(rng.uniform(0.60, 0.76))
    width = float(rng.uniform(23, 30) * (1 + 0.25 * (share - 0.6)))
    radii = (width, width * float(rng.uniform(0.68, 0.78)), width * float(rng.uniform(0.80, 0.98)))
    zone = _LESION_ZONES[(number - 1) % len(_LESION_ZONES)]
    return Patient(
        number=number,
        seed=seed,
        scanner=_SCANNERS[(number - 1) % len(_SCANNERS)],
        date=datetime.date(2026, 1, 5) + datetime.timedelta(days=int(rng.integers(0, 150))),
        age_years=int(rng.integers(52, 78)),
        gland_radii=radii,
        transition_share=share,
        nodules=int(rng.integers(14, 24)),
        bladder_radius=float(rng.uniform(20, 32)),
        gas_radius=float(rng.uniform(0, 8)),
        fat_mm=float(rng.uniform(12, 30)),
        tilt_degrees=float(rng.uniform(0, 18)),
        isocentre=(float(rng.uniform(-4, 4)), float(rng.uniform(-30, -5)), float(rng.uniform(-25, 15))),
        noise=float(rng.uniform(0.07, 0.12)),
        lesion=None if zone is None else _draw_lesion(rng, zone, radii, share),
    )


def _draw_lesion(rng: np.random.Generator, zone: Zone, gland: Vector, share: float) -> Lesion:
    side = float(rng.choice([-1.0, 1.0]))
    size = float(rng.uniform(5.0, 9.0))
    height = float(rng.uniform(-0.35, 0.35)) * gland[2]
    if zone == "peripheral":  # posterolateral, along the capsule
        angle = np.radians(rng.uniform(30, 52))  # from the midline behind the gland
        reach = (1 + share) / 2
        centre = (side * gland[0] * reach * float(np.sin(angle)), gland[1] * reach * float(np.cos(angle)), height)
        return Lesion(zone, centre, (size, 0.55 * size, 0.9 * size), -side * float(np.degrees(angle)) * 0.8)
    centre = (side * 0.28 * gland[0], -0.52 * gland[1], height)  # anterior, lenticular
    return Lesion(zone, centre, (1.5 * size, 0.75 * size, size), side * 12.0)
