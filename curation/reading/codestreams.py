"""What compressed pixel data will unpack to, read before a decoder is let loose on them.

A JPEG, JPEG-LS or JPEG 2000 stream states its own dimensions, whatever the DICOM header says, and a decoder asks
for memory by them; run lengths can stand for 64 times their size. A stream is refused unless it unpacks to the
frame that the header describes.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import NamedTuple

RLE = "1.2.840.10008.1.2.5"
_JPEG_PREFIX = "1.2.840.10008.1.2.4."

# Start of frame: JPEG (ISO 10918-1 B.1.1.3; C4, C8 and CC are other markers) and JPEG-LS (ISO 14495-1 C.1.1).
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
_PADDING = 64
_MAX_RLE_SEGMENTS = 15


class Size(NamedTuple):
    """Dimensions of an unpacked frame."""

    rows: int
    columns: int
    samples: int


def check_frame(encoded: bytes, syntax: str, expected: Size, frame_bytes: int) -> None:
    """Refuse a compressed frame that would unpack to something else than it should.

    Parameters
    ----------
    encoded : bytes
        One frame.
    syntax : str
        Transfer Syntax UID.
    expected : Size
        What the header says.
    frame_bytes : int
        Size of the unpacked frame.

    Raises
    ------
    ValueError
        If the stream states another size or none, or its syntax is not among those that are read.
    """
    if syntax == RLE:
        check_run_lengths(encoded, frame_bytes)
        return
    if not syntax.startswith(_JPEG_PREFIX):
        raise ValueError(f"transfer syntax {syntax} is not read")
    found = stated_size(encoded)
    # Decoders of JPEG-LS were seen to take seconds over a stream that is cut off.
    if syntax in _JPEG_LS and b"\xff\xd9" not in encoded[-_PADDING:]:
        raise ValueError("the JPEG-LS stream has no end")
    if found != expected:
        raise ValueError(f"the compressed frame states {tuple(found)} rows, columns and samples, not {tuple(expected)}")


def stated_size(encoded: bytes) -> Size:
    """Return the dimensions that a JPEG, JPEG-LS or JPEG 2000 stream states.

    Raises
    ------
    ValueError
        If it is no such stream.
    """
    if encoded[:4] == b"\xff\x4f\xff\x51":
        return _jpeg_2000_size(encoded)
    if encoded[4:8] == b"jP  ":  # boxed file format
        start = encoded.find(b"\xff\x4f\xff\x51")
        return _jpeg_2000_size(encoded[start:] if start > 0 else b"")
    return _jpeg_size(encoded)


def _jpeg_2000_size(encoded: bytes) -> Size:
    """Read the SIZ marker segment (ISO 15444-1 A.5.1)."""
    if len(encoded) < 42:
        raise ValueError("the JPEG 2000 stream has no size")
    x1, y1, x0, y0 = struct.unpack_from(">4L", encoded, 8)
    (samples,) = struct.unpack_from(">H", encoded, 40)
    return Size(y1 - y0, x1 - x0, samples)


def _jpeg_size(encoded: bytes) -> Size:
    position = 2 if encoded[:2] == b"\xff\xd8" else len(encoded)
    while position + 4 <= len(encoded):
        if encoded[position] != 0xFF:
            break
        marker = encoded[position + 1]
        if marker == 0xFF or marker in _ALONE:  # a fill byte, or a marker without content
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and position + 10 <= len(encoded):
            rows, columns, samples = struct.unpack_from(">HHB", encoded, position + 5)
            return Size(rows, columns, samples)
        (length,) = struct.unpack_from(">H", encoded, position + 2)
        position += 2 + max(length, 2)
    raise ValueError("the JPEG stream has no start of frame")


def check_run_lengths(encoded: bytes, frame_bytes: int) -> None:
    """Refuse run-length encoded segments that unpack to more than a frame (PS3.5 annex G).

    Raises
    ------
    ValueError
        If they do, or their header makes no sense.
    """
    if len(encoded) < 64:
        raise ValueError("the run-length encoded frame has no header")
    header = struct.unpack_from("<16L", encoded)
    count = header[0]
    if not 1 <= count <= _MAX_RLE_SEGMENTS or len(encoded) > 2 * frame_bytes + 64 * (1 + count):
        raise ValueError("the run-length encoded frame is longer than any of its size")
    bounds = [*header[1 : count + 1], len(encoded)]
    if bounds[0] < 64 or sorted(bounds) != bounds or bounds[-2] >= len(encoded):
        raise ValueError("the segments of the run-length encoded frame lie outside it")
    # A byte of padding may unpack to a few bytes more than a frame.
    if sum(_unpacked(encoded, *pair) for pair in pairwise(bounds)) > frame_bytes + 256 * count:
        raise ValueError("the run-length encoded frame unpacks to more than its size")


def _unpacked(encoded: bytes, position: int, stop: int) -> int:
    total = 0
    while position < stop:
        control = encoded[position]
        if control < 128:
            total += control + 1
            position += control + 2
        elif control > 128:
            total += 257 - control
            position += 2
        else:
            position += 1
    return total
