"""From the headers of one study to its series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from curation import geometry
from curation.dicom_io import read_stack
from curation.errors import IrregularSeriesError
from curation.headers import SOFTWARE_NAME, SliceHeader
from curation.problems import Problem
from curation.roles import DYNAMIC_MIN_VOLUMES, Evidence, role_of
from curation.series import Role, Series
from curation.stacking import Arrangement, Stack, arrange, stack_time_us
from curation.volume import Volume

SAME_GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True, eq=False)
class _Group:
    """One or more DICOM series that make one series, arranged and named."""

    headers: tuple[SliceHeader, ...]
    arrangement: Arrangement
    role: Role
    problems: tuple[Problem, ...]


def assemble(headers: Sequence[SliceHeader], problems: Sequence[Problem] = ()) -> tuple[Series, ...]:
    """Make the series of one study.

    Parameters
    ----------
    headers : sequence of SliceHeader
        All objects of the study.
    problems : sequence of Problem
        What was wrong with single files; a blocking one blocks the series that holds the file.

    Returns
    -------
    tuple of Series
        In order of Series Number.
    """
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_uid[header.series_uid].append(header)
    groups = [_group(members, problems) for members in by_uid.values()]
    return tuple(sorted((_series(group) for group in _merge_dynamic(groups)), key=_order))


def _order(series: Series) -> tuple[bool, int, str]:
    return series.number is None, series.number or 0, series.uid


def _group(members: list[SliceHeader], file_problems: Sequence[Problem]) -> _Group:
    unique, duplicates = _without_repeats(members)
    arrangement = arrange(unique)
    problems = (*duplicates, *arrangement.problems, *_file_problems(members, file_problems))
    if any(problem.blocking for problem in problems):
        arrangement = replace(arrangement, stacks=())
    role = role_of(Evidence(unique, arrangement.plane, len(arrangement.stacks)))
    return _Group(tuple(unique), arrangement, role, problems)


def _file_problems(members: list[SliceHeader], problems: Sequence[Problem]) -> list[Problem]:
    """Return what damaged files mean for a series: its own block it, a lost one beside it may be a slice."""
    paths = {header.path for header in members}
    folders = {path.parent for path in paths}
    own = [p for p in problems if p.blocking and paths.intersection(p.paths)]
    lost = [p for p in problems if p.code == "unreadable" and folders & {path.parent for path in p.paths}]
    if lost:
        text = f"{len(lost)} file(s) in the same folder cannot be read: slices may be missing."
        own.append(Problem("unreadable-neighbours", text, tuple(path for p in lost for path in p.paths)))
    return own


def _without_repeats(members: list[SliceHeader]) -> tuple[list[SliceHeader], tuple[Problem, ...]]:
    """Leave out copies of a file; two different files with one SOP Instance UID block the series."""
    kept: dict[str, SliceHeader] = {}
    copies: list[SliceHeader] = []
    clashes: list[SliceHeader] = []
    for header in members:
        first = kept.setdefault(header.instance_uid, header)
        if first is not header:
            same = first.path.read_bytes() == header.path.read_bytes()
            (copies if same else clashes).append(header)
    problems = []
    if copies:
        text = f"{len(copies)} file(s) are copies of others and were left out."
        problems.append(Problem("duplicate-files", text, tuple(h.path for h in copies)))
    if clashes:
        text = f"{len(clashes)} file(s) bear the SOP Instance UID of another file but differ from it."
        problems.append(Problem("conflicting-files", text, tuple(h.path for h in clashes), blocking=True))
    return list(kept.values()), tuple(problems)


def _merge_dynamic(groups: list[_Group]) -> list[_Group]:
    """Join the time points of a dynamic acquisition that the scanner stored as one series each.

    Joined are at least `DYNAMIC_MIN_VOLUMES` T1-weighted series of one volume each with the same sequence,
    timing, image type and grid, and with different acquisition times.
    """
    candidates: dict[Hashable, list[_Group]] = defaultdict(list)
    for group in groups:
        if group.role in ("t1w", "dce") and len(group.arrangement.stacks) == 1:
            candidates[_dynamic_key(group)].append(group)
    merged: list[_Group] = []
    taken: set[int] = set()
    for members in candidates.values():
        times = {stack_time_us(group.arrangement.stacks[0]) for group in members}
        if len(members) < DYNAMIC_MIN_VOLUMES or None in times or len(times) < len(members):
            continue
        taken.update(id(group) for group in members)
        merged.append(_merged(members))
    return [group for group in groups if id(group) not in taken] + merged


def _dynamic_key(group: _Group) -> Hashable:
    first = group.headers[0]
    grid = np.rint(group.arrangement.stacks[0].affine / SAME_GRID_TOLERANCE_MM).astype(np.int64)
    return (
        first.frame_of_reference_uid, first.image_type, first.sequence_name, first.scanning_sequence,
        first.repetition_ms, first.echo_ms, first.flip_degrees, first.rows, first.columns,
        len(group.headers), grid.tobytes(),
    )  # fmt: skip


def _merged(members: list[_Group]) -> _Group:
    ordered = sorted(members, key=lambda group: stack_time_us(group.arrangement.stacks[0]) or 0)
    stacks = tuple(chain.from_iterable(group.arrangement.stacks for group in ordered))
    problems = tuple(chain.from_iterable(group.problems for group in ordered))
    arrangement = Arrangement(stacks, ordered[0].arrangement.plane, ())
    headers = tuple(chain.from_iterable(group.headers for group in ordered))
    return _Group(headers, arrangement, "dce", problems)


def _series(group: _Group) -> Series:
    first, stacks = group.headers[0], group.arrangement.stacks
    ordered = tuple(chain.from_iterable(stack.headers for stack in stacks)) or group.headers
    return Series(
        uid=first.series_uid,
        description=first.description,
        modality=first.modality,
        role=group.role,
        plane=group.arrangement.plane,
        shape=(len(stacks), len(stacks[0].headers) if stacks else len(ordered), first.rows, first.columns),
        spacing_mm=geometry.spacing_mm(stacks[0].affine) if stacks else (0.0, 0.0, 0.0),
        b_values=_b_values(group),
        acquisition_times_s=_relative_times(stacks),
        problems=group.problems,
        source=partial(_read_volume, stacks),
        uids=tuple(dict.fromkeys(h.series_uid for h in group.headers)),
        number=first.series_number,
        paths=tuple(h.path for h in ordered),
        frame_of_reference_uid=first.frame_of_reference_uid,
        curation_result=first.manufacturer == SOFTWARE_NAME,
    )


def _read_volume(stacks: tuple[Stack, ...], k: int) -> Volume:
    if k >= len(stacks):
        raise IrregularSeriesError(f"There is no volume {k}.")
    return read_stack(stacks[k])


def _b_values(group: _Group) -> tuple[float, ...] | None:
    """Return one b-value per volume; maps carry the b-value of their source, which says nothing of them."""
    if group.role not in ("dwi", "calculated-b"):
        return None
    values = [stack.headers[0].b for stack in group.arrangement.stacks]
    known = tuple(value for value in values if value is not None)
    return known if values and len(known) == len(values) else None


def _relative_times(stacks: tuple[Stack, ...]) -> tuple[float, ...] | None:
    """Return the start of each volume in seconds from the first one's, None where it is not known.

    Acquisition Time; where that is the same for all volumes, Trigger Time, in which GE counts the phases of
    a dynamic series. Content Time is when the image was reconstructed and is never used.
    """
    times = [stack_time_us(stack) for stack in stacks]
    known = [time for time in times if time is not None]
    if len(known) == len(times) and len(set(known)) == len(known) and known:
        return tuple((time - known[0]) / 1e6 for time in known)
    triggers = [stack.headers[0].trigger_ms for stack in stacks]
    counted = [trigger / 1000 for trigger in triggers if trigger is not None]
    if len(counted) == len(triggers) and len(set(counted)) == len(counted) and counted:
        return tuple(round(time - counted[0], 6) for time in counted)
    return None
