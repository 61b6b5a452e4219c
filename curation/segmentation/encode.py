"""Writing masks as a DICOM Segmentation (PS3.3 A.51)."""

from __future__ import annotations

import datetime
import importlib.metadata
import io
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from curation.errors import MissingDataError, SegmentationError
from curation.files import write_atomically
from curation.reading.headers import SOFTWARE_NAME
from curation.segmentation.codes import Code, segment_colour
from curation.segmentation.segment import Segment
from curation.series import Series

_MAX_SERIES_NUMBER_OFFSET = 1000  # results are listed behind what the scanner made

_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of patient and study that must be present and may be empty; de-identification often drops them."""


def write_seg(
    path: str | os.PathLike[str],
    segments: Sequence[Segment],
    series: Series,
    *,
    description: str = "Segmentation",
    series_number: int | None = None,
    creator: str = "",
    created: datetime.datetime | None = None,
    uid: Callable[[str], str] | None = None,
) -> Path:
    """Write masks that were drawn on a series as one binary DICOM SEG file.

    Parameters
    ----------
    path : path
        The file; its folder must exist. A file already there is replaced.
    segments : sequence of Segment
        Masks of shape (z, y, x) on the grid of `series`; they may overlap. Empty slices are not stored.
    series : Series
        The source; of several volumes the first is referenced.
    description : str
        Series Description.
    series_number : int, optional
        1000 + that of the source by default.
    creator : str
        Content Creator's Name, as DICOM writes person names (``Family^Given``).
    created : datetime, optional
        Content date and time; now by default.
    uid : callable, optional
        Gives the identifier for a purpose (``series``, ``instance``, ``dimensions``, ``segment-1`` ...);
        random by default.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SegmentationError
        If there is no segment, every mask is empty, or a mask is not on the grid of the series.
    MissingDataError
        If a file of the series or the folder of `path` is gone.
    IrregularSeriesError
        If the series has no regular volumes.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MissingDataError(f"The folder {target.parent} does not exist; make it before writing {target.name}.")
    _check(segments, series)
    make_uid = uid or (lambda purpose: str(generate_uid()))
    sources = _source_headers(series)
    number = series_number or _MAX_SERIES_NUMBER_OFFSET + (series.number or 0)
    with warnings.catch_warnings():
        # De-identified patients bear names of one word, which highdicom takes for a mistake.
        warnings.filterwarnings("ignore", message="The string .* is unlikely to represent the intended person name")
        seg = _segmentation(sources, segments, make_uid, number, description, creator)
    _stamp(seg, created or datetime.datetime.now(), make_uid)
    buffer = io.BytesIO()
    seg.save_as(buffer)
    return write_atomically(target, buffer.getvalue())


def _check(segments: Sequence[Segment], series: Series) -> None:
    if not series.regular:
        series.volume(0)  # raises with the reasons
    if not segments:
        raise SegmentationError("There is no segment to write; give at least one.")
    grid = series.shape[1:]
    for segment in segments:
        if segment.mask.shape != grid:
            raise SegmentationError(
                f"Segment {segment.label!r} has a mask of shape {segment.mask.shape}; "
                f"the series {series.description!r} has the grid {grid}."
            )
    if not any(segment.mask.any() for segment in segments):
        raise SegmentationError("All masks are empty; a DICOM SEG needs at least one element inside a segment.")


def _source_headers(series: Series) -> list[Dataset]:
    """Read the headers of the first volume's files, in slice order."""
    headers: list[Dataset] = []
    for path in series.paths[: series.shape[1]]:
        if not path.is_file():
            raise MissingDataError(f"{path}, an image that the masks refer to, is no longer there.")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for keyword in _TYPE_2:
            if keyword not in header:
                setattr(header, keyword, "")
        headers.append(header)
    return headers


def _segmentation(
    sources: list[Dataset],
    segments: Sequence[Segment],
    uid: Callable[[str], str],
    number: int,
    description: str,
    creator: str,
) -> Any:
    import highdicom

    version = importlib.metadata.version("highdicom")
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=np.stack([segment.mask for segment in segments], axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[_describe(n, segment, uid) for n, segment in enumerate(segments, start=1)],
        series_instance_uid=uid("series"),
        series_number=number,
        sop_instance_uid=uid("instance"),
        instance_number=1,
        manufacturer=SOFTWARE_NAME,
        manufacturer_model_name="curation",
        software_versions=f"highdicom {version}",
        device_serial_number="0",
        content_description=description,
        content_creator_name=creator or None,
        content_label="SEGMENTATION",
        series_description=description,
    )


def _describe(number: int, segment: Segment, uid: Callable[[str], str]) -> Any:
    import highdicom

    identification = None
    if segment.algorithm is not None:
        identification = highdicom.AlgorithmIdentificationSequence(
            name=segment.algorithm.name,
            family=_concept(segment.algorithm.family),
            version=segment.algorithm.version,
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=_concept(segment.category),
        segmented_property_type=_concept(segment.kind),
        algorithm_type=segment.algorithm_type,
        algorithm_identification=identification,
        tracking_uid=uid(f"segment-{number}"),
        tracking_id=segment.label,
        display_color=highdicom.color.CIELabColor.from_rgb(*(segment.colour or segment_colour(number))),
    )


def _concept(code: Code) -> Any:
    import highdicom

    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _stamp(seg: Dataset, created: datetime.datetime, uid: Callable[[str], str]) -> None:
    """Set every date, time and remaining identifier, so that equal input can give an equal file."""
    date, time = created.strftime("%Y%m%d"), created.strftime("%H%M%S.%f")
    for kind in ("InstanceCreation", "Content", "Series"):
        setattr(seg, f"{kind}Date", date)
        setattr(seg, f"{kind}Time", time)
    for item in seg.get("ContributingEquipmentSequence", []):  # highdicom names itself there
        item.ContributionDateTime = f"{date}{time}"
    dimensions = uid("dimensions")
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
