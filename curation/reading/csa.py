"""Fields of the Siemens CSA image header, private element (0029,xx10) of ``SIEMENS CSA HEADER``.

The vendor publishes no description; the layout of both versions is that of nibabel's ``csareader`` and its
notes (nipy.org/nibabel/dicom/siemens_csa.html). Little endian throughout:

* version 2 begins with ``SV10`` and four bytes, version 1 with the next line;
* uint32 number of tags (1 to 128), uint32 77;
* per tag: name (64 bytes), int32 multiplicity, VR (4 bytes), int32 type, int32 number of items, int32 77 or 205;
* per item: four int32, of which the second is the length (version 1: the first, less the number of items of
  the first tag that has any), the text, and padding to a multiple of four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Container

_MAX_TAGS = 1024
_MAX_ITEMS = 256
_TAG = struct.Struct("<64si4s3i")
_ITEM = struct.Struct("<4i")


def csa_fields(content: bytes, wanted: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of fields as text.

    Parameters
    ----------
    content : bytes
        Value of the private element, from whoever wrote the file.
    wanted : container of str
        Names such as ``NumberOfImagesInMosaic``.

    Returns
    -------
    dict of str to tuple of str
        Without the fields that are absent or empty. A header that ends early or breaks the layout gives the
        fields before the break.
    """
    second = content[:4] == b"SV10"
    position = 8 if second else 0
    if len(content) < position + 8:
        return {}
    (count,) = struct.unpack_from("<I", content, position)
    position += 8
    found: dict[str, tuple[str, ...]] = {}
    less = 0
    for _ in range(min(count, _MAX_TAGS)):
        if position + _TAG.size > len(content):
            break
        name, multiplicity, _, _, n_items, _ = _TAG.unpack_from(content, position)
        less = less or n_items
        values, position = _items(content, position + _TAG.size, n_items, None if second else less)
        if position < 0:
            break
        field = name.split(b"\0")[0].decode("ascii", "replace")
        kept = tuple(value for value in values[: multiplicity or None] if value)
        if field in wanted and kept:
            found[field] = kept
    return found


def _items(content: bytes, position: int, count: int, less: int | None) -> tuple[list[str], int]:
    """Return the texts of one tag and the position after them, -1 where the layout is broken."""
    values: list[str] = []
    if not 0 <= count <= _MAX_ITEMS:
        return values, -1
    for _ in range(count):
        if position + _ITEM.size > len(content):
            return values, -1
        head = _ITEM.unpack_from(content, position)
        length = head[1] if less is None else head[0] - less
        position += _ITEM.size
        if length < 0 or position + length > len(content):
            return values, -1
        text = content[position : position + length].split(b"\0")[0]
        values.append(text.decode("ascii", "replace").strip())
        position += length + -length % 4
    return values, position
