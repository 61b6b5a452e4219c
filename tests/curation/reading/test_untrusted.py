"""Damaged and hostile files: a study or an error of ours, in bounded time and memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import read_studies, read_study
from curation.errors import CurationError
from tests.curation.conftest import MakeSeries
from tests.curation.reading.enhanced_file import Frame, write_enhanced
from tests.curation.reading.test_mosaic import csa

_HEAD = bytes(128) + b"DICM"


def explicit(tag: int, vr: bytes, content: bytes) -> bytes:
    """Encode an element with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(content)) + content


def padded(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def file_of(*elements: bytes, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    identifiers = b"".join(
        explicit(tag, b"UI", padded(f"2.25.{n}")) for n, tag in enumerate((0x0020_000D, 0x0020_000E), start=1)
    )
    instance = explicit(0x0008_0018, b"UI", padded("2.25.3"))
    return _HEAD + explicit(0x0002_0010, b"UI", padded(syntax)) + instance + b"".join(elements) + identifiers


OPEN_SEQUENCE = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFF_FFFF)
OPEN_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFF_FFFF)
CLOSE_ITEM, CLOSE_SEQUENCE = struct.pack("<HHL", 0xFFFE, 0xE00D, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize(
    "content",
    [
        file_of((OPEN_SEQUENCE + OPEN_ITEM) * 10_000),
        file_of((OPEN_SEQUENCE + OPEN_ITEM) * 10_000 + (CLOSE_ITEM + CLOSE_SEQUENCE) * 10_000),
        file_of(struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0xFFFF_FFFF)),
        file_of(struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0xFFFF_FFF0)),
        file_of(struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFF_FFFF) + CLOSE_ITEM),
        file_of(struct.pack("<HHL", 0x0009, 0x1001, 0xFFFF_FFFF), syntax="1.2.840.10008.1.2"),
        file_of(b"\x09\x00\x01\x10\xff\xff\x00\x00"),
        file_of(b"\x00" * 50),
        file_of(b"", syntax="1.2.840.10008.1.2.1.99"),
        _HEAD,
        _HEAD + b"\x02\x00\x10\x00UI",
    ],
)
def test_hostile_headers_are_set_aside_at_once(make_series: MakeSeries, content: bytes) -> None:
    """Endless nesting, lengths beyond the file and values without type cost no time and harm no neighbour."""
    paths = make_series(3)
    bad = paths[0].with_name("bad.dcm")
    bad.write_bytes(content)
    began = time.monotonic()
    study = read_study(paths[0].parent)
    assert time.monotonic() - began < 2
    assert study.quarantine == ((bad, "unreadable"),)
    assert study.series[0].shape == (1, 3, 6, 8)


def test_texts_are_bounded_and_printable(make_series: MakeSeries) -> None:
    """Escape sequences and line breaks of a header do not reach a terminal, nor megabytes a table."""

    def shout(dataset: object, z: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setattr(dataset, "SeriesDescription", "a\x1b[31mred\r\nb" + "x" * 5000)  # noqa: B010

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = make_series(2, shout)
    description = read_study(paths[0].parent).series[0].description
    assert description.isprintable()
    assert len(description) <= 256


def test_identifiers_that_are_paths_are_refused(make_series: MakeSeries) -> None:
    """Identifiers become file names of results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = make_series(3, lambda d, z: setattr(d, "SeriesInstanceUID", "../../x") if z == 0 else None)
    study = read_study(paths[0].parent)
    assert study.quarantine == ((paths[0], "unreadable"),)
    assert "SeriesInstanceUID is malformed" in str(study.problems[0])


def test_values_of_the_wrong_type_are_absent_and_named(make_series: MakeSeries) -> None:
    """A broken Echo Time costs the echo time, not the image."""
    paths = make_series(3)
    for path in paths:
        content = path.read_bytes()
        at = content.index(b"\x18\x00\x81\x00DS") + 8
        path.write_bytes(content[:at] + b"l" + content[at + 1 :])
    (series,) = read_study(paths[0].parent).series
    assert series.shape == (1, 3, 6, 8)
    assert [(p.code, len(p.paths)) for p in series.problems] == [("malformed-attributes", 3)]
    assert "EchoTime (3 of 3 files)" in str(series.problems[0])


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Whole files to damage: a classic slice with private b-values, an enhanced image, a mosaic with CSA header."""
    folder = tmp_path_factory.mktemp("seeds")
    frames = [Frame(z, z, b, (1.0, 0.0, 0.0) if b else None) for b in (0.0, 800.0) for z in range(3)]
    enhanced = write_enhanced(folder / "a.dcm", frames)

    def mosaic(dataset: object) -> None:
        content = csa([("NumberOfImagesInMosaic", "US", ("4",)), ("SliceNormalVector", "FD", ("0", "0", "1"))])
        del dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames  # type: ignore[attr-defined]
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "MOSAIC"]  # type: ignore[attr-defined]
        dataset.ImagePositionPatient = [0, 0, 0]  # type: ignore[attr-defined]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]  # type: ignore[attr-defined]
        dataset.PixelSpacing, dataset.SpacingBetweenSlices = [1, 1], 3  # type: ignore[attr-defined]
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", content)  # type: ignore[attr-defined]
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "800")  # type: ignore[attr-defined]

    tiled = write_enhanced(folder / "b.dcm", [Frame(0, 1)], change=mosaic)
    return [enhanced.read_bytes(), tiled.read_bytes()]


def read_all(content: bytes) -> None:
    """Read a file and all that it holds; only errors of this package may come out."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "a.dcm").write_bytes(content)
        try:
            for study in read_studies(name):
                assert repr(study)
                for series in study.series:
                    for k in range(min(series.n_volumes, 3)):
                        assert series.volume(k).array.dtype == np.float32
        except CurationError:
            pass


LENGTHS = st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff", b"\x00\x00"])


@settings(
    max_examples=400, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_never_crash(seeds: list[bytes], data: st.DataObject) -> None:
    """Bytes changed, lengths set to the most, parts cut, doubled or taken from elsewhere."""
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(132, max(len(content) - 8, 133)))
        kind = data.draw(st.sampled_from(("flip", "length", "cut", "drop", "double")))
        if kind == "flip":
            content[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
        elif kind == "length":
            length = data.draw(LENGTHS)
            content[at : at + len(length)] = length
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + data.draw(st.integers(1, 64))]
        else:
            content[at:at] = content[at : at + data.draw(st.integers(1, 512))]
    read_all(bytes(content))


@settings(max_examples=100, deadline=2000, derandomize=True)
@given(st.binary(max_size=2000))
def test_noise_after_the_mark_never_crashes(noise: bytes) -> None:
    """Random bytes behind a right beginning."""
    read_all(_HEAD + noise)


_CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from curation import read_study
study = read_study(sys.argv[1])
print(len(study.quarantine), [series.shape for series in study.series])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_memory_is_bounded(make_series: MakeSeries) -> None:
    """Files that claim gigabytes are set aside by a process that may use one."""
    paths = make_series(3)
    claims = [
        struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0xFFFF_FFF0),
        struct.pack("<HH2sHL", 0x5200, 0x9230, b"SQ", 0, 0xFFFF_FFFF),
        explicit(0x0028_0010, b"US", b"\xff\xff") + explicit(0x0028_0011, b"US", b"\xff\xff"),
    ]
    for number, claim in enumerate(claims):
        paths[0].with_name(f"bad{number}.dcm").write_bytes(file_of(claim))
    sparse = paths[0].with_name("sparse.dcm")
    with sparse.open("wb") as file:
        file.write(file_of(struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 3 << 30)))
        file.truncate((3 << 30) + 4096)
    command = [sys.executable, "-c", _CHILD, str(paths[0].parent), str(1 << 30)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert "(1, 3, 6, 8)" in done.stdout
    assert done.stdout.startswith("4 ")
    assert int(done.stdout.split()[-1]) < 600_000  # kB


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", [0, 0, 1e300]),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("ImageOrientationPatient", [1e300, 0, 0, 0, 1, 0]),
        ("PixelSpacing", [0, 1]),
        ("PixelSpacing", [-1, 1]),
    ],
)
def test_places_that_cannot_be_are_no_places(make_series: MakeSeries, keyword: str, value: list[float]) -> None:
    """Numbers that no scanner writes block their series and overflow nothing."""
    paths = make_series(3, lambda d, z: setattr(d, keyword, value) if z == 1 else None)
    (series,) = read_study(paths[0].parent).series
    assert [(p.code, p.paths) for p in series.problems] == [("no-geometry", (paths[1],))]
