"""Frames of enhanced multi-frame images as slices of their own (PS3.3 C.7.6.16 and C.8.13).

An enhanced image keeps what holds for all frames in one item and what differs in one item per frame, each in
small sequences (functional groups). For each frame these are laid over the header of the file, under the
attributes that classic images have for the same thing, so that all that follows sees one slice per frame.
Legacy converted images and Philips keep classic attributes in sequences of their own, which are read too.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from curation.reading.elements import Budget, Coding, Element, HeaderError, items, walk
from curation.reading.headers import HEADER_TAGS, STACK_ID, TAGS, PixelFormat, SliceHeader, slice_header
from curation.reading.values import Raw, Values, tag, vr_of

SHARED_GROUPS, FRAME_GROUPS = tag("SharedFunctionalGroupsSequence"), tag("PerFrameFunctionalGroupsSequence")
_AGENTS, _AGENT_NAME = tag("ContrastBolusAgentSequence"), tag("CodeMeaning")
_PULSE_NAME, _ECHO_PULSE, _ECHO_PLANAR = map(tag, ("PulseSequenceName", "EchoPulseSequence", "EchoPlanarPulseSequence"))
FILE_TAGS: frozenset[int] = frozenset((SHARED_GROUPS, FRAME_GROUPS, _AGENTS, _PULSE_NAME, _ECHO_PULSE, _ECHO_PLANAR))
"""What must be read of the file besides `HEADER_TAGS`."""

_OFFSET_S = tag("TemporalPositionTimeOffset")
_COMPONENT = tag("ComplexImageComponent")
# Name in a functional group, name in a classic image.
_RENAMED = {
    tag(new): TAGS[old]
    for new, old in {
        "FrameType": "ImageType",
        "EffectiveEchoTime": "EchoTime",
        "FrameAcquisitionDateTime": "AcquisitionDateTime",
        "TemporalPositionIndex": "TemporalPositionIdentifier",
        "FrameAcquisitionNumber": "AcquisitionNumber",
        "NominalCardiacTriggerDelayTime": "TriggerTime",
    }.items()
}
_STANDARD = frozenset(
    tag(name)
    for name in (
        "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence",
        "TemporalPositionSequence", "MRDiffusionSequence", "DiffusionGradientDirectionSequence", "MREchoSequence",
        "MRTimingAndRelatedParametersSequence", "MRImageFrameTypeSequence", "PixelValueTransformationSequence",
        "CardiacSynchronizationSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence",
    )
)  # fmt: skip
_SECOND_HAND = frozenset(
    (
        0x2005_140E,  # Philips keeps a classic header here, and one of each frame in the next
        0x2005_140F,
        tag("UnassignedSharedConvertedAttributesSequence"),
        tag("UnassignedPerFrameConvertedAttributesSequence"),
    )
)

_GROUPS = _STANDARD | _SECOND_HAND

# What belongs to the whole file, whatever a frame's own header may say.
_OF_FILE = frozenset(
    TAGS[name]
    for name in (
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID",
        "FrameOfReferenceUID", "Modality", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored",
        "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    )
)  # fmt: skip
_WANTED = (HEADER_TAGS - _OF_FILE) | _GROUPS | set(_RENAMED) | {STACK_ID, _OFFSET_S, _COMPONENT}
_DEPTH = 3  # functional group, gradient direction or vendor's header in it


def frame_headers(
    data: bytes,
    found: dict[int, Element],
    coding: Coding,
    budget: Budget,
    path: Path,
    pixel_format: PixelFormat,
    limit: int,
) -> list[SliceHeader]:
    """Return one header for each frame of an enhanced image.

    Parameters
    ----------
    data : bytes
        The file up to its pixel data.
    found : dict of int to Element
        Its elements of `HEADER_TAGS` and `FILE_TAGS`.
    coding : Coding
    budget : Budget
    path : Path
    pixel_format : PixelFormat
    limit : int
        How many frames are read.

    Returns
    -------
    list of SliceHeader
        In order of the frames.

    Raises
    ------
    ValueError
        If the functional groups are not one for each frame, or as `slice_header`.
    """
    whole = Values({t: raw(data, e, coding) for t, e in found.items() if t not in _NOT_VALUES})
    whole = _classic(data, found, coding, budget).over(whole)
    if SHARED_GROUPS in found:
        shared = [_flat(data, *place, budget) for place in items(data, found[SHARED_GROUPS], coding, budget)][:1]
        whole = shared[0].over(whole) if shared else whole
    headers: list[SliceHeader] = []
    for place in items(data, found[FRAME_GROUPS], coding, budget):
        if len(headers) >= limit:
            raise HeaderError(f"it has more than {limit} frames")
        values = _flat(data, *place, budget).over(whole)
        header = slice_header(values, path, pixel_format)
        number = len(headers)
        headers.append(replace(header, frame=number, instance_number=number + 1, unfolded=True))
    if not headers or headers[0].n_frames != len(headers):
        raise ValueError(f"it has {len(headers)} functional groups for {headers[0].n_frames if headers else 0} frames")
    return headers


_NOT_VALUES = frozenset((SHARED_GROUPS, FRAME_GROUPS, _AGENTS))


def raw(data: bytes, element: Element, coding: Coding) -> Raw:
    """Return a value with what is needed to decode it."""
    return Raw(element.vr, data[element.start : element.stop], coding.order)


def _flat(data: bytes, start: int, stop: int, coding: Coding, budget: Budget, depth: int = _DEPTH) -> Values:
    """Return the wanted values of an item and of the first items of the functional groups in it."""
    found = walk(data, start, stop, _WANTED, coding, budget).found
    result: dict[int, Raw] = {}
    for number, element in found.items():
        if number not in _GROUPS:
            result[_RENAMED.get(number, number)] = raw(data, element, coding)._replace(vr=element.vr or vr_of(number))
        elif depth > 0:
            place = next(items(data, element, coding, budget), None)
            inner = {} if place is None else _flat(data, *place, budget, depth - 1).raw
            if number in _SECOND_HAND:
                # The standard's own groups come before what vendors and converters repeat in theirs; private
                # elements stay with the creators that they have there.
                inner = {**inner, **{t: v for t, v in result.items() if not t >> 16 & 1 or t not in inner}}
                result = {}
            result = {**result, **inner}
    return Values(_derived(result))


def _derived(found: dict[int, Raw]) -> dict[int, Raw]:
    """Turn what classic images say otherwise: seconds to milliseconds, phase images by Image Type."""
    values = Values(found)
    offset = values.number(_OFFSET_S)
    if offset is not None:
        found[TAGS["TriggerTime"]] = Raw(b"FD", struct.pack("<d", offset * 1000))
    component = values.text(_COMPONENT)
    if component in ("PHASE", "REAL", "IMAGINARY"):
        kind = values.text(TAGS["ImageType"]) or "ORIGINAL\\PRIMARY"
        found[TAGS["ImageType"]] = Raw(b"CS", f"{kind}\\{component}".encode("ascii", "replace"))
    return {number: value for number, value in found.items() if number not in (_OFFSET_S, _COMPONENT)}


def _classic(data: bytes, found: dict[int, Element], coding: Coding, budget: Budget) -> Values:
    """Return the sequence and the contrast agent of an enhanced image under the names of a classic one."""
    values = Values({number: raw(data, e, coding) for number, e in found.items() if number in FILE_TAGS})
    result: dict[int, Raw] = {}
    echoes = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(values.text(_ECHO_PULSE), [])
    planar = ["EP"] if values.text(_ECHO_PLANAR) == "YES" else []
    if echoes or planar:
        result[TAGS["ScanningSequence"]] = Raw(b"CS", "\\".join(planar + echoes).encode())
    if values.has(_PULSE_NAME):
        result[TAGS["SequenceName"]] = values.raw[_PULSE_NAME]
    if _AGENTS in found:
        for start, stop, inner in items(data, found[_AGENTS], coding, budget):
            name = walk(data, start, stop, {_AGENT_NAME}, inner, budget).found.get(_AGENT_NAME)
            result[TAGS["ContrastBolusAgent"]] = raw(data, name, inner) if name else Raw(b"LO", b"agent")
            break
    return Values(result)
