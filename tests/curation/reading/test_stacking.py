"""Irregular series: a named problem and a clear error, never a wrong volume."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from curation import Series, read_study
from curation.errors import IrregularSeriesError, PixelDataError, VolumeIndexError
from tests.curation.conftest import MakeSeries


def only(path: Path) -> Series:
    (series,) = read_study(path).series
    return series


def assert_blocked(path: Path, code: str) -> None:
    series = only(path)
    assert [problem.code for problem in series.problems if problem.blocking] == [code]
    assert series.shape[0] == series.n_volumes == 0
    with pytest.raises(IrregularSeriesError, match="no regular volumes"):
        series.volume(0)


def edit(path: Path, change: Callable[[Dataset], None], target: Path | None = None) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(target or path)


def test_slices_are_sorted_by_position_not_by_name(make_series: MakeSeries) -> None:
    """Shuffled names and Instance Numbers change nothing."""

    def shuffle(dataset: Dataset, z: int) -> None:
        dataset.ImagePositionPatient = [-10, -20, 3 * ((z * 3) % 5)]

    series = only(make_series(5, shuffle)[0].parent)
    volume = series.volume()
    assert volume.array[:, 0, 0].tolist() == [100, 102, 104, 101, 103]
    assert series.shape == (1, 5, 6, 8)
    assert series.spacing_mm == volume.spacing_mm == (3, 0.5, 0.75)
    assert volume.to_lps((4, 0, 0)).tolist() == [-10, -20, 12]


def test_each_slice_has_its_own_rescale(make_series: MakeSeries) -> None:
    """Values are stored values times the slice's slope plus its intercept."""

    def scale(dataset: Dataset, z: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = z + 1, -z

    volume = only(make_series(3, scale)[0].parent).volume()
    assert volume.array[:, 0, 0].tolist() == [100, 201, 304]
    assert volume.array.dtype == np.float32


def test_small_jitter_is_no_gap(make_series: MakeSeries) -> None:
    """Positions off by 0.02 mm still make one regular volume."""

    def jitter(dataset: Dataset, z: int) -> None:
        dataset.ImagePositionPatient = [-10, -20, 3 * z + 0.02 * (z % 2)]

    assert only(make_series(5, jitter)[0].parent).shape == (1, 5, 6, 8)


def test_missing_middle_slice(make_series: MakeSeries) -> None:
    """A gap blocks the series and says after which slice."""
    paths = make_series(5)
    paths[2].unlink()
    assert_blocked(paths[0].parent, "missing-slices")
    assert "after slice 2" in str(only(paths[0].parent).problems[0])


def test_missing_end_slice_is_noted(make_series: MakeSeries) -> None:
    """Without the first slice the rest is regular, and the gap in Instance Numbers is told."""
    paths = make_series(5)
    paths[0].unlink()
    series = only(paths[1].parent)
    assert series.shape == (1, 4, 6, 8)
    assert [problem.code for problem in series.problems] == ["instance-number-gap"]


def test_duplicate_slice_with_another_identifier(make_series: MakeSeries) -> None:
    """Two images at one position block the series."""
    paths = make_series(5)
    edit(paths[2], lambda dataset: setattr(dataset, "SOPInstanceUID", "2.25.99"), paths[2].with_name("copy.dcm"))
    assert_blocked(paths[0].parent, "duplicate-slices")


def test_copied_file_is_left_out(make_series: MakeSeries) -> None:
    """The same file twice is one image, and the copy is told."""
    paths = make_series(5)
    shutil.copy(paths[2], paths[2].with_name("copy.dcm"))
    series = only(paths[0].parent)
    assert series.shape == (1, 5, 6, 8)
    assert [problem.code for problem in series.problems] == ["duplicate-files"]


def test_different_files_with_one_identifier(make_series: MakeSeries) -> None:
    """Which of them is right cannot be known: the series is blocked."""
    paths = make_series(5)
    edit(paths[2], lambda dataset: setattr(dataset, "EchoTime", 99), paths[2].with_name("copy.dcm"))
    assert_blocked(paths[0].parent, "conflicting-files")


def test_mixed_orientation_is_a_localizer(make_series: MakeSeries) -> None:
    """Several orientations make no volume; the plane is mixed."""

    def turn(dataset: Dataset, z: int) -> None:
        if z > 2:
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    folder = make_series(5, turn)[0].parent
    assert_blocked(folder, "mixed-orientation")
    assert (only(folder).plane, only(folder).role) == ("mixed", "localizer")


def test_sheared_stack(make_series: MakeSeries) -> None:
    """Slices that slide sideways as with a tilted gantry are refused with the angle."""
    folder = make_series(5, lambda d, z: setattr(d, "ImagePositionPatient", [-10, -20 + z, 3 * z]))[0].parent
    assert_blocked(folder, "sheared")
    assert "18.4 degrees" in str(only(folder).problems[0])


def test_uneven_spacing(make_series: MakeSeries) -> None:
    """Distances that are no multiples of one another are named."""
    folder = make_series(4, lambda d, z: setattr(d, "ImagePositionPatient", [-10, -20, [0, 3, 6, 7.7][z]]))[0].parent
    assert_blocked(folder, "uneven-spacing")


def test_images_of_several_sizes(make_series: MakeSeries) -> None:
    """A slice with another pixel spacing blocks the series."""
    folder = make_series(4, lambda d, z: setattr(d, "PixelSpacing", [0.5, 0.75 if z else 0.8]))[0].parent
    assert_blocked(folder, "mixed-sizes")


def test_mosaics_and_multi_frame_images_are_named(make_series: MakeSeries) -> None:
    """Kinds of images that are not taken apart are refused, not stacked."""
    mosaic = make_series(2, lambda d, z: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "MOSAIC"]), "mosaic")
    assert_blocked(mosaic[0].parent, "mosaic")
    frames = make_series(2, lambda d, z: setattr(d, "NumberOfFrames", 1 + z), "frames")
    assert "multi-frame" in {problem.code for problem in only(frames[0].parent).problems}


def test_images_without_position(make_series: MakeSeries) -> None:
    """A lost position blocks the series and names the file."""
    paths = make_series(3, lambda d, z: d.pop("ImagePositionPatient") if z == 1 else None)
    assert_blocked(paths[0].parent, "no-geometry")
    assert only(paths[0].parent).problems[0].paths == (paths[1],)


def test_repeated_positions_that_nothing_tells_apart(make_series: MakeSeries) -> None:
    """Two complete stacks with equal headers are ambiguous."""
    paths = make_series(3)
    for path in paths:
        uid = pydicom.dcmread(path).SOPInstanceUID[:-3] + ".7"
        edit(path, lambda d, uid=uid: setattr(d, "SOPInstanceUID", uid), path.with_name("b" + path.name))  # type: ignore[misc]
    assert_blocked(paths[0].parent, "ambiguous-volumes")


def test_truncated_file(make_series: MakeSeries) -> None:
    """Pixel data that end early are noticed by the header scan and block the series."""
    paths = make_series(4)
    paths[1].write_bytes(paths[1].read_bytes()[:-10])
    assert_blocked(paths[0].parent, "truncated")
    assert "truncated" in {problem.code for problem in read_study(paths[0].parent).problems}


def test_header_cut_off(make_series: MakeSeries) -> None:
    """A file cut within its header is told by the study and by its neighbours."""
    paths = make_series(4)
    paths[3].write_bytes(paths[3].read_bytes()[:400])
    study = read_study(paths[0].parent)
    assert "unreadable" in {problem.code for problem in study.problems}
    assert "unreadable-neighbours" in {problem.code for problem in study.series[0].problems}


def test_a_file_that_vanishes_is_named(make_series: MakeSeries) -> None:
    """A file gone after the scan raises an error with its name."""
    paths = make_series(3)
    series = only(paths[0].parent)
    paths[1].unlink()
    with pytest.raises(PixelDataError, match=r"001\.dcm"):
        series.volume()


@pytest.mark.parametrize("k", [-1, 1])
def test_volumes_are_numbered_from_zero(make_series: MakeSeries, k: int) -> None:
    """Other numbers raise and say which there are."""
    with pytest.raises(VolumeIndexError, match="from 0 to 0"):
        only(make_series(2)[0].parent).volume(k)
