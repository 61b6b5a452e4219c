"""Asking dciodvfy (dicom3tools) whether a file keeps the standard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def errors_of(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds in a file."""
    tool = Path(sys.executable).parent / "dciodvfy"
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy said nothing"
    return [line for line in lines if line.startswith("Error")]
