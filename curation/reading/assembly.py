"""From the headers of one study to its series."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from curation import geometry
from curation.errors import IrregularSeriesError
from curation.problems import Problem, listed
from curation.reading.bvalues import Direction
from curation.reading.completeness import malformed_attributes
from curation.reading.headers import SOFTWARE_NAME, SliceHeader
from curation.reading.joining import Group, join
from curation.reading.mosaic import unfold
from curation.reading.pixels import read_frame, read_stack
from curation.reading.roles import Evidence, role_of
from curation.reading.stacking import Stack, arrange
from curation.reading.timing import relative_times
from curation.series import Series
from curation.volume import Volume

# Values of Image Type that tell one kind of image from another where a DICOM series holds several.
_CONTENTS = frozenset(
    {"ADC", "ADC_UNSPECIFIED", "FA", "EADC", "EXP", "PHASE", "PHASE MAP", "P", "REAL", "R", "IMAGINARY", "I"}
)


def assemble(
    headers: Sequence[SliceHeader], problems: Sequence[Problem] = (), keep: object = None
) -> tuple[Series, ...]:
    """Make the series of one study.

    Parameters
    ----------
    headers : sequence of SliceHeader
        All objects of the study.
    problems : sequence of Problem
        What was wrong with single files; a blocking one blocks the series that holds the file.
    keep : object
        Held by every series, so that the files stay as long as a series may read them.

    Returns
    -------
    tuple of Series
        In order of Series Number.
    """
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_uid[header.series_uid].append(header)
    files = _FileProblems(problems)
    groups = [group for members in by_uid.values() for group in _groups(members, files)]
    return tuple(sorted((_series(group, keep) for group in join(groups)), key=_order))


def _order(series: Series) -> tuple[bool, int, str]:
    return series.number is None, series.number or 0, series.uid


def _groups(members: list[SliceHeader], files: _FileProblems) -> list[Group]:
    """Return what one DICOM series holds: usually one kind of image, sometimes maps beside their source."""
    single, duplicates = _without_repeats(members)
    by_content: dict[frozenset[str], list[SliceHeader]] = defaultdict(list)
    for header in single:
        by_content[_CONTENTS.intersection(header.image_type[2:])].append(header)
    general = (*duplicates, *files.of(members), *malformed_attributes(members))
    if len(by_content) > 1:
        names = listed(sorted("\\".join(part[0].image_type) for part in by_content.values()))
        text = f"One DICOM series holds several kinds of image, which were separated: {names}."
        general = (*general, Problem("several-contents", text))
    return [_group(part, general) for part in by_content.values()]


def _group(members: list[SliceHeader], general: tuple[Problem, ...]) -> Group:
    headers, assumed = unfold(members, read_frame)
    arrangement = arrange(headers)
    if any(problem.blocking for problem in assumed):
        arrangement = replace(arrangement, stacks=(), problems=())
    found = arrangement.problems
    if any(problem.code == "several-contents" for problem in general):
        found = tuple(problem for problem in found if problem.code != "instance-number-gap")  # the other part's
    problems = (*general, *assumed, *found)
    if any(problem.blocking for problem in problems):
        arrangement = replace(arrangement, stacks=())
    role = role_of(Evidence(headers, arrangement.plane, len(arrangement.stacks)))
    return Group(tuple(headers), arrangement, role, problems)


class _FileProblems:
    """What damaged files mean for a series: its own block it, a lost one beside it may be a slice."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._own: dict[Path, Problem] = {}
        self._lost: dict[Path, list[Path]] = defaultdict(list)
        for problem in problems:
            if problem.blocking:
                self._own.update(dict.fromkeys(problem.paths, problem))
            elif problem.code in ("unreadable", "too-large"):
                for path in problem.paths:
                    self._lost[path.parent].append(path)

    def of(self, members: list[SliceHeader]) -> list[Problem]:
        """Return the problems of one series."""
        paths = dict.fromkeys(header.path for header in members)
        own = list({id(p): p for path in paths if (p := self._own.get(path)) is not None}.values())
        lost = [path for folder in {path.parent for path in paths} for path in self._lost.get(folder, ())]
        if lost:
            text = f"{len(lost)} file(s) in the same folder cannot be read: slices may be missing."
            own.append(Problem("unreadable-neighbours", text, tuple(lost)))
        return own


def _without_repeats(members: list[SliceHeader]) -> tuple[list[SliceHeader], tuple[Problem, ...]]:
    """Leave out copies of a file; two different files with one SOP Instance UID block the series."""
    first: dict[str, Path] = {}
    copies: list[Path] = []
    clashes: list[Path] = []
    for path, uid in {header.path: header.instance_uid for header in members}.items():
        other = first.setdefault(uid, path)
        if other is not path:
            same = filecmp.cmp(other, path, shallow=False)
            (copies if same else clashes).append(path)
    problems = []
    if copies:
        text = f"{len(copies)} file(s) are copies of others and were left out."
        problems.append(Problem("duplicate-files", text, tuple(copies)))
    if clashes:
        text = f"{len(clashes)} file(s) bear the SOP Instance UID of another file but differ from it."
        problems.append(Problem("conflicting-files", text, tuple(clashes), blocking=True))
    left_out = {*copies, *clashes}
    return [header for header in members if header.path not in left_out], tuple(problems)


def _series(group: Group, keep: object) -> Series:
    first, stacks = group.headers[0], group.stacks
    b_values, no_b_values = _b_values(group)
    times, no_times = relative_times([stack.headers for stack in stacks], dynamic=group.role == "dce")
    ordered = tuple(chain.from_iterable(stack.headers for stack in stacks)) or group.headers
    return Series(
        uid=first.series_uid,
        description=first.description,
        modality=first.modality,
        role=group.role,
        plane=group.arrangement.plane,
        shape=(len(stacks), len(stacks[0].headers) if stacks else len(ordered), first.rows, first.columns),
        spacing_mm=geometry.spacing_mm(stacks[0].affine) if stacks else (0.0, 0.0, 0.0),
        b_values=b_values,
        acquisition_times_s=times,
        problems=(*group.problems, *no_b_values, *no_times),
        source=partial(_read_volume, stacks, keep),
        uids=tuple(dict.fromkeys(h.series_uid for h in group.headers)),
        number=first.series_number,
        paths=tuple(dict.fromkeys(h.path for h in ordered)),
        frame_of_reference_uid=first.frame_of_reference_uid,
        curation_result=first.manufacturer == SOFTWARE_NAME,
        gradient_directions=_gradient_directions(group),
    )


def _read_volume(stacks: tuple[Stack, ...], _keep: object, k: int) -> Volume:
    if k >= len(stacks):
        raise IrregularSeriesError(f"There is no volume {k}.")
    return read_stack(stacks[k])


def _b_values(group: Group) -> tuple[tuple[float, ...] | None, tuple[Problem, ...]]:
    """Return one b-value per volume; maps carry the b-value of their source, which says nothing of them."""
    if group.role not in ("dwi", "calculated-b") or not group.stacks:
        return None, ()
    values = [{header.b for header in stack.headers} for stack in group.stacks]
    known = tuple(b for found in values for b in found if b is not None and len(found) == 1)
    if len(known) == len(values):
        return known, ()
    text = f"The b-value of {len(values) - len(known)} of {len(values)} volume(s) is not in the header."
    return None, (Problem("unknown-b-values", text),)


def _gradient_directions(group: Group) -> tuple[Direction | None, ...] | None:
    if group.role != "dwi":
        return None
    first = [stack.headers[0] for stack in group.stacks]
    directions = tuple(h.gradient if h.b is None or h.b > 0 else None for h in first)
    return directions if any(directions) else None
