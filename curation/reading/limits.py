"""How much of what comes from elsewhere is taken in, so that no file can exhaust the process.

Files are hostile until read: a few bytes of header can claim gigabytes of elements, frames or pixels.
Every claim is compared with these limits, or with what the file can hold, before memory is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds for reading; the defaults leave room for the largest clinical studies.

    Parameters
    ----------
    files : int
        Files in one folder or list.
    file_bytes : int
        Size of one file.
    archive_bytes : int
        All that an archive holds, unpacked.
    header_bytes : int
        Bytes before the pixel data of one file, unpacked where they are deflated.
    elements : int
        Data elements in one header, those in sequences included.
    depth : int
        Sequences inside one another.
    frames : int
        Frames of one file, and tiles of one mosaic.
    side : int
        Rows or columns of one image.
    volume_voxels : int
        Elements of one volume; each takes four bytes.
    """

    files: int = 200_000
    file_bytes: int = 4096 * _MIB
    archive_bytes: int = 32_768 * _MIB
    header_bytes: int = 64 * _MIB
    elements: int = 2_000_000
    depth: int = 64
    frames: int = 50_000
    side: int = 16_384
    volume_voxels: int = 512 * _MIB


LIMITS = Limits()
"""What `read_study` uses unless it is told otherwise."""
