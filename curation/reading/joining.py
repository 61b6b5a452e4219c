"""DICOM series that together are one acquisition: the time points of a dynamic series, the b-values of a DWI."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from curation.problems import Problem, listed
from curation.reading.headers import SliceHeader
from curation.reading.roles import DYNAMIC_MIN_VOLUMES
from curation.reading.stacking import Arrangement, Stack
from curation.reading.timing import begun_us, time_order
from curation.series import Role

SAME_GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True, eq=False)
class Group:
    """One or more DICOM series that make one series, arranged and named."""

    headers: tuple[SliceHeader, ...]
    arrangement: Arrangement
    role: Role
    problems: tuple[Problem, ...]

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The volumes."""
        return self.arrangement.stacks


def join(groups: Sequence[Group]) -> list[Group]:
    """Join what belongs together; the rest stays as it is.

    Parameters
    ----------
    groups : sequence of Group
        One per DICOM series.

    Returns
    -------
    list of Group
    """
    return _joined(_joined(_told_apart(groups), _dynamic_key, _dynamic), _diffusion_key, _diffusion)


def _told_apart(groups: Sequence[Group]) -> list[Group]:
    """Find calculated b-values whose header no longer says so, by their time.

    They bear the Acquisition Time of an image that they were computed from, and a scanner cannot acquire two
    b-values at once.
    """
    acquired = {
        (_protocol(group), begun_us(stack.headers))
        for group in groups
        if group.role == "dwi" and len(group.stacks) > 1
        for stack in group.stacks
    }
    return [replace(g, role="calculated-b") if _computed_like(g, acquired) else g for g in groups]


def _computed_like(group: Group, acquired: Container[Hashable]) -> bool:
    if group.role != "dwi" or len(group.stacks) != 1 or "DERIVED" not in group.headers[0].image_type:
        return False
    begun = begun_us(group.stacks[0].headers)
    return begun is not None and (_protocol(group), begun) in acquired


Key = Callable[[Group], Hashable | None]


def _joined(groups: Sequence[Group], key: Key, merge: Callable[[list[Group]], list[Group]]) -> list[Group]:
    candidates: dict[Hashable, list[Group]] = defaultdict(list)
    others: list[Group] = []
    for group in groups:
        found = key(group)
        (others if found is None else candidates[found]).append(group)
    return others + list(chain.from_iterable(merge(members) for members in candidates.values()))


def _protocol(group: Group) -> tuple[Hashable, ...]:
    """Return what series of one acquisition have in common: sequence, timing, image type and grid."""
    first = group.headers[0]
    grid = np.rint(group.stacks[0].affine / SAME_GRID_TOLERANCE_MM).astype(np.int64)
    return (
        first.frame_of_reference_uid, first.manufacturer, first.image_type, first.scanning_sequence,
        first.repetition_ms, first.echo_ms, first.flip_degrees, first.rows, first.columns,
        len(group.stacks[0].headers), grid.tobytes(),
    )  # fmt: skip


def _dynamic_key(group: Group) -> Hashable | None:
    if group.role not in ("t1w", "dce") or len(group.stacks) != 1:
        return None
    return (*_protocol(group), group.headers[0].sequence_name)


def _dynamic(members: list[Group]) -> list[Group]:
    """Join the time points of a dynamic acquisition that the scanner stored as one series each.

    At least `DYNAMIC_MIN_VOLUMES`, in an order that an attribute of time gives: Series Number is none.
    """
    if len(members) < DYNAMIC_MIN_VOLUMES:
        return members
    order = time_order([group.stacks[0].headers for group in members])
    if order is not None:
        return [_merged([members[k] for k in order.numbers], "dce")]
    text = (
        f"{_numbers(members)} look like the time points of one dynamic acquisition, "
        "but no attribute of time tells their order: they are not joined."
    )
    return [replace(group, problems=(*group.problems, Problem("unknown-order", text))) for group in members]


def _diffusion_key(group: Group) -> Hashable | None:
    first = group.headers[0]
    if group.role != "dwi" or not group.stacks or len(_b_values(group)) != 1:
        return None
    # Where all that is known of an image is that it was computed, it may be a calculated b-value.
    if "DERIVED" in first.image_type and not first.sequence_name:
        return None
    return (*_protocol(group), re.sub(r"\d+", "", first.sequence_name), first.study_uid)


def _b_values(group: Group) -> set[float | None]:
    return {header.b for stack in group.stacks for header in stack.headers}


def _diffusion(members: list[Group]) -> list[Group]:
    """Join series that differ in nothing but their one b-value; repetitions of a b-value are left alone."""
    b_values = [next(iter(_b_values(group))) for group in members]
    known = [b for b in b_values if b is not None]
    if len(members) < 2 or len(known) < len(members) or len(set(known)) < len(known):
        return members
    ordered = [members[k] for k in sorted(range(len(known)), key=known.__getitem__)]
    text = f"{_numbers(ordered)} hold one b-value each of one acquisition and were joined."
    merged = _merged(ordered, "dwi")
    return [replace(merged, problems=(Problem("joined-series", text), *merged.problems))]


def _numbers(members: list[Group]) -> str:
    names = [h.series_uid if h.series_number is None else str(h.series_number) for h in (g.headers[0] for g in members)]
    return f"Series {listed(names)}"


def _merged(ordered: list[Group], role: Role) -> Group:
    stacks = tuple(chain.from_iterable(group.stacks for group in ordered))
    headers = tuple(chain.from_iterable(group.headers for group in ordered))
    problems = tuple(chain.from_iterable(group.problems for group in ordered))
    # Images that are numbered through all series lack none, though each series alone seems to.
    if sorted(h.instance_number or 0 for h in headers) == list(range(1, len(headers) + 1)):
        problems = tuple(problem for problem in problems if problem.code != "instance-number-gap")
    return Group(headers, Arrangement(stacks, ordered[0].arrangement.plane, ()), role, problems)
