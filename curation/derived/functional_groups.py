"""One frame of an enhanced MR image, described with the attributes of a classic one.

Enhanced images hold what belongs to all frames in the Shared, what differs in the Per-Frame Functional Groups
Sequence (PS3.3 C.7.6.16); names and meanings differ in places (PS3.3 C.8.13 and C.8.3).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

_RENAMED = {
    "EffectiveEchoTime": "EchoTime",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "TransmitterFrequency": "ImagingFrequency",
    "PulseSequenceName": "SequenceName",
    "FrameType": "ImageType",
}


def is_multi_frame(dataset: Dataset) -> bool:
    """Whether the frames of an image are described by functional groups."""
    return bool(dataset.get("PerFrameFunctionalGroupsSequence"))


def frame_header(dataset: Dataset, frame: int) -> Dataset:
    """Return the header of one frame as if it were a classic image.

    Parameters
    ----------
    dataset : Dataset
        An enhanced MR image.
    frame : int
        0 for the first.

    Returns
    -------
    Dataset
        Not complete: what a derived image takes over from its source.
    """
    flat = copy.copy(dataset)
    shared, frames = (dataset.get(keyword) or [] for keyword in _GROUPS)
    for item in (*shared[:1], *frames[frame : frame + 1]):
        for element in _elements(item):
            flat[element.tag] = element
    for keyword in _GROUPS:
        if keyword in flat:
            del flat[keyword]
    for old, new in _RENAMED.items():
        if flat.get(old) is not None:
            setattr(flat, new, flat.get(old))
    _classic_terms(flat)
    return flat


def _elements(item: Dataset, depth: int = 0) -> Iterator[DataElement]:
    """Yield what the macros of a functional group hold, two levels deep (the gradient lies there)."""
    for element in item:
        if element.VR != "SQ":
            yield element
        elif depth < 2 and element.value:
            yield from _elements(element.value[0], depth + 1)


def _classic_terms(flat: Dataset) -> None:
    """Say in the terms of the classic image what the enhanced one says in several attributes."""
    if flat.get("ScanningSequence") is None:
        pulse = str(flat.get("EchoPulseSequence", ""))
        terms = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(pulse, [])
        terms += ["EP"] if flat.get("EchoPlanarPulseSequence") == "YES" else []
        terms += ["IR"] if flat.get("InversionRecovery") == "YES" else []
        flat.ScanningSequence = terms or "RM"
    agents = flat.get("ContrastBolusAgentSequence")
    if agents and flat.get("ContrastBolusAgent") is None:
        flat.ContrastBolusAgent = str(agents[0].get("CodeMeaning", ""))[:64]
    if flat.get("InPlanePhaseEncodingDirection") == "COLUMN":
        flat.InPlanePhaseEncodingDirection = "COL"
