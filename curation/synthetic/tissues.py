"""What tissues look like: relaxation, diffusion and enhancement, and the signal that follows.

Values are for 3 T and near those in the literature (de Bazelaire et al., Radiology 2004;230:652 for T1 and
T2 in the pelvis; PI-RADS reading for the order of diffusion), chosen so that the contrast between tissues is
the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Signals = NDArray[np.float32]

RELAXIVITY = 4.5
"""Of a gadolinium agent at 3 T, per mM and second."""

FAT_SUPPRESSION = 0.05
"""What is left of fat where it is suppressed."""


class Tissue(IntEnum):
    """Rows of the signal tables."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTICAL_BONE = 3
    MARROW = 4
    URINE = 5
    WALL = 6
    STOOL = 7
    SEMINAL_FLUID = 8
    VEIN = 9
    PERIPHERAL_ZONE = 10
    TRANSITION_ZONE = 11
    CENTRAL_ZONE = 12
    STROMA = 13
    CAPSULE = 14
    GLANDULAR_NODULE = 15
    STROMAL_NODULE = 16
    LESION = 17
    CARTILAGE = 18
    MUCOSA = 19


@dataclass(frozen=True)
class _Properties:
    """Proton density, T1 and T2 in ms, ADC in 10^-6 mm2/s, share of fat, enhancement, texture.

    Enhancement is the peak concentration in mM and the rates of rise and fall per second; `texture` the
    relative strength of the local variation.
    """

    density: float
    t1: float
    t2: float
    adc: float
    fat: float = 0.0
    peak: float = 0.0
    rise: float = 0.02
    fall: float = 0.0
    texture: float = 0.05


_PROPERTIES: dict[Tissue, _Properties] = {
    Tissue.AIR: _Properties(0.0, 1000, 50, 0, texture=0.0),
    Tissue.FAT: _Properties(0.80, 380, 132, 80, fat=1.0, peak=0.05, texture=0.045),
    Tissue.MUSCLE: _Properties(0.85, 1400, 42, 1350, peak=0.18, rise=0.02, texture=0.20),
    Tissue.CORTICAL_BONE: _Properties(0.10, 1000, 20, 300, texture=0.1),
    Tissue.MARROW: _Properties(0.74, 480, 120, 250, fat=0.93, peak=0.08, texture=0.10),
    Tissue.URINE: _Properties(1.05, 3800, 900, 2900, texture=0.01),
    Tissue.WALL: _Properties(0.85, 1350, 58, 1300, peak=0.45, rise=0.04, fall=0.0005, texture=0.12),
    Tissue.STOOL: _Properties(0.60, 900, 50, 900, texture=0.40),
    Tissue.SEMINAL_FLUID: _Properties(0.98, 2200, 230, 2000, peak=0.15, texture=0.25),
    Tissue.VEIN: _Properties(0.95, 1700, 200, 1700, peak=1.1, rise=0.07, fall=0.002, texture=0.2),
    Tissue.PERIPHERAL_ZONE: _Properties(0.95, 1750, 155, 1850, peak=0.30, rise=0.03, texture=0.10),
    Tissue.TRANSITION_ZONE: _Properties(0.90, 1500, 84, 1380, peak=0.45, rise=0.04, texture=0.24),
    Tissue.CENTRAL_ZONE: _Properties(0.88, 1450, 62, 1180, peak=0.35, rise=0.03, texture=0.10),
    Tissue.STROMA: _Properties(0.82, 1350, 42, 1050, peak=0.15, rise=0.015, texture=0.08),
    Tissue.CAPSULE: _Properties(0.80, 1300, 40, 1150, peak=0.25, texture=0.05),
    Tissue.GLANDULAR_NODULE: _Properties(0.95, 1700, 135, 1600, peak=0.55, rise=0.05, texture=0.20),
    Tissue.STROMAL_NODULE: _Properties(0.86, 1400, 60, 1150, peak=0.60, rise=0.06, texture=0.12),
    Tissue.LESION: _Properties(0.90, 1450, 74, 640, peak=0.95, rise=0.11, fall=0.0020, texture=0.05),
    Tissue.CARTILAGE: _Properties(0.75, 1200, 48, 1000, texture=0.05),
    Tissue.MUCOSA: _Properties(0.88, 1500, 105, 1500, peak=0.5, rise=0.05, texture=0.2),
}


def _column(name: str) -> NDArray[np.float64]:
    return np.array([getattr(_PROPERTIES[tissue], name) for tissue in Tissue], dtype=np.float64)


def adc_of(tissue: Tissue) -> float:
    """Return the apparent diffusion coefficient of a tissue in 10^-6 mm2/s."""
    return _PROPERTIES[tissue].adc


def texture() -> Signals:
    """Return the relative strength of local variation of each tissue, shape (tissues,)."""
    return _column("texture").astype(np.float32)


def spin_echo(repetition_ms: float, echo_ms: float) -> Signals:
    """Return M0 (1 - exp(-TR/T1)) exp(-TE/T2) of each tissue, shape (tissues, 1)."""
    recovery = 1 - np.exp(-repetition_ms / _column("t1"))
    signal = _column("density") * recovery * np.exp(-echo_ms / _column("t2"))
    return np.asarray(signal[:, None], dtype=np.float32)


def diffusion(repetition_ms: float, echo_ms: float, b_values: tuple[float, ...]) -> Signals:
    """Return the fat-suppressed spin echo times exp(-b ADC), shape (tissues, b-values)."""
    water = 1 - _column("fat") * (1 - FAT_SUPPRESSION)
    decay = np.exp(-np.outer(_column("adc") * 1e-6, b_values))
    plain = spin_echo(repetition_ms, echo_ms)[:, 0] * water
    return np.asarray(plain[:, None] * decay, dtype=np.float32)


def dynamic(
    repetition_ms: float, echo_ms: float, flip_degrees: float, seconds_after_arrival: NDArray[np.float64]
) -> Signals:
    """Return the spoiled gradient echo of each tissue while contrast agent passes, shape (tissues, times).

    S = M0 sin(a) (1 - E1) / (1 - cos(a) E1) with E1 = exp(-TR (1/T1 + r1 C)); the concentration rises as
    1 - exp(-rise t) and falls as exp(-fall t).
    """
    t = np.clip(seconds_after_arrival, 0, None)[None, :]
    rise, fall = _column("rise")[:, None], _column("fall")[:, None]
    concentration = _column("peak")[:, None] * (1 - np.exp(-rise * t)) * np.exp(-fall * t)
    rate = 1000 / _column("t1")[:, None] + RELAXIVITY * concentration
    e1 = np.exp(-repetition_ms / 1000 * rate)
    angle = np.radians(flip_degrees)
    signal = np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    signal *= (_column("density") * np.exp(-echo_ms / (0.5 * _column("t2"))))[:, None]
    return np.asarray(signal, dtype=np.float32)
