"""What was found wrong with files, series and studies, as data instead of as an exception."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
