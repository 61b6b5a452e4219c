"""A bounded walk over the data elements of a DICOM data set (PS3.5 section 7).

Wanted elements are found without building a tree of all others: every other value is stepped over by its
length. The walk keeps no recursion, takes a number of elements and a depth of sequences that are limited,
and never trusts a length further than the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from curation.reading.limits import LIMITS, Limits

UNDEFINED = 0xFFFF_FFFF
_MALFORMED = -1
PIXEL_GROUP = 0x7FE0
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD

# Explicit VRs with a length of 32 bits after two reserved bytes (PS3.5 table 7.1-1).
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = (b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US").split()
_VRS = _LONG.union(_SHORT)
_SEQUENCES = frozenset({b"SQ", b"UN"})
_DELIMITERS = frozenset({b"\x00\xe0", b"\x0d\xe0", b"\xdd\xe0", b"\xe0\x00", b"\xe0\x0d", b"\xe0\xdd"})


class HeaderError(ValueError):
    """A data set that breaks the encoding rules or a limit."""


class CutOffError(HeaderError):
    """A data set that goes on after the bytes given."""


@dataclass(frozen=True)
class Coding:
    """How elements are encoded: with their VR or without, and the byte order ``<`` or ``>``."""

    explicit: bool = True
    order: Literal["<", ">"] = "<"


class Element(NamedTuple):
    """Where a value lies: VR (empty where the encoding has none) and its first byte and the one after its last."""

    vr: bytes
    start: int
    stop: int


class Budget:
    """How many elements may still be read of one file."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.elements = limits.elements
        self.depth = limits.depth

    def spend(self, count: int) -> None:
        """Take elements; refuse when none are left."""
        self.elements -= count
        if self.elements < 0:
            raise HeaderError("it has more data elements than are read")


class Walk(NamedTuple):
    """The wanted elements that were found, and where the walk ended: at pixel data, a delimiter or the end."""

    found: dict[int, Element]
    position: int


def walk(
    data: bytes,
    start: int,
    stop: int,
    wanted: Container[int],
    coding: Coding,
    budget: Budget,
    before: int = PIXEL_GROUP << 16,
) -> Walk:
    """Find elements of one data set or item.

    Parameters
    ----------
    data : bytes
    start, stop : int
        Where the data set lies; it may end before `stop` at pixel data or at an item delimiter.
    wanted : container of int
        Tags, ``group << 16 | element``.
    coding : Coding
    budget : Budget
    before : int
        The walk ends at the first tag that is not lower: at pixel data and item delimiters, unless told otherwise.

    Returns
    -------
    Walk

    Raises
    ------
    CutOffError
        If an element goes beyond `stop`.
    HeaderError
        If the encoding rules or a limit are broken.
    """
    found: dict[int, Element] = {}
    position, count = start, 0
    read = _reader(coding)
    while position + 8 <= stop:
        tag, vr, length, begin = read(data, position)
        if tag >= before:
            break
        count += 1
        if length == _MALFORMED:
            raise HeaderError(f"element {tag:08X} has no value representation")
        if length == UNDEFINED:
            end, position = _past_undefined(data, begin, stop, vr, coding, budget)
        else:
            end = position = begin + length
            if end > stop:
                raise CutOffError(f"element {tag:08X} ends {end - stop} bytes after the data set")
        if tag in wanted:
            found[tag] = Element(vr, begin, end)
    budget.spend(count)
    return Walk(found, position)


def items(data: bytes, element: Element, coding: Coding, budget: Budget) -> Iterator[tuple[int, int, Coding]]:
    """Yield where each item of a sequence lies, and how it is encoded.

    Raises
    ------
    HeaderError
        If what should be an item is none.
    """
    # A sequence of unknown VR is implicit little endian whatever surrounds it (PS3.5 6.2.2 note 2).
    inner = Coding(explicit=False) if element.vr == b"UN" else coding
    position = element.start
    form = inner.order + "HHL"
    while position + 8 <= element.stop:
        group, number, length = struct.unpack_from(form, data, position)
        tag, position = group << 16 | number, position + 8
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise HeaderError(f"a sequence holds {tag:08X} instead of an item")
        budget.spend(1)
        if length == UNDEFINED:
            end, after = _past_undefined_item(data, position, element.stop, inner, budget)
        else:
            end = after = position + length
        if end > element.stop:
            raise CutOffError("an item ends after its sequence")
        yield position, end, sniffed(data, position, inner)
        position = after


def sniffed(data: bytes, position: int, coding: Coding) -> Coding:
    """Return how a data set is really encoded: several writers name one encoding and use the other."""
    vr = data[position + 4 : position + 6]
    explicit = vr in _VRS
    if explicit == coding.explicit or len(vr) < 2 or data[position + 2 : position + 4] in _DELIMITERS:
        return coding
    return Coding(explicit, coding.order)


class _Reader:
    """Reads the tag, VR and length of one element."""

    def __init__(self, coding: Coding) -> None:
        self._short = struct.Struct(coding.order + "HH2sH").unpack_from
        self._plain = struct.Struct(coding.order + "HHL").unpack_from
        self._long = struct.Struct(coding.order + "L").unpack_from
        self._explicit = coding.explicit

    def __call__(self, data: bytes, position: int) -> tuple[int, bytes, int, int]:
        if not self._explicit:
            group, element, length = self._plain(data, position)
            return group << 16 | element, b"", length, position + 8
        group, element, vr, length = self._short(data, position)
        if group == 0xFFFE:  # delimiters have no VR
            return group << 16 | element, b"", self._long(data, position + 4)[0], position + 8
        if vr not in _LONG:
            if not vr.isalpha():
                return group << 16 | element, vr, _MALFORMED, position + 8
            return group << 16 | element, vr, length, position + 8
        if position + 12 > len(data):
            raise CutOffError("an element has no length")
        return group << 16 | element, vr, self._long(data, position + 8)[0], position + 12


_READERS = {coding: _Reader(coding) for coding in (Coding(e, o) for e in (True, False) for o in ("<", ">"))}


def _reader(coding: Coding) -> _Reader:
    return _READERS[coding]


def _past_undefined(data: bytes, start: int, stop: int, vr: bytes, coding: Coding, budget: Budget) -> tuple[int, int]:
    """Return the end of a sequence of undefined length, and the position after its delimiter."""
    if coding.explicit and vr not in _SEQUENCES:
        raise HeaderError(f"a value of type {vr!r} has no length")
    inner = Coding(explicit=False) if vr == b"UN" else coding
    return _past_nested(data, start, stop, [(True, inner)], budget)


def _past_undefined_item(data: bytes, start: int, stop: int, coding: Coding, budget: Budget) -> tuple[int, int]:
    return _past_nested(data, start, stop, [(False, coding)], budget)


def _past_nested(
    data: bytes, position: int, stop: int, nested: list[tuple[bool, Coding]], budget: Budget
) -> tuple[int, int]:
    """Step over what is open, without recursion; return where its content ends and where its delimiter does.

    `nested` holds what is open, outermost first: whether it is a sequence (else an item), and its encoding.
    """
    count = 0
    while position + 8 <= stop:
        count += 1
        in_sequence, coding = nested[-1]
        tag, vr, length, begin = _reader(coding)(data, position)
        if tag == (_SEQUENCE_END if in_sequence else _ITEM_END):
            nested.pop()
            if not nested:
                budget.spend(count)
                return position, begin
            position = begin
            continue
        if in_sequence != (tag == _ITEM) or length == _MALFORMED:
            raise HeaderError(f"{tag:08X} stands where {'an item' if in_sequence else 'an element'} should")
        if length != UNDEFINED:
            position = begin + length
            continue
        if not in_sequence and coding.explicit and vr not in _SEQUENCES:
            raise HeaderError(f"a value of type {vr!r} has no length")
        if len(nested) >= budget.depth:
            raise HeaderError(f"sequences are nested deeper than {budget.depth}")
        inner = Coding(explicit=False) if vr == b"UN" else coding
        nested.append((not in_sequence, sniffed(data, begin, inner) if in_sequence else inner))
        position = begin
    raise CutOffError("a sequence has no end")
