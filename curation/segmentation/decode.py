"""Reading masks from a DICOM Segmentation."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from curation.errors import GeometryError, MissingDataError, SegmentationError
from curation.geometry import Array, apply_affine
from curation.segmentation.codes import RGB, Code
from curation.segmentation.segment import Algorithm, Segment, Segmentation
from curation.series import Series
from curation.study import Study

ALIGNMENT_TOLERANCE = 0.05
"""Largest distance between an element of a mask and the element of the series it goes to, in elements."""

_FRACTION_INSIDE = 0.5  # from this occupancy or probability on an element counts as inside


def read_seg(path: str | os.PathLike[str], series: Series | None = None) -> Segmentation:
    """Read a DICOM SEG file.

    Parameters
    ----------
    path : path
        Binary, label map and fractional segmentations (inside from 0.5 on), whoever wrote them.
    series : Series, optional
        Put the masks on the grid of this series, whose elements they must coincide with. Without it, on the
        smallest grid that holds all stored slices.

    Returns
    -------
    Segmentation

    Raises
    ------
    MissingDataError
        If there is no such file.
    SegmentationError
        If it is not a DICOM SEG or its slices form no regular grid.
    GeometryError
        If the masks do not coincide with elements of `series`, or lie in another frame of reference.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingDataError(f"{file} is no file; give a DICOM SEG file.")
    seg, stored = _open(file)
    affine = np.asarray(stored.affine, dtype=np.float64)
    masks = [np.asarray(stored.array[..., k]) >= _FRACTION_INSIDE for k in range(stored.array.shape[-1])]
    if series is not None:
        _check_frame_of_reference(seg, series)
        target = series.volume(0)
        masks = [_place(mask, affine, target.affine, target.shape) for mask in masks]
        affine = target.affine
    numbers = [number for number in seg.segment_numbers if number > 0]  # 0 is the background of a label map
    descriptions = [seg.get_segment_description(number) for number in numbers]
    return Segmentation(
        segments=tuple(_segment(d, mask) for d, mask in zip(descriptions, masks, strict=True)),
        affine=affine,
        frame_of_reference_uid=str(seg.get("FrameOfReferenceUID", "")),
        uid=str(seg.SOPInstanceUID),
        series_uid=str(seg.SeriesInstanceUID),
        referenced_series_uids=tuple(str(item.SeriesInstanceUID) for item in seg.get("ReferencedSeriesSequence", [])),
        description=str(seg.get("SeriesDescription", "")),
    )


def segmentations(study: Study, series: Series) -> tuple[Segmentation, ...]:
    """Read all segmentations of a study that were drawn on one series, onto the grid of that series.

    Parameters
    ----------
    study : Study
    series : Series

    Returns
    -------
    tuple of Segmentation
        In order of Series Number; empty where there is none.

    Raises
    ------
    SegmentationError, GeometryError
        As `read_seg`.
    """
    paths = [path for other in study.series if other.modality == "SEG" for path in other.paths]
    wanted = set(series.uids)
    return tuple(read_seg(path, series) for path in paths if wanted & _referenced(path))


def _referenced(path: Path) -> set[str]:
    """Return the Series Instance UIDs that an object refers to."""
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ReferencedSeriesSequence"])
    return {str(item.SeriesInstanceUID) for item in header.get("ReferencedSeriesSequence", [])}


def _open(file: Path) -> tuple[Any, Any]:
    """Return the object and its masks as a highdicom volume of shape (z, y, x, segments)."""
    import highdicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seg = highdicom.seg.segread(file)
            stored = seg.get_volume(combine_segments=False)
    # pydicom and highdicom raise several unrelated types here; the file's name and the reason are what helps.
    except Exception as error:
        raise SegmentationError(f"{file} cannot be read as a DICOM SEG on a regular grid: {error}") from error
    return seg, stored


def _check_frame_of_reference(seg: Any, series: Series) -> None:
    own, other = str(seg.get("FrameOfReferenceUID", "")), series.frame_of_reference_uid
    if own and other and own != other:
        raise GeometryError(
            f"The segmentation lies in frame of reference {own}, the series {series.description!r} in {other}. "
            "Read it with the series that it was drawn on."
        )


def _place(mask: NDArray[np.bool_], affine: Array, target: Array, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Move a mask onto a grid whose elements coincide with its own, in whatever order of axes."""
    step = np.linalg.inv(target) @ affine
    axes = np.abs(step[:3, :3]).round()
    exact = np.abs(np.abs(step[:3, :3]) - axes).max() * max(mask.shape) <= ALIGNMENT_TOLERANCE
    if not exact or not (axes.sum(axis=0) == 1).all() or not (axes.sum(axis=1) == 1).all():
        raise GeometryError("The segmentation has another spacing or orientation than the series.")
    indices = apply_affine(step, np.argwhere(mask))
    nearest = indices.round()
    if indices.size and np.abs(indices - nearest).max() > ALIGNMENT_TOLERANCE:
        raise GeometryError("The elements of the segmentation lie between those of the series.")
    if ((nearest < 0) | (nearest >= shape)).any():
        raise GeometryError("Parts of the segmentation lie outside the series.")
    placed = np.zeros(shape, dtype=np.bool_)
    placed[tuple(nearest.astype(np.intp).T)] = True
    return placed


def _segment(description: Any, mask: NDArray[np.bool_]) -> Segment:
    return Segment(
        label=description.segment_label,
        mask=mask,
        category=_code(description.segmented_property_category),
        kind=_code(description.segmented_property_type),
        algorithm_type=description.algorithm_type.value,
        algorithm=_algorithm(description),
        colour=_colour(description),
    )


def _algorithm(description: Any) -> Algorithm | None:
    identification = description.algorithm_identification
    if identification is not None:
        return Algorithm(identification.name, identification.version, _code(identification.family))
    # Segment Algorithm Name alone is what the standard asked for before the identification sequence.
    name = str(description.get("SegmentAlgorithmName") or "unnamed")
    return None if description.algorithm_type.value == "MANUAL" else Algorithm(name, "")


def _colour(description: Any) -> RGB | None:
    import highdicom

    value = description.get("RecommendedDisplayCIELabValue")
    if value is None:
        return None
    red, green, blue = highdicom.color.CIELabColor.from_dicom_value(tuple(value)).to_rgb()
    return int(red), int(green), int(blue)


def _code(concept: Any) -> Code:
    return Code(concept.value, concept.scheme_designator, concept.meaning)
