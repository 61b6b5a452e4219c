"""Fixtures for all tests: places that other accounts may pass, free ports, nothing left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.support.workspace import free_port
from hub_config.compute.spawners.engine import Engine
from hub_config.errors import LightboxError
from hub_config.settings import Settings

CHROMIUM = "/usr/bin/chromium"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say why, what this machine cannot run."""
    missing = {
        "docker": None if _engine_answers() else "no Docker engine answers here",
        "browser": None if Path(CHROMIUM).exists() else f"{CHROMIUM} is not installed",
        "gpu": None if Path("/dev/nvidiactl").exists() else "this machine has no GPU",
    }
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        for marker, reason in missing.items():
            if reason and marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


def _group(item: pytest.Item) -> str:
    """Return what a test shares with others: tests of a group run one after the other in one process."""
    assert isinstance(item, pytest.Function)
    kind = getattr(item, "callspec", None)
    names = {*item.fixturenames, f"{kind.params.get('workspace', '')}_workspace" if kind else ""}
    shared = names & {"process_workspace", "docker_workspace", "cohort", "image"}
    return "+".join(sorted(shared)) or item.nodeid


def _engine_answers() -> bool:
    try:
        Engine().close()
    except LightboxError:
        return False
    return True


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory that unprivileged users may pass (pytest's own are closed), removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lightbox-test-"))
    folder.chmod(0o711)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def settings(state: Path) -> Settings:
    """Demonstration settings in a fresh state directory."""
    return Settings(state=state, port=free_port())
