"""A running workspace per spawner, started by the command a person types, removed without trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.support.visitor import Visitor
from hub_config.instance import Instance, running_instance
from hub_config.paths import ROOT
from hub_config.record.audit import AuditTrail
from hub_config.record.events import AnyEvent
from tests.conftest import free_port

SETTINGS: dict[str, Any] = {
    "demo_patients": 1,
    "contact": "help@lightbox.example",
    "profiles": [
        {"id": "standard", "title": "Standard", "cpu": 2, "memory_gib": 1, "shm_gib": 0.25, "pids": 256},
        {"id": "gpu", "title": "GPU", "gpus": 1, "roles": ["modellers"]},
        {"id": "ghost", "title": "Ghost", "image": "lightbox/no-such-image:0", "memory_gib": 1},
    ],
}


@dataclass(frozen=True)
class Workspace:
    """A workspace under test."""

    url: str
    state: Path
    spawner: str

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``lightbox`` against this workspace."""
        return lightbox(*arguments, "--state", str(self.state), check=check)

    @property
    def instance(self) -> Instance:
        """The instance, to look behind the pages."""
        return running_instance(self.state)

    def visitor(self, persona: str) -> Visitor:
        """Return somebody who has logged in."""
        visitor = Visitor(self.url, persona)
        visitor.login()
        return visitor

    def events(self, kind: str) -> list[AnyEvent]:
        """Return the recorded events of a kind."""
        found = AuditTrail(self.instance.audit_file).events()
        return [event for event in found if not isinstance(event, str) and event.type == kind]


def lightbox(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does."""
    command = [sys.executable, "-m", "hub_config.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def start_workspace(spawner: str, **changes: Any) -> Workspace:
    """Start a workspace in a new state directory."""
    state = Path(tempfile.mkdtemp(prefix=f"lightbox-{spawner}-"))
    state.chmod(0o711)
    (state / "lightbox.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    answer = lightbox("up", "--spawner", spawner, "--port", str(free_port()), "--state", str(state), "--json")
    return Workspace(json.loads(answer.stdout)["url"], state, spawner)


def remove_workspace(workspace: Workspace) -> None:
    """Stop a workspace, delete its state, and check that nothing is left on the machine."""
    prefix = workspace.instance.name
    workspace.run("down", "--purge", "--yes")
    assert not workspace.state.exists()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    left = [line for line in listed.splitlines() if prefix in line or str(workspace.state) in line]
    assert left == []
    if workspace.spawner == "docker":
        for kind in ("container ls -a", "network ls", "volume ls"):
            assert prefix not in docker(*kind.split())


def docker(*arguments: str) -> str:
    """Ask the engine, by its own command line."""
    program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def process_workspace() -> Iterator[Workspace]:
    """A workspace whose servers are processes."""
    workspace = start_workspace("process")
    yield workspace
    remove_workspace(workspace)


@pytest.fixture(scope="session")
def docker_workspace() -> Iterator[Workspace]:
    """A workspace whose servers are containers."""
    workspace = start_workspace("docker")
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
def pictures() -> Path:
    """Where screenshots go: looked at by people, kept out of the checkout."""
    folder = Path(os.environ.get("LIGHTBOX_PICTURES", tempfile.gettempdir() + "/lightbox-pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
