"""What was found wrong with files, series and studies, as data instead of as an exception."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SINGLY = 20
"""So many files of one folder with the same problem are named one by one; more are one problem."""

_LISTED = 10


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or that a reader should know.

    Parameters
    ----------
    code : str
        Stable short name, for programs: ``missing-slices``, ``not-dicom``, ...
    message : str
        One sentence for people.
    paths : tuple of Path
        The files concerned, where there are any.
    blocking : bool
        Whether the series that has this problem gives no volumes.
    """

    code: str
    message: str
    paths: tuple[Path, ...] = ()
    blocking: bool = False

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, object]:
        """Return the problem as a JSON object."""
        return {
            "code": self.code,
            "message": self.message,
            "paths": [str(path) for path in self.paths],
            "blocking": self.blocking,
        }


def listed(items: Iterable[object], separator: str = ", ") -> str:
    """Return the first items as text, and how many more there are: messages must stay sentences."""
    texts = [str(item) for item in items]
    more = len(texts) - _LISTED
    return separator.join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """Make one problem of many files of one folder that have the same.

    Parameters
    ----------
    problems : sequence of Problem
        Of single files.

    Returns
    -------
    list of Problem
        In the order of the first of each kind.
    """
    kinds: dict[tuple[str, bool, Path | None], list[Problem]] = defaultdict(list)
    for problem in problems:
        folder = problem.paths[0].parent if problem.paths else None
        kinds[problem.code, problem.blocking, folder].append(problem)
    found: list[Problem] = []
    for (code, blocking, folder), members in kinds.items():
        if len(members) <= SINGLY:
            found += members
            continue
        text = f"{len(members)} files in {folder}: {members[0]} The others alike."
        found.append(Problem(code, text, tuple(path for m in members for path in m.paths), blocking))
    return found
