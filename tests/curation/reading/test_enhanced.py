"""Enhanced multi-frame images: each frame is a slice, one file may hold several volumes."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from curation import Series, read_study
from curation.errors import IrregularSeriesError, PixelDataError
from tests.curation.reading.enhanced_file import COLUMNS, ROWS, Frame, item, write_enhanced

X, Y = (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)


def diffusion(slices: int = 4) -> list[Frame]:
    """b = 0, two directions at b = 800, and the trace image; slices from head to feet."""
    volumes = [(0.0, None, False), (800.0, X, False), (800.0, Y, False), (800.0, None, True)]
    return [
        Frame(z, 100 * k + 10 * z, b, direction, isotropic, slope=1.0 + k, intercept=-float(z))
        for z in reversed(range(slices))
        for k, (b, direction, isotropic) in enumerate(volumes)
    ]


def only(path: Path) -> Series:
    (series,) = read_study(path).series
    return series


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_one_file_gives_all_volumes(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """Volumes by b-value and direction, slices by position, values by each frame's own rescale."""

    def swap(dataset: Dataset) -> None:
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()

    series = only(write_enhanced(tmp_path / "a.dcm", diffusion(), syntax=syntax, change=swap))
    assert (series.role, series.shape, series.spacing_mm) == ("dwi", (4, 4, ROWS, COLUMNS), (3.0, 0.5, 0.75))
    assert series.b_values == (0, 800, 800, 800)
    assert series.gradient_directions == (None, X, Y, None)
    assert series.problems == ()
    assert series.paths == (tmp_path / "a.dcm",)
    for k in range(4):
        volume = series.volume(k)
        expected = [(100 * k + 10 * z) * (1 + k) - z for z in range(4)]
        assert volume.array[:, 0, 0].tolist() == expected
        assert volume.array[:, 0, 7].tolist() == [value + 7 * (1 + k) for value in expected]
        assert volume.to_lps((2, 1, 1)).tolist() == [-9.25, -19.5, 6.0]


def test_frames_in_order_of_their_own_times(tmp_path: Path) -> None:
    """A dynamic image whose frames are stored late phase first."""
    frames = [
        Frame(z, 50 + 10 * t, time=f"202601051000{4 * t:02d}.500", kind=("ORIGINAL", "PRIMARY", "T1", "NONE"))
        for t in (2, 0, 1)
        for z in range(3)
    ]

    def gradient_echo(dataset: Dataset) -> None:
        dataset.EchoPulseSequence, dataset.EchoPlanarPulseSequence = "GRADIENT", "NO"
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.MRTimingAndRelatedParametersSequence = [item(RepetitionTime=4.0, FlipAngle=12.0)]
        shared.MREchoSequence = [item(EffectiveEchoTime=1.5)]
        dataset.ContrastBolusAgentSequence = [item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="Gd")]

    series = only(write_enhanced(tmp_path / "a.dcm", frames, change=gradient_echo))
    assert (series.role, series.acquisition_times_s) == ("dce", (0.0, 4.0, 8.0))
    assert [float(series.volume(k).array[0, 0, 0]) for k in range(3)] == [50, 60, 70]


def test_temporal_offset_is_a_time(tmp_path: Path) -> None:
    """Temporal Position Time Offset counts in seconds."""

    def later(seconds: float) -> Frame:
        def change(group: Dataset) -> None:
            group.TemporalPositionSequence = [item(TemporalPositionTimeOffset=seconds)]

        return Frame(0, int(seconds), kind=("ORIGINAL", "PRIMARY", "T1", "NONE"), change=change)

    series = only(write_enhanced(tmp_path / "a.dcm", [later(9.0), later(2.5)]))
    assert series.acquisition_times_s == (0.0, 6.5)


def test_maps_beside_their_source_are_separated(tmp_path: Path) -> None:
    """An ADC map in the file of its DWI is a series of its own, and both say so."""
    source = [Frame(z, 10, b) for b in (0.0, 800.0) for z in range(3)]
    maps = [Frame(z, 90, 800.0, kind=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")) for z in range(3)]
    study = read_study(write_enhanced(tmp_path / "a.dcm", [*source, *maps]))
    assert [(s.role, s.n_volumes) for s in study.series] == [("dwi", 2), ("adc", 1)]
    assert [p.code for s in study.series for p in s.problems] == ["several-contents"] * 2


def test_philips_keeps_b_values_in_a_private_group(tmp_path: Path) -> None:
    """Private elements within a functional group are found."""

    def private(b: float) -> Frame:
        def change(group: Dataset) -> None:
            inner = Dataset()
            inner.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", b)
            block = inner.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            for element, component in zip((0xB0, 0xB1, 0xB2), Y, strict=True):
                block.add_new(element, "UN", struct.pack("<f", component))
            outer = group.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            outer.add_new(0x0F, "SQ", [inner])
            moved = group[0x2005_100F]
            del group[0x2005_100F]
            group.add_new(0x2005_140F, "SQ", moved.value)

        return Frame(0, int(b), change=change)

    series = only(write_enhanced(tmp_path / "a.dcm", [private(1000.0), private(0.0)]))
    assert series.b_values == (1000, 0)
    assert series.gradient_directions is not None
    assert series.gradient_directions[0] == pytest.approx(Y, abs=1e-6)


def test_only_the_frames_of_a_volume_are_decoded(tmp_path: Path) -> None:
    """A damaged frame of one volume leaves the others readable."""

    def compress(dataset: Dataset) -> None:
        dataset.compress(RLELossless)
        frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=4))
        frames[3] = b"\x01" + b"\xff" * 200
        dataset.PixelData = pydicom.encaps.encapsulate(frames)

    frames = [Frame(z, 7 * (k + 1), b) for k, b in enumerate((0.0, 500.0)) for z in range(2)]
    series = only(write_enhanced(tmp_path / "a.dcm", frames, change=compress))
    assert series.volume(0).array[:, 0, 1].tolist() == [8, 8]
    with pytest.raises(PixelDataError, match=r"a\.dcm"):
        series.volume(1)


def test_groups_that_do_not_count_up_to_the_frames(tmp_path: Path) -> None:
    """A file with fewer functional groups than frames is set aside."""
    write_enhanced(tmp_path / "good.dcm", [Frame(0, 1, 50.0)])

    def lose(dataset: Dataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[-1]

    bad = write_enhanced(tmp_path / "bad.dcm", diffusion(), change=lose)
    study = read_study(tmp_path)
    assert study.quarantine == ((bad, "unreadable"),)
    assert "15 functional groups for 16 frames" in str(study.problems[0])


def test_orientations_in_one_file_are_a_localizer(tmp_path: Path) -> None:
    """Frames in several orientations form no volume."""

    def turn(group: Dataset) -> None:
        group.PlaneOrientationSequence = [item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])]

    series = only(write_enhanced(tmp_path / "a.dcm", [Frame(0, 1), Frame(1, 1), Frame(2, 1, change=turn)]))
    assert (series.role, series.plane) == ("localizer", "mixed")
    with pytest.raises(IrregularSeriesError, match="orientations"):
        series.volume()


@pytest.fixture
def real_dwi(real_data: Path) -> Series:
    """The DWI of three b-values, one file per slice."""
    (series,) = read_study(real_data / "prostatex" / "ProstateX-0000").with_role("dwi")
    return series


def legacy(series: Series, path: Path, volumes: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Let another library convert a classic series to one enhanced file."""
    count = series.shape[1]
    sources = [pydicom.dcmread(p) for k in volumes for p in series.paths[k * count : (k + 1) * count]]
    converted = highdicom.legacy.LegacyConvertedEnhancedMRImage(sources, generate_uid(), 6, generate_uid(), 1)
    converted.save_as(path)
    return path


@pytest.mark.filterwarnings("ignore")
def test_converted_real_series_reads_as_its_source(real_dwi: Series, tmp_path: Path) -> None:
    """A legacy converted image gives the values, places, b-values and times of its 57 source files."""
    series = only(legacy(real_dwi, tmp_path / "a.dcm"))
    assert (series.role, series.shape, series.b_values) == ("dwi", real_dwi.shape, real_dwi.b_values)
    assert series.acquisition_times_s == real_dwi.acquisition_times_s
    for k in range(3):
        assert np.array_equal(series.volume(k).array, real_dwi.volume(k).array)
        assert np.array_equal(series.volume(k).affine, real_dwi.volume(k).affine)


@pytest.mark.filterwarnings("ignore")
def test_other_readers_agree_on_an_enhanced_volume(real_dwi: Series, tmp_path: Path) -> None:
    """SimpleITK and dcm2niix find the values of one converted volume at the same points of the patient."""
    path = legacy(real_dwi, tmp_path / "a.dcm", (1,))
    volume = only(path).volume()
    indices = np.array([(3, 20, 40), (10, 64, 42), (17, 100, 5)])
    points = volume.to_lps(indices)
    ours = [float(volume.array[tuple(index)]) for index in indices]
    image = SimpleITK.ReadImage(str(path))
    theirs = [image.GetPixel(image.TransformPhysicalPointToIndex(point)) for point in points.tolist()]
    assert theirs == ours
    import dcm2niix

    subprocess.run([dcm2niix.bin, "-f", "out", "-o", tmp_path, path], check=True, capture_output=True)
    nifti = nibabel.load(tmp_path / "out.nii")
    ras = points * (-1, -1, 1)
    at = nibabel.affines.apply_affine(np.linalg.inv(nifti.affine), ras).round().astype(int)
    assert [float(nifti.get_fdata()[tuple(index)]) for index in at] == ours
