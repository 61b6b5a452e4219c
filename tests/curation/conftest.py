"""Fixtures for the image library: real DICOM where it is, a synthetic patient, small series made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from curation.synthetic import SyntheticStudy, draw_patient, write_patient

_REPOSITORY = Path(__file__).parents[2]

MakeSeries = Callable[..., list[Path]]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real DICOM; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LIGHTBOX_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not (folder / "prostatex").is_dir():
        pytest.skip(f"no real DICOM at {folder}: set LIGHTBOX_DATA")
    return folder


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[SyntheticStudy]:
    """Three synthetic patients, one of each vendor; the third has no lesion. Read only."""
    folder = tmp_path_factory.mktemp("cohort")
    return [write_patient(folder, draw_patient(0, number)) for number in (1, 2, 3)]


@pytest.fixture
def make_series(tmp_path: Path) -> MakeSeries:
    """A function that writes a small axial T2w series and returns its files in slice order.

    `change(dataset, z)` alters each dataset before it is written.
    """

    def make(
        slices: int = 5, change: Callable[[Dataset, int], None] | None = None, folder: str = "series"
    ) -> list[Path]:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        series, study, frame = generate_uid(), "2.25.1", "2.25.2"
        paths = []
        for z in range(slices):
            dataset = _slice(z, series, study, frame)
            if change is not None:
                change(dataset, z)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            paths.append(place / f"{z:03d}.dcm")
            pydicom.dcmwrite(paths[-1], dataset, enforce_file_format=True)
        return paths

    return make


def _slice(z: int, series: str, study: str, frame: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
    dataset.Modality, dataset.PatientID, dataset.StudyDate = "MR", "TEST", "20260105"
    dataset.PatientName = "Test^Patient"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, z + 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ScanningSequence, dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = "SE", 5000, 100, 150
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260105", "100000"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-10, -20, 3 * z]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.75], 3
    dataset.Rows, dataset.Columns = 6, 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.full((6, 8), 100 + z, dtype="<u2").tobytes()
    return dataset
