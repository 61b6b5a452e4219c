"""Arranging the images of a series into regular volumes, or saying why that cannot be done.

The order of the checks: all images must be single-frame images with a position, on one grid and in one
orientation; their positions along the slice normal must be evenly spaced, in one line and each present
equally often; images that share a position must be told apart by an attribute that does so at every
position alike. A series that fails has a blocking problem and gives no volume. Nothing is interpolated,
dropped or guessed.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from curation import geometry
from curation.errors import GeometryError
from curation.geometry import Array, Plane
from curation.problems import Problem, listed
from curation.reading.headers import SliceHeader
from curation.reading.timing import volume_order

POSITION_TOLERANCE_MM = 0.1
"""Positions along the slice normal that differ by less are the same slice; steps may differ by as much.
Scanners jitter by hundredths of a millimetre; no slices of a clinical series are closer."""

DIRECTION_TOLERANCE = 1e-3
"""Direction cosines of one series may differ by this much (0.06 degrees)."""

FAR_MM = 1e5
"""No position, spacing or distance within a scanner is larger."""

SHEAR_TOLERANCE_MM = 0.1
"""How far the slices of a stack may lie beside the line along the normal, per slice step."""


@dataclass(frozen=True, eq=False)
class Stack:
    """The images of one volume, sorted along the slice normal, and its affine."""

    headers: tuple[SliceHeader, ...]
    affine: Array


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The volumes of a series (none where a problem blocks), its plane and what was noticed."""

    stacks: tuple[Stack, ...]
    plane: Plane
    problems: tuple[Problem, ...]


class _Irregular(Exception):  # noqa: N818  carries a problem to the one place that reports it
    def __init__(self, code: str, message: str, headers: Sequence[SliceHeader] = ()) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, tuple(h.path for h in headers), blocking=True)


def arrange(headers: Sequence[SliceHeader]) -> Arrangement:
    """Arrange the images of one series.

    Parameters
    ----------
    headers : sequence of SliceHeader
        All objects of the series, in any order, without repeated files.

    Returns
    -------
    Arrangement
        Volumes in the order of acquisition, see `curation.reading.timing`.
    """
    plane = _plane(headers)
    if headers[0].modality == "SEG" or not any(h.has_pixels for h in headers):
        return Arrangement((), plane, ())  # masks, reports, registrations: nothing is wrong with them
    try:
        _check_images(headers)
        stacks = _stacks(headers)
    except _Irregular as error:
        return Arrangement((), plane, (error.problem,))
    except GeometryError as error:
        return Arrangement((), plane, (Problem("bad-geometry", str(error), blocking=True),))
    return Arrangement(tuple(stacks), plane, tuple(_notes(headers)))


def _plane(headers: Sequence[SliceHeader]) -> Plane:
    """Name the common plane; ``mixed`` where there are several orientations, ``oblique`` without any."""
    normals = [normal for o in {h.orientation for h in headers} if (normal := _normal_of(o)) is not None]
    if not normals:
        return "oblique"
    if any(np.abs(normal - normals[0]).max() > DIRECTION_TOLERANCE for normal in normals):
        return "mixed"
    return geometry.plane_name(normals[0])


@functools.lru_cache(maxsize=4096)
def _normal_of(orientation: tuple[float, ...]) -> Array | None:
    """Return the unit normal of Image Orientation (Patient); None where that holds no two directions.

    Lengths and angle are checked where an affine is made.
    """
    if len(orientation) != 6 or max(map(abs, orientation)) > 2:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length, dtype=np.float64) if length > 0.5 else None


def placed(header: SliceHeader) -> bool:
    """Whether an image has a plausible position, orientation and spacing in the patient."""
    if (len(header.position), len(header.pixel_spacing)) != (3, 2) or _normal_of(header.orientation) is None:
        return False
    near = max(map(abs, header.position)) < FAR_MM
    return near and all(0 < spacing < FAR_MM for spacing in header.pixel_spacing)


def _normal(header: SliceHeader) -> Array:
    normal = _normal_of(header.orientation)
    if normal is None:
        raise GeometryError(f"{header.path} has no orientation in the patient.")
    return normal


def _check_images(headers: Sequence[SliceHeader]) -> None:
    """Refuse what is not a set of single-frame images on one grid in one orientation."""
    if not all(h.has_pixels for h in headers):
        raise _Irregular("mixed-objects", "Only some of the objects are images.")
    if any(h.n_frames > 1 and not h.unfolded for h in headers):
        raise _Irregular("multi-frame", "There are files with several frames that have no position of their own.")
    bare = [h for h in headers if not placed(h)]
    if bare:
        text = (
            f"{len(bare)} of {len(headers)} images have no plausible position, orientation or spacing in the patient."
        )
        raise _Irregular("no-geometry", text, bare)
    if len({h.frame_of_reference_uid for h in headers}) > 1:
        raise _Irregular("mixed-frames-of-reference", "The images belong to several frames of reference.")
    sizes = Counter((h.rows, h.columns, h.pixel_spacing) for h in headers)
    if len(sizes) > 1:
        text = listed(f"{n} of {r} x {c} at {s[0]:g} x {s[1]:g} mm" for (r, c, s), n in sizes.most_common())
        raise _Irregular("mixed-sizes", f"The images have several sizes: {text}.")
    orientations = np.array([h.orientation for h in headers])
    if np.abs(orientations - orientations[0]).max() > DIRECTION_TOLERANCE:
        count = len(np.unique(orientations.round(2), axis=0))
        raise _Irregular("mixed-orientation", f"The images have {count} different orientations.")


def _stacks(headers: Sequence[SliceHeader]) -> list[Stack]:
    slots = _slots(headers)
    affine = _affine(slots)
    volumes = _volumes(slots)
    return [Stack(tuple(volumes[k]), affine) for k in volume_order(volumes).numbers]


def _slots(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Return the images by slice position, sorted along the normal; refuse what is not complete."""
    normal = _normal(headers[0])
    depths = {h: float(normal @ np.asarray(h.position)) for h in headers}
    ordered = sorted(headers, key=depths.__getitem__)
    slots: list[list[SliceHeader]] = [[ordered[0]]]
    for header in ordered[1:]:
        if depths[header] - depths[slots[-1][0]] <= POSITION_TOLERANCE_MM:
            slots[-1].append(header)
        else:
            slots.append([header])
    _check_even([depths[slot[0]] for slot in slots])
    _check_complete(slots)
    return slots


def _check_even(depths: list[float]) -> None:
    steps = np.diff(depths)
    if len(steps) < 2:
        return
    typical = float(np.median(steps))
    if np.abs(steps - typical).max() <= POSITION_TOLERANCE_MM:
        return
    ratios = steps / steps.min()
    if np.abs(ratios - ratios.round()).max() < 0.1:
        gaps = [round(float(r)) - 1 for r in ratios]
        where = listed(f"after slice {i + 1}" for i, gap in enumerate(gaps) if gap)
        text = f"{sum(gaps)} slice(s) are missing: {where} of {len(depths)}, counted along the slice normal."
        raise _Irregular("missing-slices", text)
    text = f"The distance between slices varies from {steps.min():.2f} to {steps.max():.2f} mm."
    raise _Irregular("uneven-spacing", text)


def _check_complete(slots: list[list[SliceHeader]]) -> None:
    """Refuse positions that hold more or fewer images than most do."""
    counts = Counter(len(slot) for slot in slots)
    # Of equally frequent counts the smaller is taken for right: a copied slice is likelier than a lost one.
    usual = max(counts, key=lambda n: (counts[n], -n))
    fewer = [i + 1 for i, slot in enumerate(slots) if len(slot) < usual]
    more = [slot for slot in slots if len(slot) > usual]
    if fewer:
        text = f"Slice position(s) {listed(fewer)} hold fewer images than the {usual} of the other positions."
        raise _Irregular("missing-slices", text)
    if more:
        text = f"{len(more)} slice position(s) hold more images than the {usual} of the other positions."
        raise _Irregular("duplicate-slices", text, [h for slot in more for h in slot])


def _affine(slots: list[list[SliceHeader]]) -> Array:
    """Return the affine of the sorted positions; refuse sheared and shifted ones."""
    first = slots[0][0]
    normal = _normal(first)
    positions = np.array([slot[0].position for slot in slots])
    count = len(slots)
    # One slice alone has no neighbour to measure: its header's distance stands in.
    step = (positions[-1] - positions[0]) / (count - 1) if count > 1 else normal * _distance_alone(first)
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    if sideways > SHEAR_TOLERANCE_MM:
        angle = np.degrees(np.arctan2(sideways, step @ normal))
        raise _Irregular("sheared", f"The slices are sheared: their axis is {angle:.1f} degrees off the normal.")
    line = positions[0] + np.arange(count)[:, None] * step
    strays = [h for slot, p in zip(slots, line, strict=True) for h in slot if _distance(h, p) > POSITION_TOLERANCE_MM]
    if strays:
        text = f"{len(strays)} image(s) lie beside the line of the other slices."
        raise _Irregular("shifted-slices", text, strays)
    return geometry.plane_affine(first.position, first.orientation, first.pixel_spacing, step)


def _distance_alone(header: SliceHeader) -> float:
    distance = header.slice_distance
    return distance if distance is not None and 0 < distance < FAR_MM else 1.0


def _distance(header: SliceHeader, point: Array) -> float:
    return float(np.linalg.norm(np.asarray(header.position) - point))


Label = Callable[[SliceHeader], Hashable]

# What may tell images at one position apart, most telling first.
_LABELS: tuple[Label, ...] = (
    lambda h: h.temporal_position,
    lambda h: h.b,
    lambda h: (h.b, h.gradient),
    lambda h: h.echo_ms,
    lambda h: h.image_type,
    lambda h: h.acquisition_number,
    lambda h: (h.b, h.gradient, h.acquisition_number),
    lambda h: h.trigger_ms,
    lambda h: h.acquired_us,
    lambda h: h.stack_id,
    lambda h: (h.temporal_position, h.b, h.echo_ms, h.image_type, h.acquisition_number),
)


def _volumes(slots: list[list[SliceHeader]]) -> list[list[SliceHeader]]:
    """Take one image of every position for each volume."""
    for label in _LABELS:
        labels = [{label(h): h for h in slot} for slot in slots]
        if all(len(found) == len(slots[0]) and found.keys() == labels[0].keys() for found in labels):
            volumes = [[found[key] for found in labels] for key in labels[0]]
            if len(volumes) == 1 or all(len({h.b for h in volume}) == 1 for volume in volumes):
                return volumes
    ranked = [sorted(slot, key=lambda h: h.instance_number or 0) for slot in slots]
    volumes = [list(volume) for volume in zip(*ranked, strict=True)]
    distinct = all(len({h.instance_number for h in slot}) == len(slot) for slot in slots)
    alike = all(len({(h.b, h.echo_ms, h.image_type) for h in volume}) == 1 for volume in volumes)
    if not (distinct and alike):
        text = f"Each slice position holds {len(slots[0])} images that no attribute tells apart consistently."
        raise _Irregular("ambiguous-volumes", text)
    return volumes


def _notes(headers: Sequence[SliceHeader]) -> list[Problem]:
    """Return what does not keep the volumes from being right but should be known."""
    if any(h.unfolded for h in headers):
        return []  # numbered here, not by the scanner
    numbers = sorted({h.instance_number for h in headers if h.instance_number is not None})
    span = numbers[-1] - numbers[0] + 1 if numbers else 0
    if len(numbers) == len(headers) and (span > len(numbers) or numbers[0] > 1):
        text = (
            f"Instance Numbers run from {numbers[0]} to {numbers[-1]} for {len(numbers)} images: "
            "slices may be missing at an end."
        )
        return [Problem("instance-number-gap", text)]
    return []
