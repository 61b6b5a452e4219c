"""When the volumes of a series were acquired, and in which order.

Acquisition Time where every volume has its own; else Temporal Position Identifier, Trigger Time or Acquisition
Number; else Instance Number. Series Number says nothing of time, and Content Time is when an image was
reconstructed: on a TWIST series of 4.2 s steps it advanced by 0.17 s. A time that is not known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from curation.problems import Problem
from curation.reading.headers import SliceHeader

Headers = Sequence[SliceHeader]
Times = tuple[float | None, ...]


class Order(NamedTuple):
    """Numbers of the volumes in the order of acquisition, and the attribute that says so."""

    numbers: tuple[int, ...]
    basis: str


def begun_us(headers: Headers) -> int | None:
    """Return when the acquisition of a volume began, in microseconds; None where a slice does not say."""
    times = [h.acquired_us for h in headers]
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def trigger_ms(headers: Headers) -> float | None:
    """Return the Trigger Time of a volume; None where its slices do not agree on when to count from."""
    times = [h.trigger_ms for h in headers]
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def _common(values: list[int | None]) -> int | None:
    return values[0] if len(set(values)) == 1 else None


_BASES: tuple[tuple[str, Callable[[Headers], float | None]], ...] = (
    ("Acquisition Time", begun_us),
    ("Temporal Position Identifier", lambda volume: _common([h.temporal_position for h in volume])),
    ("Trigger Time", trigger_ms),
    ("Acquisition Number", lambda volume: _common([h.acquisition_number for h in volume])),
)
_LAST = "Instance Number"


def time_order(volumes: Sequence[Headers]) -> Order | None:
    """Return the order of acquisition by the first attribute that every volume has another value of, or None."""
    for basis, value_of in _BASES:
        values = [value_of(volume) for volume in volumes]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and len(set(known)) == len(known):
            return Order(tuple(sorted(range(len(known)), key=known.__getitem__)), basis)
    return None


def volume_order(volumes: Sequence[Headers]) -> Order:
    """Return the order of acquisition; by Instance Number where no attribute of time tells."""
    found = time_order(volumes)
    if found is not None:
        return found
    first = [min(h.instance_number or 0 for h in volume) for volume in volumes]
    return Order(tuple(sorted(range(len(first)), key=first.__getitem__)), _LAST)


def relative_times(volumes: Sequence[Headers], *, dynamic: bool) -> tuple[Times | None, tuple[Problem, ...]]:
    """Return when each volume began, in seconds.

    Parameters
    ----------
    volumes : sequence of sequences of SliceHeader
        In their order.
    dynamic : bool
        Whether the series means a course of time. Others need no times: where not every volume has its own,
        there are none.

    Returns
    -------
    times : tuple of float or None, or None
        From the first volume whose time is known; None for a volume whose time is not.
    problems : tuple of Problem
        ``unknown-times`` where a dynamic series lacks times.
    """
    for read, per_second in ((begun_us, 1e6), (trigger_ms, 1e3)):
        times = [read(volume) for volume in volumes]
        known = [time for time in times if time is not None]
        if known and len(known) == len(times) and _ascending(known):
            return tuple(round((time - known[0]) / per_second, 6) for time in known), ()
    if not dynamic or len(volumes) < 2:
        return None, ()
    begun = [begun_us(volume) for volume in volumes]
    known = [time for time in begun if time is not None]
    if not _ascending(known):  # one time for all, or times that contradict the order: of no use
        begun, known = [None] * len(begun), []
    missing = begun.count(None)
    text = (
        f"When {missing} of {len(begun)} volumes were acquired is not known; "
        f"they are in the order of {volume_order(volumes).basis}."
    )
    return tuple(None if t is None else (t - known[0]) / 1e6 for t in begun), (Problem("unknown-times", text),)


def _ascending(values: Sequence[float]) -> bool:
    return all(earlier < later for earlier, later in pairwise(values))
