"""Siemens mosaics: the DWI of a real study tiled, and found again in every value and place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from curation import Series, Volume, read_study
from curation.reading.csa import csa_fields
from tests.curation.conftest import MakeSeries

GRID = 5
Fields = Sequence[tuple[str, str, Sequence[str]]]


def csa(fields: Fields, version: int = 2) -> bytes:
    """Write a CSA header, see `curation.reading.csa` for the layout."""
    parts = [b"SV10\4\3\2\1" if version == 2 else b"", struct.pack("<2I", len(fields), 77)]
    for name, vr, values in fields:
        n_items = 6 if values else 0
        head = (name.encode(), len(values), vr.encode(), 3, n_items, 77)
        parts.append(struct.pack("<64si4s3i", *head))
        for number in range(n_items):
            text = values[number].encode() + b"\0" if number < len(values) else b""
            size = len(text)
            lengths = (size, size, 77, size) if version == 2 else (size + n_items, size, 77, size)
            parts.append(struct.pack("<4i", *lengths) + text + b"\0" * (-size % 4))
    return b"".join(parts)


def fields_of(volume: Volume, *, down: bool = False) -> Fields:
    normal = volume.affine[:3, 0] / volume.spacing_mm[0] * (-1 if down else 1)
    return (
        ("EchoLinePosition", "IS", ("52",)),
        ("NumberOfImagesInMosaic", "US", (str(volume.shape[0]),)),
        ("SliceNormalVector", "FD", tuple(f"{v:.12f}" for v in normal)),
        ("B_value", "IS", ()),
    )


@pytest.fixture(scope="module")
def dwi(real_data: Path) -> Series:
    (series,) = read_study(real_data / "prostatex" / "ProstateX-0000").with_role("dwi")
    return series


def tile(dwi: Series, k: int, *, down: bool = False) -> Dataset:
    """Return volume k as a mosaic, as the scanner would place it."""
    count = dwi.shape[1]
    dataset = pydicom.dcmread(dwi.paths[k * count])
    slices = [pydicom.dcmread(path).pixel_array for path in dwi.paths[k * count : (k + 1) * count]]
    volume = dwi.volume(k)
    if down:
        slices = slices[::-1]
    rows, columns = volume.shape[1:]
    mosaic = np.zeros((GRID * rows, GRID * columns), dtype="<u2")
    for z, pixels in enumerate(slices):
        r, c = divmod(z, GRID)
        mosaic[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns] = pixels
    first = volume.to_lps((count - 1 if down else 0, -(GRID - 1) * rows / 2, -(GRID - 1) * columns / 2))
    dataset.ImagePositionPatient = [f"{value:.9f}" for value in first]
    dataset.Rows, dataset.Columns, dataset.PixelData = *mosaic.shape, mosaic.tobytes()
    dataset.ImageType = [*dataset.ImageType, "MOSAIC"]
    dataset.InstanceNumber = k + 1
    return dataset


def write(folder: Path, dwi: Series, change: Callable[[Dataset], None], *, down: bool = False) -> Path:
    for k in range(dwi.n_volumes):
        dataset = tile(dwi, k, down=down)
        change(dataset)
        dataset.save_as(folder / f"{k}.dcm")
    return folder


def add_csa(content: bytes) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", content)

    return change


def only(path: Path) -> Series:
    (series,) = read_study(path).series
    return series


def assert_equal(series: Series, dwi: Series) -> None:
    assert (series.role, series.shape, series.b_values) == ("dwi", dwi.shape, dwi.b_values)
    for k in range(dwi.n_volumes):
        assert np.array_equal(series.volume(k).array, dwi.volume(k).array)
        # Positions are decimal strings of nine decimals.
        assert np.abs(series.volume(k).affine - dwi.volume(k).affine).max() < 1e-6
        assert series.volume(k).frame_of_reference_uid == dwi.frame_of_reference_uid


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("down", [False, True])
def test_mosaic_with_its_header(dwi: Series, tmp_path: Path, version: int, down: bool) -> None:
    """Count and direction from either version of the CSA header; slices may run against the normal."""
    content = csa(fields_of(dwi.volume(), down=down), version)
    series = only(write(tmp_path, dwi, add_csa(content), down=down))
    assert series.problems == ()
    assert_equal(series, dwi)


def test_mosaic_without_its_header(dwi: Series, tmp_path: Path) -> None:
    """The tile from the frequency count, never the phase count; the slices from the blank tiles; and it is said."""
    series = only(write(tmp_path, dwi, lambda dataset: None))
    assert [problem.code for problem in series.problems] == ["mosaic-assumed"]
    assert "19, after the blank tiles" in str(series.problems[0])
    assert "along the slice normal" in str(series.problems[0])
    assert_equal(series, dwi)


def test_mosaic_with_the_matrix_as_private_text(dwi: Series, tmp_path: Path) -> None:
    """``84p*128s`` stands in for Acquisition Matrix."""
    assert_equal(only(write(tmp_path, dwi, lambda dataset: dataset.pop("AcquisitionMatrix"))), dwi)


def test_mosaic_with_its_private_count(dwi: Series, tmp_path: Path) -> None:
    """(0019,xx0A) gives the number of slices; only the direction is assumed."""

    def count(dataset: Dataset) -> None:
        dataset.add_new(0x0019_100A, "US", 19)
        del dataset.AcquisitionMatrix

    series = only(write(tmp_path, dwi, count))
    assert "after the blank tiles" not in str(series.problems[0])
    assert_equal(series, dwi)


def test_a_blank_slice_in_between_is_kept(dwi: Series, tmp_path: Path) -> None:
    """Only blank tiles at the end are no slices."""

    def blank(dataset: Dataset) -> None:
        pixels = dataset.pixel_array.copy()
        pixels[:128, 84:168] = 0
        dataset.PixelData = pixels.tobytes()

    series = only(write(tmp_path, dwi, blank))
    assert series.shape == dwi.shape
    assert float(series.volume().array[1].max()) == 0


def no_matrix(dataset: Dataset) -> None:
    del dataset.AcquisitionMatrix
    del dataset[0x0051_100B]


def no_spacing(dataset: Dataset) -> None:
    del dataset.SpacingBetweenSlices


def half_matrix(dataset: Dataset) -> None:
    dataset.AcquisitionMatrix = [0, 64, 42, 0]  # an interpolated image: the tiles are twice as large


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (no_matrix, "acquisition matrix are missing"),
        (no_spacing, "Spacing Between Slices is missing"),
        (half_matrix, "do not fit a square of 10 x 10"),
        (lambda d: setattr(d, "AcquisitionMatrix", [0, 100, 84, 0]), "do not divide"),
        (add_csa(csa([("NumberOfImagesInMosaic", "US", ("80",))])), "are no 9 x 9 tiles"),
        (
            add_csa(csa([("NumberOfImagesInMosaic", "US", ("19",)), ("SliceNormalVector", "FD", ("1", "0", "0"))])),
            "is not that of the image",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(
    dwi: Series, tmp_path: Path, change: Callable[[Dataset], None], reason: str
) -> None:
    """Where nothing gives the grid, or what does contradicts the image, the series gives no volume."""
    series = only(write(tmp_path, dwi, change))
    assert series.n_volumes == 0
    assert [(p.code, p.blocking) for p in series.problems] == [("mosaic", True)]
    assert reason in str(series.problems[0])


def test_mosaic_without_any_hint(make_series: MakeSeries) -> None:
    """An image that only calls itself a mosaic is refused."""
    paths = make_series(2, lambda d, z: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "MOSAIC"]))
    assert [p.code for p in only(paths[0].parent).problems if p.blocking] == ["mosaic"]


@pytest.mark.filterwarnings("ignore:The DICOM readers are highly experimental")
@pytest.mark.parametrize("version", [1, 2])
def test_csa_fields_equal_another_reader(version: int) -> None:
    """nibabel reads the same from the headers that these tests write."""
    from nibabel.nicom.csareader import get_csa_header

    content = csa([("Empty", "IS", ()), ("A", "IS", ("1", "2", "3")), ("B_value", "IS", ("800",))], version)
    dataset = Dataset()
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", content)
    theirs = get_csa_header(dataset)["tags"]
    ours = csa_fields(content, {"A", "B_value", "Empty"})
    assert ours == {"A": ("1", "2", "3"), "B_value": ("800",)}
    assert {name: [int(v) for v in values] for name, values in ours.items()} == {
        name: tag["items"] for name, tag in theirs.items() if tag["items"]
    }


def test_damaged_csa_headers_give_what_is_whole() -> None:
    """Cut anywhere, or with any byte of its counts at the most, a header gives a part of its fields and no error."""
    content = csa([("A", "IS", ("1", "2", "3")), ("B_value", "IS", ("800",))])
    whole = csa_fields(content, {"A", "B_value"})
    for size in range(len(content)):
        assert csa_fields(content[:size], {"A", "B_value"}).items() <= whole.items()
    for start in range(0, len(content) - 4, 4):
        damaged = content[:start] + b"\xff\xff\xff\x7f" + content[start + 4 :]
        assert isinstance(csa_fields(damaged, {"A", "B_value"}), dict)
