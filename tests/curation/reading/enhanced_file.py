"""Enhanced MR images written frame by frame, for tests of the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS, SPACING = 6, 8, (0.5, 0.75, 3.0)
Direction = tuple[float, float, float]


@dataclass
class Frame:
    """One frame: its slice, and what tells its volume from others."""

    z: int
    value: int
    b: float | None = None
    direction: Direction | None = None
    isotropic: bool = False
    time: str = ""
    temporal: int | None = None
    slope: float = 1.0
    intercept: float = 0.0
    kind: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE")
    change: Callable[[Dataset], None] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def write_enhanced(
    path: Path,
    frames: Sequence[Frame],
    *,
    syntax: UID = ExplicitVRLittleEndian,
    change: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write one axial file."""
    dataset = _general()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = len(frames)
    dataset.SharedFunctionalGroupsSequence = [_shared()]
    dataset.PerFrameFunctionalGroupsSequence = [_group(frame) for frame in frames]
    dataset.PixelData = np.stack([_pixels(frame) for frame in frames]).tobytes()
    dataset["PixelData"].VR = "OW"
    if change is not None:
        change(dataset)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _pixels(frame: Frame) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.full((ROWS, COLUMNS), frame.value, dtype="<u2") + np.arange(COLUMNS, dtype="<u2")


def _general() -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "2.25.1", "2.25.3", "2.25.2"
    dataset.Modality, dataset.PatientID, dataset.PatientName = "MR", "TEST", "Test^Patient"
    dataset.StudyDate, dataset.StudyTime, dataset.AcquisitionDateTime = "20260105", "100000", "20260105100000"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName, dataset.Manufacturer = "", "Test"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    dataset.EchoPulseSequence, dataset.EchoPlanarPulseSequence = "SPIN", "YES"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    return dataset


def item(**values: Any) -> Dataset:
    """Return a data set with these attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _shared() -> Dataset:
    between_rows, between_columns, between_slices = SPACING
    measures = item(PixelSpacing=[between_rows, between_columns], SliceThickness=between_slices)
    timing = item(RepetitionTime=3000.0, FlipAngle=90.0)
    return item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        MRTimingAndRelatedParametersSequence=[timing],
        MREchoSequence=[item(EffectiveEchoTime=65.0)],
    )


def _group(frame: Frame) -> Dataset:
    content = item(**frame.extra)
    if frame.time:
        content.FrameAcquisitionDateTime = frame.time
    if frame.temporal is not None:
        content.TemporalPositionIndex = frame.temporal
    result = item(
        FrameContentSequence=[content],
        PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, SPACING[2] * frame.z])],
        PixelValueTransformationSequence=[item(RescaleSlope=frame.slope, RescaleIntercept=frame.intercept)],
        MRImageFrameTypeSequence=[item(FrameType=list(frame.kind))],
    )
    if frame.b is not None:
        result.MRDiffusionSequence = [_diffusion(frame)]
    if frame.change is not None:
        frame.change(result)
    return result


def _diffusion(frame: Frame) -> Dataset:
    directionality = "ISOTROPIC" if frame.isotropic else "DIRECTIONAL" if frame.direction else "NONE"
    found = item(DiffusionBValue=frame.b, DiffusionDirectionality=directionality)
    if frame.direction is not None:
        direction = item(DiffusionGradientOrientation=list(frame.direction))
        found.DiffusionGradientDirectionSequence = [direction]
    return found
