"""Limits: what claims more than is read is set aside by name, and the rest of the study is read."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from curation import read_study
from curation.errors import IrregularSeriesError, PixelDataError, UnsupportedSourceError
from curation.reading.codestreams import Size, check_run_lengths, stated_size
from curation.reading.limits import Limits
from tests.curation.conftest import MakeSeries
from tests.curation.reading.enhanced_file import Frame, write_enhanced

Change = Callable[[Dataset, int], None]


def first(change: Callable[[Dataset], None]) -> Change:
    """Alter the first slice alone."""
    return lambda dataset, z: change(dataset) if z == 0 else None


def large_header(dataset: Dataset) -> None:
    dataset.add_new(0x0009_0010, "LO", "TEST")
    dataset.add_new(0x0009_1001, "OB", b"x" * 600_000)


def deflate_bomb(dataset: Dataset) -> None:
    large_header(dataset)
    dataset[0x0009_1001].value = bytes(100_000_000)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def many_elements(dataset: Dataset) -> None:
    dataset.add_new(0x0009_0010, "LO", "TEST")
    for element in range(0x1000, 0x1FFF):
        dataset.add_new(0x0009_0000 | element, "IS", "")


@pytest.mark.parametrize(
    ("change", "limits", "reason"),
    [
        (large_header, Limits(header_bytes=400_000), "header is longer"),
        (large_header, Limits(file_bytes=400_000), "are more than the 400000"),
        (deflate_bomb, Limits(header_bytes=1_000_000), "header is longer"),
        (many_elements, Limits(elements=1000), "more data elements"),
    ],
)
def test_large_files_are_set_aside(
    make_series: MakeSeries, change: Callable[[Dataset], None], limits: Limits, reason: str
) -> None:
    """One file beyond a limit is named; the others are read."""
    paths = make_series(3, first(change))
    study = read_study(paths[0].parent, limits=limits)
    assert [path for path, _ in study.quarantine] == [paths[0]]
    assert reason in str(study.problems[0])
    assert len(study.series[0].paths) == 2


def test_long_headers_within_the_limit_are_read(make_series: MakeSeries) -> None:
    """A header longer than the first bytes that are read is followed to its end, deflated or not."""
    plain = make_series(2, lambda d, z: large_header(d), "plain")
    assert read_study(plain[0].parent).series[0].volume().array[:, 0, 0].tolist() == [100, 101]

    def deflate(dataset: Dataset, z: int) -> None:
        large_header(dataset)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    deflated = make_series(2, deflate, "deflated")
    assert read_study(deflated[0].parent).series[0].volume().array[:, 0, 0].tolist() == [100, 101]


def test_too_many_files(make_series: MakeSeries) -> None:
    """A folder with more files than the limit is refused before any is opened."""
    paths = make_series(3)
    with pytest.raises(UnsupportedSourceError, match="more than the 2 files"):
        read_study(paths[0].parent, limits=Limits(files=2))


def test_too_many_frames(tmp_path: Path, make_series: MakeSeries) -> None:
    """Frames are counted while they are read."""
    paths = make_series(2)
    write_enhanced(paths[0].with_name("z.dcm"), [Frame(z, z) for z in range(5)])
    study = read_study(paths[0].parent, limits=Limits(frames=4))
    assert study.quarantine == ((paths[0].with_name("z.dcm"), "unreadable"),)
    assert "more than 4 frames" in str(study.problems[0])


def test_claimed_dimensions(make_series: MakeSeries) -> None:
    """65,535 rows of compressed pixels block the series before memory is asked for."""

    def claim(dataset: Dataset, z: int) -> None:
        dataset.Rows = dataset.Columns = 65_535
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        dataset["PixelData"].VR = "OB"

    paths = make_series(2, claim)
    study = read_study(paths[0].parent)
    assert study.quarantine == tuple((path, "too-large") for path in paths)
    with pytest.raises(IrregularSeriesError, match="65535 x 65535"):
        study.series[0].volume()


def jpeg_2000(rows: int, columns: int) -> bytes:
    size = struct.pack(">HHLLLLLLLLH", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + size + b"\x0f\x01\x01" + b"\xff\x52" + bytes(20)


def jpeg(rows: int, columns: int, marker: int) -> bytes:
    frame = struct.pack(">HBHHB", 11, 8, rows, columns, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x04ab" + bytes((0xFF, marker)) + frame + b"\xff\xd9"


@pytest.mark.parametrize(
    ("syntax", "encoded"),
    [
        (JPEG2000Lossless, jpeg_2000(60_000, 60_000)),
        (JPEGBaseline8Bit, jpeg(60_000, 60_000, 0xC0)),
        (JPEGLSLossless, jpeg(60_000, 60_000, 0xF7)),
        (JPEGLSLossless, b"\xff\xd8\xff\xd9"),
        (JPEGLSLossless, jpeg(6, 8, 0xF7)[:-2] + bytes(100)),
        (RLELossless, struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 70),
        (RLELossless, struct.pack("<16L", 15, *[0xFFFFFFFF] * 15) + b"\x81\x00"),
        (RLELossless, b"\x01"),
    ],
)
def test_frames_that_would_unpack_to_more(make_series: MakeSeries, syntax: UID, encoded: bytes) -> None:
    """The size that a stream states is compared with the header before it is decoded."""

    def compress(dataset: Dataset, z: int) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([encoded])
        dataset["PixelData"].VR = "OB"

    series = read_study(make_series(2, compress)[0].parent).series[0]
    with pytest.raises(PixelDataError, match=r"states|start of frame|no end|unpacks|segments|header"):
        series.volume()


def test_sizes_of_streams() -> None:
    """Each kind of stream states its size; run lengths that fit pass."""
    assert stated_size(jpeg_2000(6, 8)) == stated_size(jpeg(6, 8, 0xC3)) == Size(6, 8, 1)
    check_run_lengths(struct.pack("<16L", 1, 64, *[0] * 14) + b"\xd1\x07", 48)


def test_only_regular_files_are_opened(make_series: MakeSeries, tmp_path: Path) -> None:
    """Links, pipes and sockets in a folder are named and never opened: a pipe would be waited for."""
    folder = make_series(3)[0].parent
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        study = read_study(folder)
    names = ("loop", "nowhere", "outside", "pipe", "socket")
    assert study.quarantine == tuple((folder / name, "not-a-file") for name in names)
    assert study.series[0].shape == (1, 3, 6, 8)
    assert "pipe is a pipe" in str(study.problems[3])


def test_a_pipe_that_is_named_itself(tmp_path: Path, make_series: MakeSeries) -> None:
    """A pipe in a list of files is not waited for."""
    paths = make_series(2)
    os.mkfifo(tmp_path / "pipe")
    assert read_study([*paths, tmp_path / "pipe"]).quarantine == ((tmp_path / "pipe", "not-a-file"),)


def test_a_linked_folder_that_is_given_is_read(make_series: MakeSeries, tmp_path: Path) -> None:
    """Data sets are often mounted by a link: the one given is followed."""
    (tmp_path / "link").symlink_to(make_series(2)[0].parent, target_is_directory=True)
    assert read_study(tmp_path / "link").series[0].shape == (1, 2, 6, 8)
