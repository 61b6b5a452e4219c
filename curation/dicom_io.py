"""From files to headers, and from headers to pixel values; nothing here decides what belongs together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, MediaStorageDirectoryStorage

from curation.errors import MissingDataError, PixelDataError, UnsupportedSourceError
from curation.headers import HEADER_TAGS, SliceHeader, slice_header
from curation.problems import Problem
from curation.stacking import Stack
from curation.volume import Volume

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all files."""

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z")


@dataclass(frozen=True, eq=False)
class Scan:
    """The headers that were found and what was wrong with other files."""

    headers: tuple[SliceHeader, ...]
    problems: tuple[Problem, ...]


def find_files(source: Source) -> list[Path]:
    """Return the files of a folder (with its subfolders, hidden ones left out) or of a list, sorted.

    Parameters
    ----------
    source : path or iterable of paths
        A folder, a file, or files.

    Returns
    -------
    list of Path

    Raises
    ------
    MissingDataError
        If something given does not exist or there is no file.
    UnsupportedSourceError
        If an archive or a web address is given.
    """
    if isinstance(source, str | os.PathLike):
        root = _local_path(source)
        files = sorted(_walk(root)) if root.is_dir() else [root]
        if not files:
            raise MissingDataError(f"The folder {root} holds no files. Give the folder that holds the DICOM files.")
        return files
    files = sorted({_local_path(item) for item in source})
    folders = [path for path in files if path.is_dir()]
    if folders:
        raise UnsupportedSourceError(f"A list must hold files; {folders[0]} is a folder. Give one folder by itself.")
    if not files:
        raise MissingDataError("The list of files is empty. Give at least one DICOM file, or a folder.")
    return files


def _local_path(item: str | os.PathLike[str]) -> Path:
    text = os.fspath(item)
    if "://" in text:
        raise UnsupportedSourceError(f"{text} is a web address; give a folder or a list of files on this machine.")
    path = Path(text)
    if not path.exists():
        raise MissingDataError(f"{path} does not exist. Give an existing folder or list of DICOM files.")
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        raise UnsupportedSourceError(f"{path.name} is an archive, which is not read. Unpack it and give the folder.")
    return path


def _walk(root: Path) -> Iterable[Path]:
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def scan(files: Sequence[Path], progress: Progress | None = None) -> Scan:
    """Read the headers of files.

    Only the attributes that are needed, never pixel data. A media directory (DICOMDIR) is passed over: it
    lists files and holds nothing of its own.

    Parameters
    ----------
    files : sequence of Path
    progress : callable, optional
        Called with the number of files done and of all files.

    Returns
    -------
    Scan
        Headers in the order of `files`; a problem for every file that is unreadable or no DICOM.
    """
    headers: list[SliceHeader] = []
    problems: list[Problem] = []
    for number, path in enumerate(files, start=1):
        found = _read_header(path)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            header, problem = found
            headers.append(header)
            problems += [problem] if problem else []
        if progress is not None:
            progress(number, len(files))
    return Scan(tuple(headers), tuple(problems))


def _read_header(path: Path) -> tuple[SliceHeader, Problem | None] | Problem | None:
    """Return a header and what is wrong with its file, or why there is none, or None for a directory."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # pydicom warns of values that break a rule of their type; what matters here is checked here.
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(HEADER_TAGS))
            if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
                return None
            header = slice_header(dataset, path)
            syntax = dataset.file_meta.get("TransferSyntaxUID")
            rest = path.stat().st_size - file.tell()
        return header, _truncation(header, syntax, rest)
    except InvalidDicomError:
        return Problem("not-dicom", f"{path.name} is not a DICOM file.", (path,))
    except OSError as error:
        return Problem("unreadable", f"{path.name} cannot be read: {error.strerror or error}.", (path,))
    # A damaged header makes pydicom raise nearly anything; one bad file must not hide the others.
    except Exception as error:
        text = f"{path.name} has a header that cannot be read ({type(error).__name__}: {error})."
        return Problem("unreadable", text, (path,))


def _truncation(header: SliceHeader, syntax: UID | None, rest: int) -> Problem | None:
    """Notice pixel data that end early, which a header alone does not show.

    `rest` is the number of bytes from where the element should start, with its tag and length, to the end
    of the file.
    """
    if syntax is not None and syntax.is_deflated:
        return None  # the whole data set is compressed, and reading the header has unpacked it to its end
    compressed = syntax is not None and syntax.is_compressed
    before = 8 if syntax is not None and syntax.is_implicit_VR else 12
    expected = 1 if compressed else header.pixel_bytes + before if header.pixel_bytes else 0
    if rest >= expected:
        return None
    text = f"{header.path.name} is cut off: {rest} of at least {expected} bytes of pixel data."
    return Problem("truncated", text, (header.path,), blocking=True)


def read_stack(stack: Stack) -> Volume:
    """Read the pixel values of one volume.

    Values are stored values times Rescale Slope plus Rescale Intercept (PS3.3 C.11.1.1.2), each slice with
    its own: several vendors scale slices differently.

    Parameters
    ----------
    stack : Stack

    Returns
    -------
    Volume
        float32.

    Raises
    ------
    PixelDataError
        If a file is gone, has other dimensions than its header said, or cannot be decoded.
    """
    first = stack.headers[0]
    array = np.empty((len(stack.headers), first.rows, first.columns), dtype=np.float32)
    for z, header in enumerate(stack.headers):
        array[z] = _slice_values(header)
    array.flags.writeable = False
    return Volume(array, stack.affine, first.frame_of_reference_uid)


def _slice_values(header: SliceHeader) -> NDArray[np.float32]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(header.path)
            stored = dataset.pixel_array
            slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    except Exception as error:  # decoders raise whatever they like; the file's name is what helps
        reason = f"{type(error).__name__}: {error}"
        raise PixelDataError(f"The pixel data of {header.path} cannot be read ({reason}).") from error
    if stored.shape != (header.rows, header.columns):
        expected = f"{header.rows} x {header.columns}"
        raise PixelDataError(f"{header.path} should hold {expected} pixels; it holds {stored.shape}.")
    return np.asarray(stored * np.float32(slope) + np.float32(intercept), dtype=np.float32)
