"""The hash chain of the audit trail: each line seals all that stands before it.

The seal of a trail after line k is SHA-256(seal after line k - 1, as text, followed by line k as it stands in the
file), the seal of an empty trail 64 zeros. An event's line begins with the seal of what stood before it when it was
written, so that an edit, a deletion, an insertion or another order shows at the next event. What is changed at the
very end, or everywhere with all seals made anew, shows against a seal that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EMPTY = "0" * 64
_PREFIX = re.compile(rb'\{"seal":"([0-9a-f]{64})",')


@dataclass(frozen=True)
class Fault:
    """A place at which the trail is not what it was.

    Parameters
    ----------
    line : int
        From 1.
    reason : str
    """

    line: int
    reason: str


@dataclass(frozen=True)
class Verification:
    """What was found in a whole trail.

    Parameters
    ----------
    lines : int
    seal : str
        Of the whole trail; kept elsewhere, it proves later that nothing up to here was changed.
    faults : tuple of Fault
    unsealed : tuple of int
        Numbers of lines without a seal: what a crash cut off, or what something else wrote.
    found : bool or None
        Whether the seal that was asked for is that of the trail at some line; None where none was.
    """

    lines: int
    seal: str
    faults: tuple[Fault, ...]
    unsealed: tuple[int, ...]
    found: bool | None


def next_seal(seal: str, line: bytes) -> str:
    """Return the seal after a line, which ends in a line feed."""
    return hashlib.sha256(seal.encode() + line).hexdigest()


def sealed(event: bytes, seal: str) -> bytes:
    """Return the line of an event, a JSON object, that follows what has this seal."""
    return b'{"seal":"' + seal.encode() + b'",' + event.removeprefix(b"{") + b"\n"


def split(line: bytes) -> tuple[str | None, bytes]:
    """Return the seal that a line carries, None where there is none, and the event without it."""
    match = _PREFIX.match(line)
    return (match[1].decode(), b"{" + line[match.end() :]) if match else (None, line)


def last_seal(tail: Iterable[bytes]) -> str | None:
    """Return the seal after the last of some lines; None where none of them carries one to begin with."""
    seal: str | None = None
    for line in tail:
        stated, _ = split(line)
        if stated is not None or seal is not None:
            seal = next_seal(stated or seal or EMPTY, line)
    return seal


def verify(lines: Iterable[bytes], wanted: str | None = None) -> Verification:
    """Check a whole trail.

    Parameters
    ----------
    lines : iterable of bytes
        All lines, each with its line feed.
    wanted : str, optional
        A seal that was kept elsewhere.
    """
    seal, count, found = EMPTY, 0, wanted == EMPTY
    faults, unsealed = [], []
    for count, line in _numbered(lines):
        stated, _ = split(line)
        if stated is None:
            unsealed.append(count)
        elif stated != seal:
            faults.append(Fault(count, "what stands before it is not what stood there when it was written"))
            seal = stated  # so that later breaks are found too
        seal = next_seal(seal, line)
        found = found or seal == wanted
    return Verification(count, seal, tuple(faults), tuple(unsealed), None if wanted is None else found)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers; a last one that was cut off gets the line feed that will close it."""
    for number, line in enumerate(lines, start=1):
        yield number, line if line.endswith(b"\n") else line + b"\n"
