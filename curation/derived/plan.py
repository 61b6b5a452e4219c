"""What is to be written: a derivation checked, its sources read, its identifiers made."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.derivation import Derivation
from curation.derived.cleaning import clean, clean_text
from curation.derived.sources import Instance, SourceSeries, SourceVolume, read_source
from curation.errors import DerivedError, GeometryError
from curation.geometry import Array, check_affine

MakeUid = Callable[[str], str]

_NUMBER_OFFSETS = {"motion_correction": 2000, "coregistration": 3000, "adc": 4000}
"""Results are listed behind what the scanner made, and behind drawn masks, by kind."""
REGISTRATION_NUMBER_OFFSET = 5000
_MAX_NUMBER = 2**31 - 1 - REGISTRATION_NUMBER_OFFSET
_NAME_LENGTH = 40


@dataclass(frozen=True, eq=False)
class Part:
    """One volume of the result: what it was computed from.

    Parameters
    ----------
    numbers : tuple of int
        Of the source volumes.
    sources : tuple of SourceVolume
    transforms : ndarray, shape (len(numbers), 4, 4), or None
    acquired_us : int or None
        Microseconds since year 1, or midnight where the date is unknown.
    trigger_ms : float or None
        Time from the first volume, where the time of the day is unknown.
    b : float or None
        s/mm2.
    """

    numbers: tuple[int, ...]
    sources: tuple[SourceVolume, ...]
    transforms: Array | None
    acquired_us: int | None
    trigger_ms: float | None
    b: float | None

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The files of all its source volumes."""
        return tuple(dict.fromkeys(instance for source in self.sources for instance in source.instances))


@dataclass(frozen=True, eq=False)
class Plan:
    """A derivation with all that its files need beside the pixels."""

    derivation: Derivation
    source: SourceSeries
    static: SourceSeries | None
    related: tuple[SourceSeries, ...]
    parts: tuple[Part, ...]
    series_number: int
    moment: datetime.datetime
    make_uid: MakeUid
    series_uid: str
    new_frame_uid: str

    @property
    def others(self) -> tuple[Instance, ...]:
        """One file of each series that the result depends on."""
        series = (self.source, *([self.static] if self.static else []), *self.related)
        first = {instance.series_uid: instance for one in series for instance in reversed(one.instances)}
        return tuple(first.values())

    @property
    def folder_name(self) -> str:
        """Name of the folder of the result: safe characters only, and the end of its Series Instance UID."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", clean_text(self.derivation.description)).strip("-")
        return f"{words[:_NAME_LENGTH].strip('-') or 'derived'}-{self.series_uid.rpartition('.')[2][-12:]}"


def make_plan(
    result: Any,
    series_number: int | None,
    moment: datetime.datetime | None,
    uid: MakeUid | None,
) -> Plan:
    """Check a result and read the headers of what it was computed from.

    Parameters
    ----------
    result : Derivation, or an object with an attribute ``derivation`` that is one
    series_number : int or None
    moment : datetime or None
    uid : callable or None
        As for `curation.derived.write_derived`.

    Returns
    -------
    Plan

    Raises
    ------
    DerivedError
        If the result is none, or its parts do not fit each other.
    MissingDataError
        If a source file is gone.
    """
    derivation = result if isinstance(result, Derivation) else getattr(result, "derivation", None)
    if not isinstance(derivation, Derivation):
        raise DerivedError(f"Expected a Derivation or an object with one as .derivation; got {type(result).__name__}.")
    source = read_source(derivation.source)
    modality = clean(source.header, "Modality")
    if modality != "MR":
        raise DerivedError(f"Derived series are written as MR images; the source has the modality {modality}.")
    make_uid = uid or (lambda purpose: f"2.25.{uuid.uuid4().int}")
    return Plan(
        derivation=derivation,
        source=source,
        static=read_source(derivation.static) if derivation.static is not None else None,
        related=tuple(read_source(series) for series in derivation.related),
        parts=_parts(derivation, source),
        series_number=_number(derivation, series_number),
        moment=moment or datetime.datetime.now(),
        make_uid=make_uid,
        series_uid=make_uid("series"),
        new_frame_uid=make_uid("frame of reference"),
    )


def _number(derivation: Derivation, wanted: int | None) -> int:
    number = wanted
    if number is None:
        number = _NUMBER_OFFSETS.get(derivation.function, 4000) + max(derivation.source.number or 0, 0)
    if not 0 <= number <= _MAX_NUMBER:
        raise DerivedError(f"A Series Number lies between 0 and {_MAX_NUMBER}; got {number}.")
    return number


def _parts(derivation: Derivation, source: SourceSeries) -> tuple[Part, ...]:
    count, available = len(derivation.volumes), len(source.volumes)
    numbers = derivation.source_volumes or _default_numbers(count, available)
    for name, values in (
        ("source_volumes", numbers),
        ("b_values", derivation.b_values),
        ("times_s", derivation.times_s),
    ):
        if values is not None and len(values) != count:
            raise DerivedError(f"The result has {count} volume(s), but {name} has {len(values)} entries.")
    if any(not chosen or not all(0 <= n < available for n in chosen) for chosen in numbers):
        raise DerivedError(f"source_volumes must name volumes 0 to {available - 1} of the source; got {numbers}.")
    return tuple(_part(derivation, source, k, tuple(chosen)) for k, chosen in enumerate(numbers))


def _default_numbers(count: int, available: int) -> tuple[tuple[int, ...], ...]:
    if count == available:
        return tuple((k,) for k in range(count))
    if count == 1:
        return (tuple(range(available)),)
    raise DerivedError(
        f"The result has {count} volumes, its source {available}; say in source_volumes which were computed from which."
    )


def _part(derivation: Derivation, source: SourceSeries, k: int, numbers: tuple[int, ...]) -> Part:
    sources = tuple(source.volumes[n] for n in numbers)
    acquired, trigger = sources[0].acquired_us, None
    if derivation.times_s is not None:
        # Volumes may be told in time by the trigger alone: then all files name the start of the series.
        start, offset = source.volumes[0].acquired_us, derivation.times_s[k]
        acquired = None if start is None else start + round(offset * 1e6)
        trigger = offset * 1000 if start is None else None
    b = derivation.b_values[k] if derivation.b_values is not None else None
    return Part(numbers, sources, _transforms(derivation, len(source.volumes), k, numbers), acquired, trigger, b)


def _transforms(derivation: Derivation, available: int, k: int, numbers: tuple[int, ...]) -> Array | None:
    """Return the checked matrices of the source volumes of volume k."""
    if derivation.transforms is None:
        return None
    matrices = np.asarray(derivation.transforms, dtype=np.float64)
    if matrices.shape not in ((available, 4, 4), (len(derivation.volumes), 4, 4)):
        raise DerivedError(
            f"transforms holds one 4 x 4 matrix per volume of the source, shape ({available}, 4, 4); "
            f"got {matrices.shape}."
        )
    chosen = matrices[list(numbers)] if len(matrices) == available else matrices[[k] * len(numbers)]
    try:
        return np.stack([check_affine(matrix) for matrix in chosen])
    except GeometryError as error:
        raise DerivedError(f"The transform of volume {k} cannot be written: {error}") from error
