"""ZIP and TAR archives of DICOM files, unpacked to a folder of their own that goes when nothing needs it.

Names in an archive are never used as paths: files are numbered, and keep the end of their name for people. Links,
devices and encrypted files are left out by name. What is written is counted while it is written, whatever sizes
the archive states.
"""

from __future__ import annotations

import bz2
import gzip
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

from curation.errors import UnsupportedSourceError
from curation.problems import Problem
from curation.reading.limits import LIMITS, Limits

_SUFFIXES: tuple[tuple[tuple[str, ...], Callable[[Path], Any]], ...] = (
    ((".tar",), lambda path: path.open("rb")),
    ((".tar.gz", ".tgz"), lambda path: gzip.open(path, "rb")),  # noqa: SIM115  closed where it is read
    ((".tar.bz2",), lambda path: bz2.open(path, "rb")),  # noqa: SIM115
)
_OTHERS = (".7z", ".rar", ".tar.xz")
_CHUNK = 1 << 20
_LARGEST_READ = 16 << 20  # a TAR header may claim gigabytes for the name of a file
_NAME_END = 60
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_ZIP_TAIL = (1 << 16) + 256  # the longest comment, and the records before it
_ZIP_ENTRY = 512  # bytes of a directory entry, with a long name
_IN_ZIP64 = 0xFFFF_FFFF


class Scratch:
    """A temporary folder that is removed with the last reference to it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="dicom-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Unpacked(NamedTuple):
    """Files of an archive, what was left out, and the folder to be kept while the files are needed."""

    files: list[Path]
    problems: tuple[Problem, ...]
    scratch: Scratch


class _Entry(NamedTuple):
    name: str
    regular: bool
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name."""
    endings = (".zip", *_OTHERS, *(suffix for suffixes, _ in _SUFFIXES for suffix in suffixes))
    return path.name.lower().endswith(endings)


def unpack(path: Path, limits: Limits = LIMITS) -> Unpacked:
    """Unpack an archive.

    Parameters
    ----------
    path : Path
        ZIP, TAR, or TAR compressed by gzip or bzip2.
    limits : Limits

    Returns
    -------
    Unpacked

    Raises
    ------
    UnsupportedSourceError
        If it is another kind of archive, damaged, or holds more than is read.
    """
    scratch = Scratch()
    files: list[Path] = []
    problems: list[Problem] = []
    left = limits.archive_bytes
    try:
        for number, entry in enumerate(_entries(path, limits)):
            if number >= limits.files:
                raise _TooMuchError(f"it holds more than {limits.files} entries")
            target = scratch.path / f"{number:06d}-{_safe(entry.name)}"
            source = entry.open() if entry.regular else None
            if source is None:
                text = f"{_safe(entry.name)} in {path.name} is a link, a device or encrypted, and is left out."
                problems.append(Problem("not-a-file", text, (target,)))
                continue
            with source:
                left -= _copy(source, target, min(left, limits.file_bytes))
            files.append(target)
    except (_TooMuchError, OSError, EOFError, RuntimeError, ValueError, zlib.error, *_BROKEN) as error:
        reason = f"{path.name} cannot be unpacked: {error}."
        raise UnsupportedSourceError(f"{reason} Unpack it yourself and give the folder.") from error
    return Unpacked(files, tuple(problems), scratch)


_BROKEN = (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, struct.error, OverflowError)


class _TooMuchError(Exception):
    pass


def _safe(name: str) -> str:
    """Return the end of a name as it may stand in a folder of ours."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^0-9A-Za-z._-]", "_", last)[-_NAME_END:]


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in name.split("/"))


def _entries(path: Path, limits: Limits) -> Iterator[_Entry]:
    name = path.name.lower()
    if name.endswith(".zip"):
        yield from _zip_entries(path, limits)
        return
    for suffixes, opener in _SUFFIXES:
        if name.endswith(suffixes):
            with opener(path) as stream:
                yield from _tar_entries(stream, limits)
            return
    raise _TooMuchError("archives of this kind are not read")


def _zip_entries(path: Path, limits: Limits) -> Iterator[_Entry]:
    _check_directory(path, limits)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or _hidden(info.filename):
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = not info.flag_bits & 1 and info.compress_type in _METHODS
            regular = kind in (0, stat.S_IFREG) and plain
            yield _Entry(info.filename, regular, lambda info=info: archive.open(info))  # type: ignore[misc]


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse a directory of more entries than are read, before all of it is taken in (APPNOTE 4.3.12 to 4.3.16)."""
    with path.open("rb") as file:
        start = max(file.seek(0, 2) - _ZIP_TAIL, 0)
        file.seek(start)
        tail = file.read()
    # Any of these may be the one that counts: marks may stand in a comment too.
    sizes = [int.from_bytes(tail[m.start() + 12 : m.start() + 16], "little") for m in re.finditer(b"PK\5\6", tail)]
    wide = [int.from_bytes(tail[m.start() + 40 : m.start() + 48], "little") for m in re.finditer(b"PK\6\6", tail)]
    if max([0, *(size for size in sizes if size != _IN_ZIP64), *wide]) > limits.files * _ZIP_ENTRY:
        raise _TooMuchError(f"it holds more than {limits.files} entries")
    if _IN_ZIP64 in sizes and not wide:
        raise _TooMuchError("its directory is not where it should be")


def _tar_entries(stream: BinaryIO, limits: Limits) -> Iterator[_Entry]:
    passed = 0
    with tarfile.TarFile(fileobj=cast(BinaryIO, _Careful(stream))) as archive:
        for member in archive:
            # The next entry is found by unpacking this one, wanted or not.
            passed += member.size
            if member.size < 0 or passed > limits.archive_bytes:
                raise _TooMuchError(f"it holds more than {limits.archive_bytes} bytes")
            if member.isdir() or _hidden(member.name):
                continue
            regular = member.isreg() and not member.issparse()
            yield _Entry(member.name, regular, lambda member=member: archive.extractfile(member))  # type: ignore[misc]


class _Careful:
    """A stream that hands out no more at once than any honest header asks for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _LARGEST_READ:
            raise _TooMuchError(f"a header of {count} bytes is longer than any")
        return self._stream.read(count)


def _copy(source: IO[bytes], target: Path, most: int) -> int:
    total = 0
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            total += len(chunk)
            if total > most:
                raise _TooMuchError("it holds more bytes than are read")
            file.write(chunk)
    return total
