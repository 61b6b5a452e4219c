"""Measuring a synthetic patient: images of every series, and how the patient moved meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.geometry import Array
from curation.synthetic import tissues
from curation.synthetic.anatomy import lesion_shape, pelvis
from curation.synthetic.patients import Patient
from curation.synthetic.protocol import ARRIVAL_S, B_VALUES, DYNAMIC_POINTS, SeriesPlan
from curation.synthetic.render import Image, coil, mask_of, paint, points_of, rician, to_anatomy
from curation.synthetic.shapes import rotation
from curation.synthetic.tissues import Tissue

LARGEST_VALUE = 4095  # images are stored in 12 bits

_DWI_POSES = (0, 1, 2)  # the patient moves between b-values
_DYNAMIC_POSES = tuple(0 if point < 5 else 1 if point < 9 else 2 for point in range(DYNAMIC_POINTS))


@dataclass(frozen=True)
class Measured:
    """One volume as the scanner stores it.

    Parameters
    ----------
    values : ndarray of uint16, shape (z, y, x)
    transform : ndarray, shape (4, 4)
        Maps an LPS point seen in this volume to where it lies in the first volume of its series.
    start_s : float
        Seconds from the beginning of the study.
    b : float or None
        s/mm2.
    """

    values: NDArray[np.uint16]
    transform: Array
    start_s: float
    b: float | None = None


def measure(patient: Patient, plan: SeriesPlan) -> list[Measured]:
    """Return the volumes of one series, in the order of acquisition."""
    rng = patient.random(100 + plan.number)
    if plan.kind == "dwi":
        return list(_diffusion(patient, plan, rng))
    if plan.kind == "adc":
        return [_adc(patient, plan, rng)]
    if plan.kind == "dce":
        return list(_dynamic(patient, plan, rng))
    signals = tissues.spin_echo(*_timing(plan))
    image = _image(patient, plan, np.eye(4), signals)[0]
    return [Measured(_stored(plan, _noisy(patient, plan, image, signals, rng)), np.eye(4), plan.start_s)]


def lesion_mask(patient: Patient, plan: SeriesPlan) -> NDArray[np.bool_] | None:
    """Return which elements of a series have their centre in the lesion, None without lesion; (z, y, x)."""
    solid = lesion_shape(patient)
    if solid is None:
        return None
    grid = to_anatomy(plan.affine, np.eye(4), np.array(patient.isocentre))
    return mask_of(grid, points_of(grid, plan.shape, patient), solid)


def poses(patient: Patient, kind: str) -> list[Array]:
    """Return where the patient lay: three transforms as in `Measured`, the first the identity."""
    rng = patient.random(7 if kind == "dwi" else 8)
    found = [np.eye(4)]
    centre = np.array(patient.isocentre)
    for _ in range(2):
        turn = rng.uniform(-2.5, 2.5, size=3)
        shift = rng.uniform(-1, 1, size=3)
        shift *= rng.uniform(1.5, 4.0) / np.linalg.norm(shift)
        pose = np.eye(4)
        pose[:3, :3] = rotation((float(turn[0]), float(turn[1]), float(turn[2])))
        pose[:3, 3] = centre - pose[:3, :3] @ centre + shift
        found.append(pose)
    return found


def _timing(plan: SeriesPlan) -> tuple[float, float]:
    repetition, echo = plan.attributes["RepetitionTime"], plan.attributes["EchoTime"]
    return float(str(repetition)), float(str(echo))


def _image(patient: Patient, plan: SeriesPlan, moved: Array, signals: tissues.Signals) -> Image:
    """Return noise-free images of all contrasts, with coil sensitivity; shape (contrasts, z, y, x)."""
    centre = np.array(patient.isocentre)
    grid = to_anatomy(plan.affine, moved, centre)
    points = points_of(grid, plan.shape, patient)
    image = paint(grid, points, pelvis(patient), signals, 0.9 * plan.pixel_mm)
    return image * coil(plan.affine, plan.shape, centre, patient.random(5))


def _noisy(
    patient: Patient, plan: SeriesPlan, image: Image, signals: tissues.Signals, rng: np.random.Generator
) -> Image:
    return rician(image, plan.noise * patient.noise * float(signals[Tissue.MUSCLE, 0]), rng)


def _stored(plan: SeriesPlan, image: Image) -> NDArray[np.uint16]:
    return np.asarray(np.clip(np.rint(image * plan.gain), 0, LARGEST_VALUE), dtype=np.uint16)


def _diffusion(patient: Patient, plan: SeriesPlan, rng: np.random.Generator) -> Iterator[Measured]:
    signals = tissues.diffusion(*_timing(plan), B_VALUES)
    moves = poses(patient, "dwi")
    for k, b in enumerate(B_VALUES):
        moved = moves[_DWI_POSES[k]]
        image = _image(patient, plan, moved, signals[:, k : k + 1])[0]
        values = _stored(plan, _noisy(patient, plan, image, signals, rng))
        yield Measured(values, moved, plan.start_s + k * plan.duration_s, b)


def _adc(patient: Patient, plan: SeriesPlan, rng: np.random.Generator) -> Measured:
    """Return the ADC in 10^-6 mm2/s from b = 50 and b = 800 of a patient who did not move.

    ADC = ln(S50 / S800) / 750; 0 where there is hardly more than noise, as scanners do.
    """
    ends = (B_VALUES[0], B_VALUES[-1])
    signals = tissues.diffusion(*_timing(plan), ends)
    noisy = _noisy(patient, plan, _image(patient, plan, np.eye(4), signals), signals, rng)
    floor = 9 * plan.noise * patient.noise * float(signals[Tissue.MUSCLE, 0])
    low, high = noisy
    adc = 1e6 * np.log(low / np.maximum(high, 1e-6)) / (ends[1] - ends[0])
    adc[low < floor] = 0
    return Measured(np.clip(np.rint(adc), 0, LARGEST_VALUE).astype(np.uint16), np.eye(4), plan.start_s)


def _dynamic(patient: Patient, plan: SeriesPlan, rng: np.random.Generator) -> Iterator[Measured]:
    times = np.arange(DYNAMIC_POINTS) * plan.duration_s
    flip = float(str(plan.attributes["FlipAngle"]))
    signals = tissues.dynamic(*_timing(plan), flip, np.asarray(times - ARRIVAL_S, dtype=np.float64))
    moves = poses(patient, "dce")
    for number, moved in enumerate(moves):
        points = [k for k, pose in enumerate(_DYNAMIC_POSES) if pose == number]
        images = _image(patient, plan, moved, signals[:, points])
        for k, image in zip(points, images, strict=True):
            values = _stored(plan, _noisy(patient, plan, image, signals, rng))
            yield Measured(values, moved, plan.start_s + float(times[k]))
