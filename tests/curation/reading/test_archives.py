"""Archives: read like folders, and bounded whatever they claim."""

from __future__ import annotations

import gc
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from curation import read_study
from curation.errors import MissingDataError, UnsupportedSourceError
from curation.reading.limits import Limits
from tests.curation.conftest import MakeSeries


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2"])
def test_archives_are_read_like_folders(make_series: MakeSeries, tmp_path: Path, name: str) -> None:
    """Files of the same name in several folders, and names that lead elsewhere, are just files."""
    contents = [path.read_bytes() for path in make_series(3)]
    names = ["one/a.dcm", "two/a.dcm", "../../../etc/a.dcm"]
    if name.endswith(".zip"):
        archive = zip_of(tmp_path / name, dict(zip(names, contents, strict=True)))
    else:
        mode = {"a.tar": "w", "a.tar.bz2": "w:bz2"}.get(name, "w:gz")
        members = [(tarfile.TarInfo(n), c) for n, c in zip(names, contents, strict=True)]
        archive = tar_of(tmp_path / name, members, mode)
    study = read_study(archive)
    (series,) = study.series
    folder = series.paths[0].parent
    assert study.quarantine == ()
    assert series.volume().array[:, 0, 0].tolist() == [100, 101, 102]
    assert all(path.parent == folder for path in series.paths)
    del study
    gc.collect()
    assert series.volume().shape == (3, 6, 8)
    del series
    gc.collect()
    assert not folder.exists()


def test_links_are_left_out(make_series: MakeSeries, tmp_path: Path) -> None:
    """A link in an archive is named and never made."""
    content = make_series(1)[0].read_bytes()
    link = tarfile.TarInfo("passwd")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = tar_of(tmp_path / "a.tar", [(tarfile.TarInfo("a.dcm"), content), (link, b"")], "w")
    study = read_study(archive)
    assert [code for _, code in study.quarantine] == ["not-a-file"]
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("a.dcm", content)
        zipped.writestr(info, "/etc/passwd")
    assert [code for _, code in read_study(tmp_path / "a.zip").quarantine] == ["not-a-file"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(archive_bytes=100_000), "more"), (Limits(files=3), "3 entries"), (Limits(file_bytes=100_000), "more")],
)
@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_bombs_are_refused(tmp_path: Path, limits: Limits, reason: str, suffix: str) -> None:
    """What is written is counted, whatever the archive states; a megabyte of nothing packs to a kilobyte."""
    contents = {f"{n}.dcm": bytes(1_000_000 if n == 0 else 10) for n in range(5)}
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        zip_of(path, contents)
    else:
        tar_of(path, [(tarfile.TarInfo(name), content) for name, content in contents.items()])
    with pytest.raises(UnsupportedSourceError, match=rf"{reason}.*give the folder"):
        read_study(path, limits=limits)


def test_directories_are_measured_before_they_are_read(tmp_path: Path) -> None:
    """The end of a ZIP file says how long its directory is."""
    archive = zip_of(tmp_path / "a.zip", {f"{number:0200d}": b"" for number in range(40)})
    with pytest.raises(UnsupportedSourceError, match="more than 10 entries"):
        read_study(archive, limits=Limits(files=10))


def test_headers_of_gigabytes_are_refused(tmp_path: Path) -> None:
    """A TAR header may claim a name as long as it likes."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    (tmp_path / "a.tar").write_bytes(head.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    with pytest.raises(UnsupportedSourceError, match="longer than any"):
        read_study(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.7z", "a.tar.xz"])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str) -> None:
    """Damaged archives and kinds that are not read say what to do."""
    (tmp_path / name).write_bytes(b"PK\3\4" + bytes(600))
    with pytest.raises(UnsupportedSourceError, match="give the folder"):
        read_study(tmp_path / name)


def test_empty_and_mixed(make_series: MakeSeries, tmp_path: Path) -> None:
    """An archive without files holds nothing, and one among files is refused."""
    archive = zip_of(tmp_path / "a.zip", {"__MACOSX/a": b"", ".hidden": b"", "folder/": b""})
    with pytest.raises(MissingDataError, match="holds no files"):
        read_study(archive)
    with pytest.raises(UnsupportedSourceError, match="Give it alone"):
        read_study([*make_series(2), archive])
