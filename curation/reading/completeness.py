"""Attributes that should be there and are not, or whose values break the rules of their type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from curation.problems import Problem, listed
from curation.reading.headers import SliceHeader


def absent_attributes(headers: Sequence[SliceHeader]) -> tuple[Problem, ...]:
    """Name the attributes of type 2 (PS3.5 7.4.3) that files of a study lack, all in one problem.

    De-identification often removes what it should empty. Nothing here needs them, but objects derived from such
    files would lack them too.
    """
    text = _listed({h.path: h.absent for h in headers})
    if not text:
        return ()
    return (Problem("absent-attributes", f"Attributes that must be there, if empty, are missing: {text}."),)


def malformed_attributes(headers: Sequence[SliceHeader]) -> tuple[Problem, ...]:
    """Name the attributes of a series whose values could not be read, and its files."""
    by_path = {h.path: h.flawed for h in headers if h.flawed}
    text = _listed(by_path, {h.path for h in headers})
    if not text:
        return ()
    message = f"Values that break the rules of their type were taken for absent: {text}."
    return (Problem("malformed-attributes", message, tuple(by_path)),)


def _listed(by_path: dict[Path, tuple[str, ...]], files: Iterable[Path] = ()) -> str:
    """Return ``EchoTime (3 of 19 files), ...``; empty where there is nothing to name."""
    counts = Counter(keyword for keywords in by_path.values() for keyword in keywords)
    total = len(set(files) | by_path.keys())
    return listed(f"{keyword} ({count} of {total} files)" for keyword, count in sorted(counts.items()))
