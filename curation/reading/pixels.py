"""From slice headers to pixel values."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from curation.errors import PixelDataError
from curation.reading.codestreams import Size, check_frame
from curation.reading.headers import PixelFormat, SliceHeader
from curation.reading.limits import LIMITS
from curation.reading.part10 import DEFLATED, first_prefix, inflate, read_meta
from curation.reading.stacking import Stack
from curation.volume import Volume

NATIVE = frozenset({"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED})
"""Transfer syntaxes whose pixel data are not compressed frame by frame."""

_PIXEL_DATA = 0x7FE0_0010
_FLOATS = {0x7FE0_0008: "f4", 0x7FE0_0009: "f8"}
_LONG = frozenset({b"OB", b"OW", b"OF", b"OD", b"OV", b"UN"})
_UNDEFINED = 0xFFFF_FFFF

Stored = NDArray[np.generic]


def read_stack(stack: Stack) -> Volume:
    """Read the pixel values of one volume.

    Values are stored values times Rescale Slope plus Rescale Intercept (PS3.3 C.11.1.1.2), each slice with
    its own: several vendors scale slices differently. Of a file with several frames only those of this volume are
    decoded, each once.

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
        If a file is gone, has other pixel data than its header said, or cannot be decoded.
    """
    first = stack.headers[0]
    shape = len(stack.headers), first.rows, first.columns
    if int(np.prod(shape, dtype=object)) > LIMITS.volume_voxels:
        raise PixelDataError(f"The volume {shape} of {first.path} is larger than is read.")
    array = np.empty(shape, dtype=np.float32)
    # Frames of one file are read together, in the order in which they are stored.
    order = sorted(range(len(stack.headers)), key=lambda z: (stack.headers[z].path, stack.headers[z].frame))
    for path, numbers in groupby(order, key=lambda z: stack.headers[z].path):
        slices = list(numbers)
        frames = _frames(path, [stack.headers[z] for z in slices])
        for z, stored in zip(slices, frames, strict=True):
            _rescale(stored, stack.headers[z].rescale, array[z])
    array.flags.writeable = False
    return Volume(array, stack.affine, first.frame_of_reference_uid)


def _rescale(stored: Stored, rescale: tuple[float, float], out: NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):  # a slope beyond single precision gives infinities, not a failure
        slope, intercept = np.float32(rescale[0]), np.float32(rescale[1])
        np.multiply(stored, slope, out=out, casting="unsafe", dtype=np.float32)
        if intercept != 0:
            out += intercept


def read_frame(header: SliceHeader) -> Stored:
    """Return the stored values of one slice, before rescaling, shape (rows, columns).

    Raises
    ------
    PixelDataError
        As `read_stack`.
    """
    return next(iter(_frames(header.path, [header])))


def _frames(path: Path, headers: list[SliceHeader]) -> Iterator[Stored]:
    """Yield the stored values of slices of one file, sorted by frame."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = _source(file, headers[0])
            last: tuple[int, Stored] | None = None
            for header in headers:
                if last is None or last[0] != header.frame:
                    last = header.frame, source(header)
                yield _tile(last[1], header)
    except PixelDataError:
        raise
    except Exception as error:  # decoders raise whatever they like; the file's name is what helps
        reason = f"{type(error).__name__}: {error}"
        raise PixelDataError(f"The pixel data of {path} cannot be read ({reason}).") from error


def _tile(image: Stored, header: SliceHeader) -> Stored:
    if image.shape != header.file_size:
        raise PixelDataError(f"{header.path} should hold {header.file_size} pixels; it holds {image.shape}.")
    if header.corner is None:
        return image
    row, column = header.corner
    return image[row : row + header.rows, column : column + header.columns]


class _Native:
    """Reads frames that are stored one after another without compression."""

    def __init__(self, file: BinaryIO, header: SliceHeader) -> None:
        self._file = _inflated(file, header) if header.format.syntax == DEFLATED else file
        tag, length, self._start = _pixel_element(self._file, header.format)
        self._type = _stored_type(header.format, tag)
        self._bytes = header.file_size[0] * header.file_size[1] * self._type.itemsize
        if length < self._bytes * header.n_frames:
            raise ValueError(f"{length} bytes of pixel data for {header.n_frames} frame(s) of {self._bytes} bytes")

    def __call__(self, header: SliceHeader) -> Stored:
        self._file.seek(self._start + header.frame * self._bytes)
        content = self._file.read(self._bytes)
        if len(content) < self._bytes:
            raise ValueError(f"frame {header.frame + 1} ends early")
        stored = np.frombuffer(content, dtype=self._type).reshape(header.file_size)
        return _without_unused_bits(stored, header.format)


def _source(file: BinaryIO, header: SliceHeader) -> _Native | _Compressed:
    stored = header.format
    if stored.samples != 1:
        raise ValueError(f"colour images ({stored.samples} samples) are not read")
    if stored.offset < 0:
        raise ValueError("there are no pixel data")
    return _Native(file, header) if stored.syntax in NATIVE else _Compressed(file, header)


def _stored_type(stored: PixelFormat, tag: int) -> np.dtype[np.generic]:
    order = ">" if stored.big_endian else "<"
    if tag in _FLOATS:
        return np.dtype(order + _FLOATS[tag])
    if stored.bits_allocated not in (8, 16, 32):
        raise ValueError(f"{stored.bits_allocated} bits per pixel are not read")
    return np.dtype(f"{order}{'i' if stored.signed else 'u'}{stored.bits_allocated // 8}")


def _without_unused_bits(values: Stored, stored: PixelFormat) -> Stored:
    """Clear what stands above Bits Stored: old scanners kept overlays there (PS3.5 8.1.1)."""
    unused = stored.bits_allocated - stored.bits_stored
    if values.dtype.kind == "f" or not 0 < unused < stored.bits_allocated:
        return values
    native = values.astype(values.dtype.newbyteorder("="))
    return np.right_shift(np.left_shift(native, unused), unused)


def _pixel_element(file: BinaryIO, stored: PixelFormat) -> tuple[int, int, int]:
    """Return the tag and length of the pixel data and where they begin; earlier elements of the group are passed."""
    order, position = (">" if stored.big_endian else "<"), stored.offset
    while True:
        file.seek(position)
        head = file.read(12)
        if len(head) < 8:
            raise ValueError("there are no pixel data")
        group, element, length = struct.unpack_from(order + "HHL", head)
        begin = position + 8
        if stored.explicit:
            if head[4:6] not in _LONG:
                length = struct.unpack_from(order + "H", head, 6)[0]
            else:
                length, begin = struct.unpack_from(order + "L", head.ljust(12, b"\0"), 8)[0], position + 12
        tag = group << 16 | element
        if tag == _PIXEL_DATA or tag in _FLOATS:
            return tag, length, begin
        if group != 0x7FE0 or length == _UNDEFINED:
            raise ValueError("the file has changed since its header was read")
        position = begin + length


def _inflated(file: BinaryIO, header: SliceHeader) -> BinaryIO:
    """Return the unpacked data set up to the end of its pixel data."""
    needed = header.format.offset + 12 + header.frame_bytes * header.n_frames
    if needed > LIMITS.volume_voxels:
        raise ValueError(f"the deflated data set has more than the {LIMITS.volume_voxels} bytes that are read")
    data, _ = inflate(file, read_meta(first_prefix(file)).start, needed)
    return io.BytesIO(data)


class _Compressed:
    """Decodes frames that are compressed one by one, after a look at what each would unpack to."""

    def __init__(self, file: BinaryIO, header: SliceHeader) -> None:
        self._file = file
        _, length, self._start = _pixel_element(file, header.format)
        if length != _UNDEFINED:
            raise ValueError("compressed pixel data are not in fragments")

    def __call__(self, header: SliceHeader) -> Stored:
        from pydicom.encaps import get_frame

        self._file.seek(self._start)
        encoded = get_frame(self._file, header.frame, number_of_frames=header.n_frames)
        rows, columns = header.file_size
        check_frame(encoded, header.format.syntax, Size(rows, columns, 1), header.frame_bytes)
        return _decoded(encoded, header)


def _decoded(encoded: bytes, header: SliceHeader) -> Stored:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    stored, syntax = header.format, UID(header.format.syntax)
    options: dict[str, Any] = {
        "transfer_syntax_uid": syntax,
        "rows": header.file_size[0],
        "columns": header.file_size[1],
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": stored.photometric or "MONOCHROME2",
        "bits_allocated": stored.bits_allocated,
        "bits_stored": stored.bits_stored,
        "pixel_representation": int(stored.signed),
        "pixel_keyword": "PixelData",
    }
    array, _ = get_decoder(syntax).as_array(encapsulate([encoded]), index=0, **options)
    return np.asarray(array)
