"""Results of enhanced multi-frame images: what classic images need is taken from functional groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from curation import Series, read_study
from curation.derived import read_provenance, write_derived
from tests.curation.conformance import errors_of
from tests.curation.conftest import MakeSeries
from tests.curation.derived.results import motion_corrected

B_VALUES = (50.0, 800.0)
SLICES = 3


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def frame(b: float, z: int) -> Dataset:
    """Return what differs from frame to frame."""
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, 3 * z])],
        FrameContentSequence=[item(FrameAcquisitionDateTime=f"20260105100{0 if b == 50 else 1}{z:02d}.5")],
        MRDiffusionSequence=[
            item(
                DiffusionBValue=b,
                DiffusionDirectionality="DIRECTIONAL",
                DiffusionGradientDirectionSequence=[item(DiffusionGradientOrientation=[0.0, 0.0, 1.0])],
            )
        ],
    )


def shared() -> Dataset:
    """Return what all frames have."""
    return item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.5, SpacingBetweenSlices=3)],
        MRTimingAndRelatedParametersSequence=[item(RepetitionTime=2700, FlipAngle=90, EchoTrainLength=48)],
        MREchoSequence=[item(EffectiveEchoTime=63.0)],
        MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"])],
    )


@pytest.fixture
def series(make_series: MakeSeries) -> Series:
    """An enhanced diffusion image of two b-values and three slices in one file."""

    def enhance(dataset: Dataset, _: int) -> None:
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
                        "RepetitionTime", "EchoTime", "FlipAngle", "ScanningSequence"):  # fmt: skip
            del dataset[keyword]
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
        dataset.EchoPulseSequence, dataset.EchoPlanarPulseSequence = "SPIN", "YES"
        dataset.PulseSequenceName = "*ep_b"
        dataset.SharedFunctionalGroupsSequence = [shared()]
        dataset.PerFrameFunctionalGroupsSequence = [frame(b, z) for b in B_VALUES for z in range(SLICES)]
        dataset.NumberOfFrames = SLICES * len(B_VALUES)
        pixels = np.arange(SLICES * len(B_VALUES) * 6 * 8, dtype="<u2")
        dataset.PixelData = pixels.tobytes()

    return read_study(make_series(1, enhance)).series[0]


def test_enhanced_source_becomes_classic(series: Series, tmp_path: Path) -> None:
    """One file per slice and volume, valid, with the values of the frames."""
    assert (series.shape, series.b_values) == ((2, SLICES, 6, 8), B_VALUES)
    paths = write_derived(motion_corrected(series), tmp_path / "out")
    assert {path.name: errors for path in paths if (errors := errors_of(path))} == {}
    again = next(s for s in read_study(tmp_path / "out").series if s.modality == "MR")
    assert (again.role, again.b_values, again.shape) == ("dwi", B_VALUES, series.shape)
    assert again.acquisition_times_s == pytest.approx((0.0, 60.0))
    header = pydicom.dcmread(paths[SLICES])
    assert (header.EchoTime, header.RepetitionTime, header.FlipAngle, header.EchoTrainLength) == (63, 2700, 90, 48)
    assert (header.SliceThickness, header.SpacingBetweenSlices) == (2.5, 3)
    assert list(header.ScanningSequence) == ["SE", "EP"]
    assert list(header.ImageType)[:3] == ["DERIVED", "PRIMARY", "DIFFUSION"]
    assert header.AcquisitionTime == "100100.500000"
    assert [item.ReferencedSOPClassUID for item in header.SourceImageSequence] == [EnhancedMRImageStorage]
    assert "NumberOfFrames" not in header
    assert header.DiffusionGradientOrientation == pytest.approx([0, 0, 1])
    assert read_provenance(paths[SLICES]).source_volumes == (1,)
