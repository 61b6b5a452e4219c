"""Asking dicom3tools whether files keep the standard and agree with each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def errors_of(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds in a file."""
    tool = Path(sys.executable).parent / "dciodvfy"
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy said nothing"
    return [line for line in lines if line.startswith("Error")]


def contradictions(paths: Iterable[Path]) -> list[str]:
    """Return the errors that dcentvfy finds between files: patients, studies, series and frames that disagree.

    A reference to an object that is not among the files counts as one.
    """
    tool = Path(sys.executable).parent / "dcentvfy"
    done = subprocess.run([tool, *sorted(paths)], capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Abort"))]
