"""Where files go, what is refused, and what is left when writing fails."""

from __future__ import annotations

import datetime
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest

from curation import Series, Volume, read_study
from curation.derived import write_derived
from curation.errors import DerivedError, MissingDataError, OutputExistsError
from tests.curation.conftest import MakeSeries
from tests.curation.derived.results import adc, motion_corrected

NOW = datetime.datetime(2026, 1, 5, 12, 30, 15, 250_000)


@pytest.fixture
def series(make_series: MakeSeries) -> Series:
    return read_study(make_series(5)).series[0]


def in_turn() -> Any:
    """Return a function that gives identifiers in turn."""
    count = iter(range(1, 10_000))
    return lambda purpose: f"2.25.{next(count)}"


def test_names_numbers_and_progress(series: Series, tmp_path: Path) -> None:
    """Files are numbered in a folder named after the result; an object with a derivation is one too."""
    seen: list[tuple[int, int]] = []
    result = SimpleNamespace(derivation=motion_corrected(series, description="../T2 tra: corrected/1"))
    paths = write_derived(result, tmp_path / "a" / "b", now=NOW, progress=lambda n, of: seen.append((n, of)))
    assert [path.name for path in paths] == [f"{n:04d}.dcm" for n in range(1, 6)] + ["registration.dcm"]
    (folder,) = {path.parent for path in paths}
    assert folder.parent == tmp_path / "a" / "b"
    assert folder.name.startswith("T2-tra-corrected-1-")
    assert sorted(folder.iterdir()) == paths
    assert seen == [(1, 2), (2, 2)]
    header, registration = pydicom.dcmread(paths[0]), pydicom.dcmread(paths[-1])
    assert (header.SeriesNumber, registration.SeriesNumber) == (2001, 7001)
    assert (header.ContentDate, header.ContentTime) == ("20260105", "123015.250000")
    assert folder.stat().st_mode & 0o777 == 0o755


def test_without_registration(series: Series, tmp_path: Path) -> None:
    """None is written where it is not wanted or there are no transforms."""
    unwanted = write_derived(motion_corrected(series), tmp_path, with_registration=False, series_number=7)
    assert [path.name for path in unwanted] == [f"{n:04d}.dcm" for n in range(1, 6)]
    assert pydicom.dcmread(unwanted[0]).SeriesNumber == 7
    assert len(write_derived(adc(series), tmp_path)) == 5


def test_equal_input_gives_equal_bytes(series: Series, tmp_path: Path) -> None:
    """With time and identifiers given nothing in the files is left to chance."""
    first = write_derived(motion_corrected(series), tmp_path / "1", now=NOW, uid=in_turn())
    second = write_derived(motion_corrected(series), tmp_path / "2", now=NOW, uid=in_turn())
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_existing_folder_is_never_overwritten(series: Series, tmp_path: Path) -> None:
    """The same identifier again raises and changes nothing."""
    paths = write_derived(motion_corrected(series), tmp_path, now=NOW, uid=in_turn())
    before = {path: path.read_bytes() for path in paths}
    with pytest.raises(OutputExistsError, match="already exists"):
        write_derived(motion_corrected(series), tmp_path, uid=in_turn())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.dcm") if path in before} == before


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let the system refuse files beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("limit", [500, 1500])
def test_no_space_leaves_nothing(series: Series, tmp_path: Path, limit: int) -> None:
    """Refused while volumes are put aside or while files are written: an error, and an empty folder."""
    derivation = motion_corrected(series)
    with small_files(limit), pytest.raises(DerivedError, match=r"cannot be written.*Nothing was left"):
        write_derived(derivation, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_a_file(series: Series, tmp_path: Path) -> None:
    """The reason of the system is in the error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DerivedError, match="File exists"):
        write_derived(motion_corrected(series), tmp_path / "file")


_KILLED = """
import os, signal, sys
from curation import Volume, read_study
from curation.derived import write_derived
from tests.curation.derived.results import Lazy, motion_corrected
series = read_study(sys.argv[1]).series[0]
def compute(k):
    if k: os.kill(os.getpid(), signal.SIGKILL)
    return series.volume(0)
write_derived(
    motion_corrected(series, volumes=Lazy(2, compute), source_volumes=((0,), (0,)), times_s=None, transforms=None),
    sys.argv[2],
)
"""


def test_a_killed_process_leaves_no_series(series: Series, tmp_path: Path) -> None:
    """What remains is hidden, so that reading the folder finds only the source."""
    folder = series.paths[0].parent
    before = read_study(folder).problems
    done = subprocess.run([sys.executable, "-c", _KILLED, folder, folder], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name[0] for path in folder.iterdir() if path.is_dir()] == ["."]
    study = read_study(folder)
    assert [s.uid for s in study.series] == [series.uid]
    assert study.problems == before


def test_wrong_results_are_refused(series: Series, tmp_path: Path) -> None:
    """Parts that do not fit raise before anything is written."""
    volume = series.volume(0)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"volumes": [volume] * 2}, "source_volumes"),
        ({"b_values": (1.0, 2.0)}, "b_values has 2"),
        ({"times_s": (1.0, 2.0)}, "times_s has 2"),
        ({"source_volumes": ((1,),)}, "volumes 0 to 0"),
        ({"source_volumes": ((),)}, "volumes 0 to 0"),
        ({"transforms": np.eye(4)}, "one 4 x 4 matrix per volume"),
        ({"transforms": np.full((1, 4, 4), np.nan)}, "transform of volume 0"),
        ({"parameters": {"nbins": float("nan")}}, "JSON"),
        ({"parameters": {"nbins": object()}}, "JSON"),
        ({"volumes": [Volume(np.full(volume.shape, np.nan), volume.affine)]}, "not finite"),
    ]
    for changes, message in wrong:
        with pytest.raises(DerivedError, match=message):
            write_derived(motion_corrected(series, **changes), tmp_path / "out")
    with pytest.raises(DerivedError, match="Expected a Derivation"):
        write_derived(series, tmp_path / "out")
    with pytest.raises(DerivedError, match="Series Number"):
        write_derived(motion_corrected(series), tmp_path / "out", series_number=-1)
    assert not list(tmp_path.glob("out/*"))


def test_sources_that_are_gone_or_of_another_kind(make_series: MakeSeries, tmp_path: Path) -> None:
    """A missing file, a changed one and a CT series raise with the reason."""
    ct = read_study(make_series(3, lambda d, z: setattr(d, "Modality", "CT"), "ct")).series[0]
    with pytest.raises(DerivedError, match="modality CT"):
        write_derived(motion_corrected(ct), tmp_path / "out")
    series = read_study(make_series(3, folder="mr")).series[0]
    derivation = motion_corrected(series, volumes=[series.volume(0)])
    series.paths[1].write_bytes(b"something else")
    with pytest.raises(DerivedError, match="has changed"):
        write_derived(derivation, tmp_path / "out")
    series.paths[1].unlink()
    with pytest.raises(MissingDataError, match="no longer there"):
        write_derived(derivation, tmp_path / "out")


def test_left_handed_and_single_slices(series: Series, tmp_path: Path) -> None:
    """Slices against their normal are read in the other order, at the same places."""
    volume = series.volume(0)
    flipped = volume.affine.copy()
    flipped[:3, 3] = volume.to_lps((4, 0, 0))
    flipped[:3, 0] *= -1
    mirrored = Volume(np.asarray(volume.array)[::-1] / 3, flipped, volume.frame_of_reference_uid)
    write_derived(motion_corrected(series, volumes=[mirrored]), tmp_path / "mirrored", with_registration=False)
    again = read_study(tmp_path / "mirrored").series[0].volume(0)
    assert np.allclose(again.affine, volume.affine, atol=1e-9)
    assert np.allclose(again.array, volume.array / 3, atol=1e-3)
    single = Volume(np.asarray(volume.array)[:1], volume.affine, volume.frame_of_reference_uid)
    write_derived(motion_corrected(series, volumes=[single]), tmp_path / "single", with_registration=False)
    assert np.allclose(read_study(tmp_path / "single").series[0].volume(0).affine, volume.affine, atol=1e-9)
