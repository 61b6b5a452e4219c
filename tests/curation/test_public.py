"""The package's face: lazy names, silence, tables, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import curation
from curation import dataset_table, series_table
from curation.files import write_atomically
from curation.tables import b_value_text


def test_importing_loads_nothing_heavy() -> None:
    """``import curation`` pulls neither numpy nor pydicom nor any optional package."""
    heavy = "{'numpy', 'pydicom', 'highdicom', 'scipy', 'matplotlib', 'numba', 'torch', 'anywidget', 'typer'}"
    code = f"import curation, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads() -> None:
    """All names of ``__all__`` are there, and others raise as modules do."""
    assert all(getattr(curation, name) is not None for name in curation.__all__)
    assert set(curation.__all__) <= set(dir(curation))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        curation.nothing  # noqa: B018


def test_empty_tables_say_what_to_do() -> None:
    """No dataset: ask for a grant; no study: a sentence."""
    assert "Ask the data controller" in dataset_table([])._repr_html_()
    assert str(series_table(None)) == "No study is open."


def test_repeated_b_values_are_counted() -> None:
    """Distinct b-values with how often each occurs."""
    assert b_value_text((0.0, 1000.0, 0.001, 1000.0)) == "0, 0.001, 1000 (2)"


def test_files_appear_whole(tmp_path: Path) -> None:
    """A new file replaces the old one, readable for others, and no temporary file is left."""
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    """Content that cannot be written leaves the old file and no temporary one."""
    path = write_atomically(tmp_path / "a.bin", b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
