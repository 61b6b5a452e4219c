"""Wheels are chosen for the image's Python, not for the one that runs pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("version", "expected"), [("3.11", True), ("3.13", False)])
def test_requirements_follow_the_markers_of_the_image(root: Path, tmp_path: Path, version: str, expected: bool) -> None:
    """The package asks for typing-extensions up to Python 3.12; both versions run on the same pip here."""
    filler = root / "images" / "workspace" / "fill_wheelhouse.py"
    command = [sys.executable, str(filler), version, "x86_64", "--quiet", "--dest", str(tmp_path), "aiosignal==1.4.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    names = [wheel.name for wheel in tmp_path.iterdir()]
    tag = f"-cp{version.replace('.', '')}-"
    assert any(name.startswith("frozenlist") and tag in name and "x86_64" in name for name in names)
    assert any(name.startswith("typing_extensions") for name in names) is expected
