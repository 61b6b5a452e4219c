"""Which files a source holds; no DICOM file is opened here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from curation.errors import MissingDataError, UnsupportedSourceError
from curation.problems import Problem
from curation.reading.archives import is_archive, unpack
from curation.reading.limits import LIMITS, Limits

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Found(NamedTuple):
    """Regular files, sorted, what was left out, and what must be kept while the files are needed."""

    files: list[Path]
    problems: tuple[Problem, ...]
    keep: object = None


def find_files(source: Source, limits: Limits = LIMITS) -> Found:
    """Return the files of a folder (with its subfolders, hidden ones left out) or of a list, sorted.

    Below a folder, links, pipes, devices and sockets are not followed or opened but named as problems: what lies
    outside of the folder was not given, and a pipe may never end. A link that is given itself is followed.

    Parameters
    ----------
    source : path or iterable of paths
        A folder, a file, files, or a ZIP or TAR archive.
    limits : Limits

    Returns
    -------
    Found

    Raises
    ------
    MissingDataError
        If something given does not exist or there is no file.
    UnsupportedSourceError
        If an archive that cannot be read, a web address or too many files are given.
    """
    if isinstance(source, str | os.PathLike):
        root = _local_path(source)
        if root.is_dir():
            return _in_folder(root, limits)
        return _in_archive(root, limits) if is_archive(root) else Found([root], ())
    files = sorted({_local_path(item) for item in source})
    archives = [path for path in files if is_archive(path)]
    if archives:
        raise UnsupportedSourceError(f"A list must hold DICOM files; {archives[0].name} is an archive. Give it alone.")
    folders = [path for path in files if path.is_dir()]
    if folders:
        raise UnsupportedSourceError(f"A list must hold files; {folders[0]} is a folder. Give one folder by itself.")
    if not files:
        raise MissingDataError("The list of files is empty. Give at least one DICOM file, or a folder.")
    _check_count(len(files), limits)
    return Found(files, ())


def _in_archive(path: Path, limits: Limits) -> Found:
    files, problems, scratch = unpack(path, limits)
    if not files:
        raise MissingDataError(f"The archive {path} holds no files. Give one that holds DICOM files.")
    return Found(files, problems, scratch)


def _in_folder(root: Path, limits: Limits) -> Found:
    files: list[Path] = []
    others: list[Problem] = []
    for entry in _walk(str(root)):
        if entry.is_file(follow_symlinks=False):
            files.append(Path(entry.path))
        else:
            others.append(_left_out(entry))
        _check_count(len(files) + len(others), limits)
    if not files and not others:
        raise MissingDataError(f"The folder {root} holds no files. Give the folder that holds the DICOM files.")
    return Found(sorted(files), tuple(sorted(others, key=lambda problem: problem.paths)))


def _walk(root: str) -> Iterator[os.DirEntry[str]]:
    """Yield all that is no folder, without recursion: folders may be nested as deep as the system allows."""
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def _left_out(entry: os.DirEntry[str]) -> Problem:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "a device")
    return Problem("not-a-file", f"{entry.name} is {kind}, which is not opened.", (Path(entry.path),))


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.files:
        raise UnsupportedSourceError(
            f"There are more than the {limits.files} files that are read at once. Give a smaller folder."
        )


def _local_path(item: str | os.PathLike[str]) -> Path:
    text = os.fspath(item)
    if "://" in text:
        raise UnsupportedSourceError(f"{text} is a web address; give a folder or a list of files on this machine.")
    path = Path(text)
    if not path.exists():
        raise MissingDataError(f"{path} does not exist. Give an existing folder or list of DICOM files.")
    return path
