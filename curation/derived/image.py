"""The header of a derived image: what all files of the series share, and what those of one volume share."""

from __future__ import annotations

import copy
import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pydicom.valuerep import format_number_as_ds

from curation.derived import attributes, provenance, references
from curation.derived.cleaning import character_set, clean
from curation.derived.grid import plane_attributes
from curation.derived.plan import Part, Plan
from curation.derived.scaling import Scale, Staged, window
from curation.geometry import Array

_DAY_US = 86_400_000_000
_SAME_PLACE_MM = 1e-3


def frame_of_reference(plan: Plan, staged: Staged) -> str:
    """Return the Frame of Reference UID of the result, which is required: a new one where nothing says it."""
    grid = plan.derivation.static or plan.derivation.source
    return staged.frame_of_reference_uid or grid.frame_of_reference_uid or plan.new_frame_uid


def series_dataset(plan: Plan, staged: Staged, scale: Scale) -> Dataset:
    """Return what all files of the series share.

    Parameters
    ----------
    plan : Plan
    staged : Staged
    scale : Scale

    Returns
    -------
    Dataset

    Raises
    ------
    DerivedError
        If the grid cannot be written.
    """
    derivation, header = plan.derivation, plan.source.header
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.update(attributes.patient_and_study(header, plan.source.study_uid))
    dataset.update(attributes.equipment(header, derivation))
    number, moment = plan.series_number, plan.moment
    dataset.update(attributes.series_and_dates(header, "MR", plan.series_uid, number, derivation.description, moment))
    dataset.update(attributes.derivation_attributes(derivation))
    dataset.FrameOfReferenceUID = frame_of_reference(plan, staged)
    dataset.PositionReferenceIndicator = clean(header, "PositionReferenceIndicator") or ""
    dataset.update(plane_attributes(staged.affine, _thickness(plan)))
    dataset.update(_pixel_attributes(staged, scale))
    if derivation.unit:
        values = (float(scale.slope), float(scale.intercept))
        stored = scale.stored_range
        dataset.update(attributes.real_world_values(derivation.unit, derivation.role, stored, values))
    dataset.update(provenance.series_block(derivation, plan.source))
    volumes = [attributes.mr_acquisition(part.sources[0].header, derivation) for part in plan.parts]
    dataset.SpecificCharacterSet = character_set(header, (dataset, *volumes))
    return dataset


def _thickness(plan: Plan) -> float | None:
    """Return the Slice Thickness of the grid that the result lies on."""
    grid = plan.static if plan.static is not None else plan.source
    value = clean(grid.header, "SliceThickness")
    thickness = float(value) if value is not None else 0.0
    return thickness if thickness > 0 else None


def _pixel_attributes(staged: Staged, scale: Scale) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = staged.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(scale.signed)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = scale.slope, scale.intercept, "US"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    return dataset


def volume_dataset(plan: Plan, staged: Staged, common: Dataset, k: int) -> Dataset:
    """Return what all files of volume k share.

    Parameters
    ----------
    plan : Plan
    staged : Staged
    common : Dataset
        From `series_dataset`.
    k : int

    Returns
    -------
    Dataset
    """
    part = plan.parts[k]
    dataset = copy.copy(common)
    dataset.update(attributes.mr_acquisition(part.sources[0].header, plan.derivation))
    _add_times(dataset, part)
    _add_diffusion(dataset, part)
    if len(plan.parts) > 1:
        dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = k + 1, len(plan.parts)
    # Each b-value has its own brightness; over time a window must stay or enhancement would not be seen.
    samples = staged.samples if part.b is None else staged.samples[k : k + 1]
    dataset.update(attributes.window_attributes(*window(samples)))
    dataset.SourceImageSequence = references.source_images(
        part.instances, "YES" if _in_place(part, staged, plan) else "NO"
    )
    used = part.instances
    if plan.static is not None:
        dataset.ReferencedImageSequence = references.static_images(plan.static.instances)
        used = (*used, *plan.static.instances)
    dataset.update(references.common_references(str(common.StudyInstanceUID), used, plan.others))
    provenance.add_volume(dataset, k, part.numbers, part.transforms)
    return dataset


def _add_times(dataset: Dataset, part: Part) -> None:
    if part.trigger_ms is not None:
        dataset.TriggerTime = format_number_as_ds(part.trigger_ms)
    if part.acquired_us is None:
        return
    day, time = divmod(part.acquired_us, _DAY_US)
    moment = datetime.datetime.min + datetime.timedelta(microseconds=time)
    if day > 1:
        dataset.AcquisitionDate = datetime.date.fromordinal(day).strftime("%Y%m%d")
    dataset.AcquisitionTime = moment.strftime("%H%M%S.%f")


def _add_diffusion(dataset: Dataset, part: Part) -> None:
    """Add b-value and gradient in the standard attributes; the gradient turns with the image.

    Leemans and Jones, Magn Reson Med 2009;61:1336.
    """
    if part.b is None:
        dataset.pop("DiffusionDirectionality", None)
        return
    dataset.DiffusionBValue = part.b
    gradient = part.sources[0].gradient
    if len(part.sources) > 1 or gradient is None:
        return
    direction = np.asarray(gradient, dtype=np.float64)
    if part.transforms is not None:
        direction = _rotation(part.transforms[0]) @ direction
    dataset.DiffusionDirectionality = "DIRECTIONAL"
    dataset.DiffusionGradientOrientation = [float(value) for value in direction / np.linalg.norm(direction)]


def _rotation(transform: Array) -> Array:
    """Return the rotation next to a matrix (polar decomposition)."""
    left, _, right = np.linalg.svd(transform[:3, :3])
    return np.asarray(left @ right, dtype=np.float64)


def _in_place(part: Part, staged: Staged, plan: Plan) -> bool:
    """Whether every element lies where it lay in the source volumes."""
    if plan.static is not None or attributes.moved(part.transforms):
        return False
    header, series = part.sources[0].header, plan.source.series
    position = clean(header, "ImagePositionPatient")
    if staged.shape != series.shape[1:] or not isinstance(position, list) or len(position) != 3:
        return False
    origin = np.array([float(value) for value in position])
    spacing = np.linalg.norm(staged.affine[:3, :3], axis=0)
    same_spacing = np.abs(spacing - series.spacing_mm).max() <= _SAME_PLACE_MM
    return bool(same_spacing and np.abs(origin - staged.affine[:3, 3]).max() <= _SAME_PLACE_MM)
