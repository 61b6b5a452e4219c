"""From files to headers; nothing here decides what belongs together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from curation.problems import Problem
from curation.reading.elements import PIXEL_GROUP, Budget, Coding, CutOffError, Element, Walk, walk
from curation.reading.enhanced import FILE_TAGS, FRAME_GROUPS, frame_headers, raw
from curation.reading.headers import HEADER_TAGS, PixelFormat, SliceHeader, slice_header
from curation.reading.limits import LIMITS, Limits
from curation.reading.part10 import (
    DEFLATED,
    Meta,
    NotDicomError,
    NotRegularError,
    Prefix,
    TooLargeError,
    first_prefix,
    longer_prefix,
    open_regular,
    read_meta,
)
from curation.reading.pixels import NATIVE
from curation.reading.values import Values

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all files."""

_WANTED = HEADER_TAGS | FILE_TAGS
_GROWTH = 4  # a longer header costs another walk over a prefix so many times as long
_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage
_PIXEL_START = bytes((PIXEL_GROUP & 0xFF, PIXEL_GROUP >> 8))


@dataclass(frozen=True, eq=False)
class Scan:
    """The headers that were found, one per slice, and what was wrong with other files."""

    headers: tuple[SliceHeader, ...]
    problems: tuple[Problem, ...]


def scan(files: Sequence[Path], progress: Progress | None = None, limits: Limits = LIMITS) -> Scan:
    """Read the headers of files.

    Only the attributes that are needed, never pixel data. A media directory (DICOMDIR) is passed over: it
    lists files and holds nothing of its own.

    Parameters
    ----------
    files : sequence of Path
    progress : callable, optional
        Called with the number of files done and of all files.
    limits : Limits

    Returns
    -------
    Scan
        Headers in the order of `files`; a problem for every file that is unreadable or no DICOM.
    """
    headers: list[SliceHeader] = []
    problems: list[Problem] = []
    for number, path in enumerate(files, start=1):
        found = _read(path, limits)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            headers += found[0]
            problems += found[1]
        if progress is not None:
            progress(number, len(files))
    return Scan(tuple(headers), tuple(problems))


def _read(path: Path, limits: Limits) -> tuple[list[SliceHeader], list[Problem]] | Problem:
    """Return the headers of a file and what is wrong with it, or why there are none."""
    try:
        file, size = open_regular(path, limits)
        with file:
            headers = _headers(file, size, path, limits)
        return headers, _file_problems(headers, size, limits)
    except NotDicomError:
        return Problem("not-dicom", f"{path.name} is not a DICOM file.", (path,))
    except NotRegularError as error:
        return Problem("not-a-file", f"{path.name} is not opened: {error}.", (path,))
    except TooLargeError as error:
        return Problem("too-large", f"{path.name} is not read: {error}.", (path,))
    except OSError as error:
        return Problem("unreadable", f"{path.name} cannot be read: {error.strerror or error}.", (path,))
    # Broken encodings, absent identifiers and odd values are ValueErrors; one bad file must not hide the others.
    except ValueError as error:
        return Problem("unreadable", f"{path.name} has a header that cannot be read: {error}.", (path,))


def _headers(file: BinaryIO, size: int, path: Path, limits: Limits) -> list[SliceHeader]:
    head = first_prefix(file)
    meta = read_meta(head)
    if meta.media_class == _DIRECTORY:
        return []
    enough = len(head)
    while True:
        prefix = longer_prefix(file, head, meta, size, enough)
        try:
            return _from_prefix(prefix, meta, path, limits)
        except CutOffError:
            if prefix.complete:
                raise
            if enough >= limits.header_bytes:
                text = f"its header is longer than the {limits.header_bytes} bytes that are read"
                raise TooLargeError(text) from None
        enough = min(enough * _GROWTH, limits.header_bytes)


def _from_prefix(prefix: Prefix, meta: Meta, path: Path, limits: Limits) -> list[SliceHeader]:
    budget = Budget(limits)
    found = walk(prefix.data, prefix.start, len(prefix.data), _WANTED, prefix.coding, budget)
    pixels = _is_pixel_data(prefix, found)
    if not pixels and not prefix.complete:
        raise CutOffError("the header goes on")
    stored = PixelFormat(
        syntax=meta.syntax,
        offset=found.position if pixels else -1,
        big_endian=prefix.coding.order == ">",
        explicit=prefix.coding.explicit,
    )
    return _slices(prefix.data, found.found, prefix.coding, budget, path, stored, limits)


def _is_pixel_data(prefix: Prefix, found: Walk) -> bool:
    group = prefix.data[found.position : found.position + 2]
    return group == (_PIXEL_START if prefix.coding.order == "<" else _PIXEL_START[::-1])


def _slices(
    data: bytes,
    found: dict[int, Element],
    coding: Coding,
    budget: Budget,
    path: Path,
    stored: PixelFormat,
    limits: Limits,
) -> list[SliceHeader]:
    values = Values({tag: raw(data, e, coding) for tag, e in found.items() if tag not in FILE_TAGS})
    header = slice_header(values, path, stored)
    # A segmentation has functional groups too; its frames are read with their segments, elsewhere.
    if FRAME_GROUPS not in found or header.modality == "SEG" or not header.has_pixels:
        return [header]
    return frame_headers(data, found, coding, budget, path, stored, limits.frames)


def _file_problems(headers: list[SliceHeader], size: int, limits: Limits) -> list[Problem]:
    """Notice claims beyond a limit, and pixel data that end early, which a header alone does not show."""
    if not headers:
        return []
    first = headers[0]
    if max(first.rows, first.columns) > limits.side:
        text = f"{first.path.name} states {first.rows} x {first.columns} pixels, more than are read."
        return [Problem("too-large", text, (first.path,), blocking=True)]
    stored = first.format
    if stored.syntax == DEFLATED:
        return []  # where the data set ends is known when it is unpacked
    before = 12 if stored.explicit else 8
    expected = _pixel_bytes(first) + before if stored.syntax in NATIVE else 1
    rest = size - stored.offset if stored.offset >= 0 else 0
    if not first.frame_bytes or rest >= expected:
        return []
    text = f"{first.path.name} is cut off: {rest} of at least {expected} bytes of pixel data."
    return [Problem("truncated", text, (first.path,), blocking=True)]


def _pixel_bytes(header: SliceHeader) -> int:
    rows, columns = header.file_size
    # Chrominance of every second column is stored (PS3.3 C.7.6.3.1.2).
    samples = 2 if header.format.photometric == "YBR_FULL_422" else header.format.samples
    return (rows * columns * header.n_frames * samples * header.format.bits_allocated + 7) // 8
