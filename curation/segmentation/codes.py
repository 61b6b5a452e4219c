"""What segments are, in the standard's codes, and the colours in which they are shown.

Codes are SNOMED CT (PS3.16, CID 7150 "Segmentation Property Category" and the groups that it lists).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A coded concept: value, coding scheme (``SCT``, ``DCM``, ...) and meaning."""

    value: str
    scheme: str
    meaning: str


ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Altered Structure")
TISSUE = Code("85756007", "SCT", "Tissue")

PROSTATE = Code("41216001", "SCT", "Prostate")
PERIPHERAL_ZONE = Code("279706003", "SCT", "Peripheral zone of prostate")
TRANSITION_ZONE = Code("399384005", "SCT", "Transition zone of prostate")
SEMINAL_VESICLE = Code("64739004", "SCT", "Seminal vesicle")
BLADDER = Code("89837001", "SCT", "Urinary bladder")
RECTUM = Code("34402009", "SCT", "Rectum")
LESION = Code("52988006", "SCT", "Lesion")

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

RGB = tuple[int, int, int]

SEGMENT_COLOURS: tuple[RGB, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
"""Colours that people with any common colour vision tell apart (Okabe and Ito 2008, without black)."""


def segment_colour(number: int) -> RGB:
    """Return the colour of segment `number` (from 1), 8-bit sRGB."""
    return SEGMENT_COLOURS[(number - 1) % len(SEGMENT_COLOURS)]
