"""The beginning of a DICOM file (PS3.10): its meta information, and as much of the data set as is needed."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from curation.reading.elements import Budget, Coding, CutOffError, HeaderError, sniffed, walk
from curation.reading.limits import LIMITS, Limits
from curation.reading.values import Raw, Values

DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_MEDIA_CLASS, _SYNTAX = 0x0002_0002, 0x0002_0010
_META = {_MEDIA_CLASS, _SYNTAX}
_AFTER_META = 0x0003_0000
_PREAMBLE = 132
_FIRST_BYTES = 1 << 16
"""What is read at once: the headers of most images are shorter."""


class NotDicomError(ValueError):
    """A file without the mark of a DICOM file."""


class NotRegularError(OSError):
    """A pipe, device or folder instead of a file."""


class TooLargeError(ValueError):
    """A file or header beyond a limit."""


class Meta(NamedTuple):
    """Transfer Syntax UID, Media Storage SOP Class UID, and where the data set begins."""

    syntax: str
    media_class: str
    start: int


class Prefix(NamedTuple):
    """The first bytes of a data set: all of it, or up to a size.

    `data` begins with the file, in deflated files with the unpacked data set; `start` is where the data set
    begins in it.
    """

    data: bytes
    start: int
    coding: Coding
    complete: bool


def open_regular(path: Path, limits: Limits = LIMITS) -> tuple[BinaryIO, int]:
    """Open a file for reading, without waiting for the other end of a pipe.

    Returns
    -------
    file : binary file
    size : int
        In bytes.

    Raises
    ------
    NotRegularError
        If it is a pipe, a device, a socket or a folder.
    TooLargeError
        If it is larger than the limit.
    OSError
        If it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularError("it is no regular file")
        if status.st_size > limits.file_bytes:
            raise TooLargeError(f"its {status.st_size} bytes are more than the {limits.file_bytes} that are read")
        return os.fdopen(descriptor, "rb", buffering=0), status.st_size
    except BaseException:
        os.close(descriptor)
        raise


def read_meta(head: bytes) -> Meta:
    """Read the file meta information (PS3.10 7.1).

    Parameters
    ----------
    head : bytes
        The first bytes of a file.

    Raises
    ------
    NotDicomError
        If the file does not begin as DICOM files do.
    HeaderError
        If the meta information is malformed.
    """
    if head[128:_PREAMBLE] != b"DICM":
        raise NotDicomError("it has no DICM mark at byte 128")
    explicit = Coding()
    found, start = walk(head, _PREAMBLE, len(head), _META, explicit, Budget(), before=_AFTER_META)
    values = Values({tag: Raw(e.vr, head[e.start : e.stop]) for tag, e in found.items()})
    return Meta(values.uid(_SYNTAX), values.uid(_MEDIA_CLASS), start)


def coding_of(syntax: str) -> Coding:
    """Return how a transfer syntax encodes elements; explicit little endian unless it says otherwise."""
    return Coding(explicit=syntax != _IMPLICIT, order=">" if syntax == _BIG_ENDIAN else "<")


def first_prefix(file: BinaryIO) -> bytes:
    """Return the bytes from which a scan begins."""
    return file.read(_FIRST_BYTES)


def longer_prefix(file: BinaryIO, head: bytes, meta: Meta, size: int, enough: int) -> Prefix:
    """Return at least `enough` bytes of a data set, or all of it.

    Parameters
    ----------
    file : binary file
    head : bytes
        Its first bytes, `first_prefix`.
    meta : Meta
    size : int
        Of the file.
    enough : int

    Returns
    -------
    Prefix
    """
    if meta.syntax == DEFLATED:
        data, complete = inflate(file, meta.start, enough)
        return Prefix(data, 0, sniffed(data, 0, Coding()), complete)
    data = head if len(head) >= enough else _from_start(file, enough)
    return Prefix(data, meta.start, sniffed(data, meta.start, coding_of(meta.syntax)), len(data) >= size)


def _from_start(file: BinaryIO, count: int) -> bytes:
    file.seek(0)
    parts: list[bytes] = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def inflate(file: BinaryIO, start: int, most: int) -> tuple[bytes, bool]:
    """Unpack a deflated data set (PS3.5 annex A.5) up to a size.

    Returns
    -------
    data : bytes
        At most `most` bytes.
    complete : bool
        Whether that is all.

    Raises
    ------
    CutOffError
        If the stream ends early.
    HeaderError
        If it is none.
    """
    file.seek(start)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    while total < most and not unpacker.eof:
        packed = unpacker.unconsumed_tail or file.read(_FIRST_BYTES)
        if not packed:
            raise CutOffError("the deflated data set has no end")
        try:
            parts.append(unpacker.decompress(packed, most - total))
        except zlib.error as error:
            raise HeaderError(f"the deflated data set cannot be unpacked: {error}") from error
        total += len(parts[-1])
    return b"".join(parts), unpacker.eof
