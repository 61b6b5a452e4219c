"""The values of data elements, decoded when they are asked for (PS3.5 section 6.2)."""

from __future__ import annotations

import functools
import math
import re
import struct
import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword

_BINARY = {
    b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d", b"OF": "f",
    b"OD": "d",
}  # fmt: skip
_BYTES = frozenset({b"", b"UN", b"OB", b"OW"})
_CHARACTER_SET = 0x0008_0005
_MAX_NUMBERS = 64
_MAX_TEXT = 256
_UID = re.compile(r"[0-9A-Za-z._-]{1,64}")


def tag(keyword: str) -> int:
    """Return the tag of a standard attribute.

    Raises
    ------
    KeyError
        If the dictionary does not know the keyword.
    """
    found = tag_for_keyword(keyword)
    if found is None:
        raise KeyError(keyword)
    return found


def tags(keywords: Iterable[str]) -> dict[str, int]:
    """Return the tags of standard attributes by keyword."""
    return {keyword: tag(keyword) for keyword in keywords}


class Raw(NamedTuple):
    """A value as stored: VR (empty where unknown), bytes and byte order."""

    vr: bytes
    content: bytes
    order: str = "<"


class Values:
    """The elements of one image, standard and private, by tag.

    A value that breaks the rules of its type counts as absent and is remembered in `flaws`.

    Parameters
    ----------
    raw : mapping of int to Raw
    """

    def __init__(self, raw: Mapping[int, Raw]) -> None:
        self.raw = raw
        self.flaws: set[int] = set()

    def over(self, other: Values) -> Values:
        """Return values where those of `self` come before those of `other`; both keep their own flaws."""
        return Values({**other.raw, **self.raw})

    def has(self, tag: int) -> bool:
        """Whether the element is there, empty or not."""
        return tag in self.raw

    def numbers(self, tag: int, vr: bytes = b"") -> tuple[float, ...]:
        """Return the numbers of an element; empty where it is absent, empty or malformed.

        Parameters
        ----------
        tag : int
        vr : bytes
            What the value is where the file does not say; without it, what the dictionary says.
        """
        raw = self.raw.get(tag)
        if raw is None:
            return ()
        try:
            found = _numbers(raw, vr or vr_of(tag))
        except (ValueError, struct.error, UnicodeDecodeError):
            found = (math.nan,)
        if all(math.isfinite(number) for number in found):
            return found
        self.flaws.add(tag)
        return ()

    def number(self, tag: int, vr: bytes = b"") -> float | None:
        """Return the first number of an element, or None."""
        found = self.numbers(tag, vr)
        return found[0] if found else None

    def integer(self, tag: int) -> int | None:
        """Return the first number of an element as an integer, or None."""
        found = self.number(tag)
        return None if found is None else int(found)

    def text(self, tag: int) -> str:
        """Return an element as one line of printable text of bounded length."""
        raw = self.raw.get(tag)
        if raw is None:
            return ""
        content = raw.content[: 4 * _MAX_TEXT]
        decoded = content.decode("ascii") if content.isascii() and b"\x1b" not in content else self._decoded(content)
        printable = "".join(c if c.isprintable() else " " for c in decoded.rstrip(" \0"))
        return printable.strip()[:_MAX_TEXT]

    def texts(self, tag: int) -> tuple[str, ...]:
        """Return the values of a coded string, upper case."""
        text = self.text(tag)
        return tuple(part.strip().upper() for part in text.split("\\")) if text else ()

    def uid(self, tag: int) -> str:
        """Return a unique identifier; empty where it is absent or could be none."""
        text = self.text(tag)
        if text and not _UID.fullmatch(text):
            self.flaws.add(tag)
            return ""
        return text

    def _decoded(self, content: bytes) -> str:
        names = self.raw.get(_CHARACTER_SET)
        listed = names.content[:_MAX_TEXT].decode("ascii", "replace").strip(" \0").split("\\") if names else [""]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is no text of its character set is replaced, and shown as that
            return self._decoded_by(listed, content)

    @staticmethod
    def _decoded_by(listed: list[str], content: bytes) -> str:
        try:
            return decode_bytes(content, convert_encodings(listed), {0x5C})
        except (LookupError, UnicodeError, ValueError):
            return content.decode("latin-1")


@functools.cache
def vr_of(tag: int) -> bytes:
    """Return the VR of a standard attribute; DS for private ones."""
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b"DS"


def _numbers(raw: Raw, untyped: bytes) -> tuple[float, ...]:
    vr = untyped if raw.vr in _BYTES else raw.vr
    code = _BINARY.get(vr[:2])
    if code is None:
        text = raw.content.decode("ascii").replace("\0", " ")
        if not text.strip():
            return ()
        if "_" in text:  # which Python allows in numbers and DICOM does not
            raise ValueError(text)
        parts = text.split("\\", _MAX_NUMBERS)[:_MAX_NUMBERS]
        return tuple(float(part) for part in parts if part.strip())
    size = struct.calcsize("<" + code)
    count, rest = divmod(len(raw.content), size)
    if rest:
        raise ValueError(f"{len(raw.content)} bytes hold no whole number of values of {size}")
    count = min(count, _MAX_NUMBERS)
    return tuple(float(v) for v in struct.unpack_from(f"{raw.order}{count}{code}", raw.content))
