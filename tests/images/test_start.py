"""`start` on the host, as the process spawner uses it: the server is a stub that prints its arguments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho "$@"\necho "kernels: ${NUMBA_CACHE_DIR:-none}" >&2\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def start(
    root: Path, home: Path, stub: Path, notebooks: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **more,
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LIGHTBOX_NOTEBOOKS": str(notebooks),
        "LIGHTBOX_PYTHON": str(stub),
    }
    command = [str(root / "images" / "workspace" / "start"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)


def test_hands_over_to_the_given_python(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    result = start(root, home, stub, tmp_path / "absent", "--port=1", "--x=a b")
    assert result.stdout == "-P -m jupyterhub.singleuser --port=1 --x=a b\n"
    assert list(home.iterdir()) == []


def test_copies_what_is_absent(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    notebooks = tmp_path / "notebooks"
    (notebooks / "in a folder").mkdir(parents=True)
    (notebooks / "one.ipynb").write_text("one")
    (notebooks / "in a folder" / "two.ipynb").write_text("two")
    (notebooks / "in a folder" / "two.ipynb").chmod(0o444)
    start(root, home, stub, notebooks)
    assert (home / "one.ipynb").read_text() == "one"
    copy = home / "in a folder" / "two.ipynb"
    assert copy.read_text() == "two"
    assert copy.stat().st_mode & 0o200
    assert len(list(home.rglob("*"))) == 3


def test_overwrites_nothing(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for name in ("changed", "linked", "folder"):
        (notebooks / name).write_text("shipped")
    (home / "changed").write_text("mine")
    (home / "linked").symlink_to(tmp_path / "nowhere")
    (home / "folder").mkdir()
    start(root, home, stub, notebooks)
    assert (home / "changed").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert list((home / "folder").iterdir()) == []


def test_starts_also_when_nothing_can_be_copied(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    notebooks = tmp_path / "notebooks"
    (notebooks / "folder").mkdir(parents=True)
    (home / "folder").write_text("a file where a folder should come")
    result = start(root, home, stub, notebooks)
    assert result.stdout.startswith("-P -m jupyterhub.singleuser")


def test_compiled_kernels_are_copied_to_a_closed_folder(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    """numba runs what it finds in a folder that it may write."""
    (tmp_path / "shipped" / "of a module").mkdir(parents=True)
    (tmp_path / "shipped" / "of a module" / "kernel.nbi").write_text("compiled")
    (tmp_path / "shipped" / "of a module" / "kernel.nbi").chmod(0o444)
    folders = {"LIGHTBOX_KERNELS": str(tmp_path / "shipped"), "NUMBA_CACHE_DIR": str(tmp_path / "own")}
    result = start(root, home, stub, tmp_path / "absent", **folders)
    assert (tmp_path / "own" / "of a module" / "kernel.nbi").read_text() == "compiled"
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert result.stderr == f"kernels: {tmp_path / 'own'}\n"


def test_a_folder_that_is_there_is_not_used(root: Path, home: Path, stub: Path, tmp_path: Path) -> None:
    """Somebody else may have made it: the server starts without, and says so."""
    for name in ("shipped", "own"):
        (tmp_path / name).mkdir()
    (tmp_path / "shipped" / "kernel.nbi").write_text("compiled")
    folders = {"LIGHTBOX_KERNELS": str(tmp_path / "shipped"), "NUMBA_CACHE_DIR": str(tmp_path / "own")}
    result = start(root, home, stub, tmp_path / "absent", **folders)
    assert list((tmp_path / "own").iterdir()) == []
    assert "compiled when used" in result.stderr
    assert "kernels: none" in result.stderr
    assert result.stdout.startswith("-P -m jupyterhub.singleuser")
