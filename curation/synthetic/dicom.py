"""Writing synthetic images as MR Image objects (PS3.3 A.4) that pass a conformance check."""

from __future__ import annotations

import datetime
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from curation.synthetic.patients import Patient, Scanner
from curation.synthetic.protocol import DYNAMIC_POINTS, SeriesPlan
from curation.synthetic.scan import Measured

START_OF_STUDY_S = 9 * 3600 + 30 * 60  # half past nine

_NAMESPACE = uuid.UUID("6a1f1f0e-5f0b-5c4e-9c1e-3f3d5b1c7a10")
_MAKERS: dict[Scanner, tuple[str, str]] = {
    "siemens": ("Synthetic, in the manner of SIEMENS", "Synthetic Skyra"),
    "ge": ("Synthetic, in the manner of GE MEDICAL SYSTEMS", "Synthetic Signa"),
    "philips": ("Synthetic, in the manner of Philips", "Synthetic Ingenia"),
}
_WINDOW_PERCENTILES = (1.0, 99.0)


def make_uid(patient: Patient, *names: object) -> str:
    """Return an identifier that depends on the seed, the patient and the names only.

    A UUID written as a decimal number under 2.25 (PS3.5 B.2), made from the names (RFC 9562 version 5).
    """
    name = "/".join(str(part) for part in (patient.seed, patient.number, *names))
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def clock(patient: Patient, seconds: float) -> datetime.datetime:
    """Return date and time of a moment of the study, given in seconds from its beginning."""
    midnight = datetime.datetime.combine(patient.date, datetime.time())
    return midnight + datetime.timedelta(seconds=START_OF_STUDY_S + seconds)


def write_series(patient: Patient, plan: SeriesPlan, volumes: list[Measured], study_folder: Path) -> list[str]:
    """Write all images of one acquisition, one file each.

    Returns
    -------
    list of str
        The Series Instance UID of each volume; the same for all unless there is one series per time point.
    """
    uids: list[str] = []
    split = plan.kind == "dce" and patient.scanner == "siemens"
    window = np.percentile(volumes[0].values, _WINDOW_PERCENTILES)
    for k, volume in enumerate(volumes):
        part = k if split else 0
        number = plan.number + part
        uids.append(make_uid(patient, "series", plan.kind, part))
        folder = study_folder / f"{number:03d}-{plan.kind}"
        folder.mkdir(exist_ok=True)
        dataset = _series_dataset(patient, plan, uids[-1], number, (float(window[0]), float(window[1])))
        _volume_attributes(dataset, patient, plan, volume, k)
        first = 0 if split else k * len(volume.values)
        for z, content in enumerate(_slices(dataset, patient, plan, volume, k, first)):
            (folder / f"{first + z + 1:04d}.dcm").write_bytes(content)
    return uids


def _series_dataset(patient: Patient, plan: SeriesPlan, uid: str, number: int, window: tuple[float, float]) -> Dataset:
    """Return what all images of a series share."""
    start = clock(patient, 0)
    maker, model = _MAKERS[patient.scanner]
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    dataset.PatientName = f"Synthetic^Patient{patient.number:02d}"
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "M"
    dataset.PatientAge = f"{patient.age_years:03d}Y"
    dataset.StudyInstanceUID = make_uid(patient, "study")
    dataset.StudyDate, dataset.StudyTime = start.strftime("%Y%m%d"), start.strftime("%H%M%S")
    dataset.StudyID = str(patient.number)
    dataset.StudyDescription = "Synthetic prostate MRI"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesInstanceUID, dataset.SeriesNumber = uid, number
    dataset.SeriesDescription = dataset.ProtocolName = plan.description
    dataset.BodyPartExamined = "PROSTATE"
    dataset.PatientPosition = "HFS"
    dataset.Manufacturer, dataset.ManufacturerModelName = maker, model
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = str(patient.number), "synthetic 1"
    dataset.FrameOfReferenceUID = make_uid(patient, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.MagneticFieldStrength, dataset.ImagingFrequency = 3, 123.25
    dataset.ImagedNucleus = "1H"
    dataset.ImageType = plan.image_type
    for keyword, value in plan.attributes.items():
        setattr(dataset, keyword, value)
    _pixel_attributes(dataset, plan, window)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    return dataset


def _pixel_attributes(dataset: Dataset, plan: SeriesPlan, window: tuple[float, float]) -> None:
    step, rows, columns = plan.affine[:3, 0], plan.affine[:3, 1], plan.affine[:3, 2]
    spacing = float(np.linalg.norm(rows)), float(np.linalg.norm(columns))
    directions = np.concatenate([columns / spacing[1], rows / spacing[0]])
    dataset.ImageOrientationPatient = [_decimal(value) for value in directions]
    dataset.PixelSpacing = [_decimal(value) for value in spacing]
    dataset.SliceThickness = _decimal(plan.thickness_mm)
    dataset.SpacingBetweenSlices = _decimal(float(np.linalg.norm(step)))
    dataset.Rows, dataset.Columns = plan.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    low, high = window
    dataset.WindowCenter, dataset.WindowWidth = _decimal((low + high) / 2), _decimal(max(high - low, 1.0))


def _decimal(value: float) -> str:
    """Return a number as a decimal string of at most 16 characters (PS3.5 6.2); no negative zero."""
    return format_number_as_ds(round(float(value), 9) + 0.0)


def _volume_attributes(dataset: Dataset, patient: Patient, plan: SeriesPlan, volume: Measured, k: int) -> None:
    moment = clock(patient, volume.start_s)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    for kind in ("Series", "Acquisition", "Content", "InstanceCreation"):
        setattr(dataset, f"{kind}Date", date)
        setattr(dataset, f"{kind}Time", time)
    # Time zero of the series is when its first volume began.
    series_start = clock(patient, plan.start_s)
    dataset.SeriesTime = series_start.strftime("%H%M%S.%f")
    dataset.AcquisitionNumber = k + 1
    if plan.kind == "dce" and patient.scanner != "siemens":
        dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = k + 1, DYNAMIC_POINTS
    if volume.b is not None:
        _write_b_value(dataset, patient.scanner, volume.b)


def _write_b_value(dataset: Dataset, scanner: Scanner, b: float) -> None:
    """Write the b-value where the vendor does: Siemens and GE in private elements alone."""
    if scanner == "siemens":
        dataset.SequenceName = f"*ep_b{b:.0f}t"
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", f"{b:.0f}")
    elif scanner == "ge":  # with the 10^9 that some releases add
        values = [f"{1_000_000_000 + b:.0f}", "8", "0", "0"]
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", values)
    else:
        dataset.DiffusionBValue = b
        dataset.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", b)


def _slices(
    dataset: Dataset, patient: Patient, plan: SeriesPlan, volume: Measured, k: int, first: int
) -> Iterator[bytes]:
    for z, pixels in enumerate(volume.values):
        uid = make_uid(patient, "image", plan.kind, k, z)
        position = plan.affine[:3, 3] + z * plan.affine[:3, 0]
        dataset.SOPInstanceUID = uid
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        dataset.InstanceNumber = first + z + 1
        dataset.ImagePositionPatient = [_decimal(value) for value in position]
        dataset.SliceLocation = _decimal(float(position @ _normal(plan)))
        yield _encoded(dataset, pixels)


def _normal(plan: SeriesPlan) -> NDArray[np.float64]:
    return np.asarray(plan.affine[:3, 0] / np.linalg.norm(plan.affine[:3, 0]))


def _encoded(dataset: Dataset, pixels: NDArray[np.uint16]) -> bytes:
    dataset.PixelData = pixels.astype("<u2").tobytes()
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
