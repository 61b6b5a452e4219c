"""What kind of image a series is, from how it was made; its description is asked last.

Descriptions are free text, differ between hospitals and may be gone after de-identification. Evidence in
the order in which it counts: Image Type, b-values, contrast agent and repetition, sequence and timing,
description.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.geometry import Plane
from curation.reading.headers import SliceHeader
from curation.series import Role

TISSUE_T1_MS = 1600.0
"""T1 of prostate at 3 T (de Bazelaire et al., Radiology 2004;230:652): what the Ernst angle is taken for."""

T2_MIN_ECHO_MS = 60.0
LONG_REPETITION_MS = 1500.0
SHORT_REPETITION_MS = 1200.0
SHORT_ECHO_MS = 30.0
SPOILED_REPETITION_MS = 20.0
REFOCUSING_DEGREES = 110.0
DYNAMIC_MIN_VOLUMES = 3
"""So many equal T1-weighted gradient-echo volumes are dynamic even if no contrast agent is noted."""

_IMAGE_TYPES: tuple[tuple[Role, frozenset[str]], ...] = (
    ("localizer", frozenset({"LOCALIZER"})),
    ("adc", frozenset({"ADC", "ADC_UNSPECIFIED"})),
    ("calculated-b", frozenset({"CALC_BVALUE", "CALCULATED_BVALUE", "SYNTHETIC_DWI"})),
    (
        "perfusion-map",
        frozenset({"PERFUSION", "KTRANS", "VE", "KEP", "IAUC", "TTP", "PEI", "WASH_IN", "WASH_OUT", "MTT"}),
    ),
)

_DESCRIPTIONS: tuple[tuple[Role, str], ...] = (
    ("localizer", r"locali[sz]er|scout|survey|3.?plane"),
    ("adc", r"\badc|adc\b|_adc|apparent diff"),
    ("calculated-b", r"calc_?bval|\bcdwi|computed.?b|synthetic.?b"),
    ("perfusion-map", r"ktrans|\bkep\b|iauc|wash.?(in|out)|\bttp\b|perfusion.?map"),
    ("dwi", r"dwi|diff|ep2d.*b\d+|\btrace"),
    ("dce", r"\bdce|dynamic|dyn\b|twist|disco|perf"),
    ("t2w", r"(^|[^a-z])t2(?!\*|_?star)"),
    ("pd", r"(^|[^a-z])pd"),
    ("t1w", r"(^|[^a-z])t1"),
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a series when its role is sought.

    Parameters
    ----------
    headers : sequence of SliceHeader
        Its images; not empty.
    plane : str
        As in `curation.series.Series`.
    n_volumes : int
        0 where the images are not regular.
    """

    headers: Sequence[SliceHeader]
    plane: Plane
    n_volumes: int

    @property
    def b_values(self) -> set[float]:
        """All b-values that the headers name, s/mm2."""
        return {h.b for h in self.headers if h.b is not None}


def role_of(evidence: Evidence) -> Role:
    """Return the role of a series.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    str
        ``t2w dwi adc dce calculated-b perfusion-map localizer pd t1w other``.
    """
    if evidence.headers[0].modality != "MR":
        return "other"
    return (
        _by_image_type(evidence)
        or _by_diffusion(evidence)
        or _by_contrast(evidence)
        or _by_timing(evidence.headers[0])
        or _by_description(evidence.headers[0].description)
        or "other"
    )


def _by_image_type(evidence: Evidence) -> Role | None:
    # The first two values say original or derived and primary or secondary (PS3.3 C.7.6.1.1.2).
    values = set(evidence.headers[0].image_type[2:])
    for role, names in _IMAGE_TYPES:
        if values & names:
            return role
    # Three-plane scouts; regular series have one orientation.
    return "localizer" if evidence.plane == "mixed" else None


def _by_diffusion(evidence: Evidence) -> Role | None:
    """Tell diffusion series: a b-value above 0 or diffusion in Image Type.

    Some vendors write b = 0 into every image, so 0 alone says nothing.
    """
    first = evidence.headers[0]
    highest = max(evidence.b_values, default=0.0)
    if highest <= 0 and "DIFFUSION" not in first.image_type:
        return None
    return "calculated-b" if _is_calculated(first, highest) else "dwi"


def _is_calculated(header: SliceHeader, b: float) -> bool:
    """Tell a computed b-value from an acquired one.

    Siemens names the acquired b-values in Sequence Name: ``*ep_b800t`` on an acquired trace image,
    ``*ep_b50_800`` on what was computed from b = 50 and b = 800.
    """
    acquired = re.fullmatch(r"\*?ep_b(\d+)_(\d+)", header.sequence_name)
    if acquired:
        return "DERIVED" in header.image_type and b not in {float(value) for value in acquired.groups()}
    return "DERIVED" in header.image_type and _by_description(header.description) == "calculated-b"


def _by_contrast(evidence: Evidence) -> Role | None:
    """Tell a dynamic series: several volumes, and contrast agent or T1-weighted gradient echo."""
    first = evidence.headers[0]
    if "GR" not in (first.scanning_sequence or _likely_sequence(first)):
        return None
    if first.contrast_agent and evidence.n_volumes > 1:
        return "dce"
    if evidence.n_volumes >= DYNAMIC_MIN_VOLUMES and _by_timing(first) == "t1w":
        return "dce"
    return None


def _by_timing(header: SliceHeader) -> Role | None:
    """Tell the weighting from sequence, repetition time, echo time and flip angle."""
    repetition, echo = header.repetition_ms, header.echo_ms
    sequence = header.scanning_sequence or _likely_sequence(header)
    if repetition is None or echo is None or "EP" in sequence:
        return None
    if "GR" in sequence:
        return _gradient_echo_role(repetition, echo, header.flip_degrees)
    if "SE" not in sequence:
        return None
    if repetition >= SHORT_REPETITION_MS and echo >= T2_MIN_ECHO_MS:
        return "t2w"
    if echo > SHORT_ECHO_MS:
        return None
    if repetition >= LONG_REPETITION_MS:
        return "pd"
    return "t1w" if repetition <= SHORT_REPETITION_MS else None


def _likely_sequence(header: SliceHeader) -> tuple[str, ...]:
    """Tell the sequence where its name was removed.

    Only gradient echoes repeat within `SPOILED_REPETITION_MS`; flip angles from `REFOCUSING_DEGREES` on are those
    of the refocusing pulses of a turbo spin echo (excitation takes 90 degrees).
    """
    if header.repetition_ms is not None and header.repetition_ms <= SPOILED_REPETITION_MS:
        return ("GR",)
    return ("SE",) if header.flip_degrees is not None and header.flip_degrees >= REFOCUSING_DEGREES else ()


def _gradient_echo_role(repetition: float, echo: float, flip_degrees: float | None) -> Role | None:
    """Tell T1 from proton density weighting by the Ernst angle, arccos(exp(-TR/T1)).

    Flip angles well below it leave no T1 contrast, from it on T1 dominates.
    """
    if flip_degrees is None or repetition <= 0 or echo > 15:
        return None
    ernst = math.degrees(math.acos(math.exp(-repetition / TISSUE_T1_MS)))
    if flip_degrees >= ernst:
        return "t1w"
    return "pd" if flip_degrees < ernst / 2 else None


def _by_description(description: str) -> Role | None:
    text = description.lower()
    return next((role for role, pattern in _DESCRIPTIONS if re.search(pattern, text)), None)
