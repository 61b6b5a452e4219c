"""A running workspace per spawner, shared by the tests of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.workspace import Workspace, remove_workspace, start_workspace
from hub_config.paths import ROOT

SETTINGS: dict[str, Any] = {
    "demo_patients": 1,
    "contact": "help@lightbox.example",
    "profiles": [
        {"id": "standard", "title": "Standard", "cpu": 2, "memory_gib": 1, "shm_gib": 0.25, "pids": 256},
        {"id": "gpu", "title": "GPU", "gpus": 1, "roles": ["modellers"]},
        {"id": "ghost", "title": "Ghost", "image": "lightbox/no-such-image:0", "memory_gib": 1},
    ],
}


@pytest.fixture(scope="session")
def process_workspace() -> Iterator[Workspace]:
    """A workspace whose servers are processes."""
    workspace = start_workspace("process", **SETTINGS)
    yield workspace
    remove_workspace(workspace)


@pytest.fixture(scope="session")
def docker_workspace() -> Iterator[Workspace]:
    """A workspace whose servers are containers."""
    workspace = start_workspace("docker", **SETTINGS)
    yield workspace
    remove_workspace(workspace)


@pytest.fixture(
    params=[
        pytest.param("process", marks=pytest.mark.slow),
        pytest.param("docker", marks=[pytest.mark.slow, pytest.mark.docker]),
    ]
)
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """Each workspace in turn."""
    found = request.getfixturevalue(f"{request.param}_workspace")
    assert isinstance(found, Workspace)
    return found


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real DICOM, or skip."""
    folder = Path(os.environ.get("LIGHTBOX_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "prostatex").is_dir():
        pytest.skip(f"no real DICOM in {folder}: set LIGHTBOX_DATA")
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: to the folder LIGHTBOX_PICTURES for people to look at, else away."""
    named = os.environ.get("LIGHTBOX_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
