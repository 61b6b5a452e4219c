"""A workspace for a test or a benchmark: started by the command a person types, removed without trace."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.support.visitor import Visitor
from hub_config.instance import Instance, running_instance
from hub_config.paths import ROOT
from hub_config.record.audit import AuditTrail
from hub_config.record.events import AnyEvent


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


def start_workspace(spawner: str, **settings: Any) -> Workspace:
    """Start a workspace with these settings in a new state directory."""
    state = Path(tempfile.mkdtemp(prefix=f"lightbox-{spawner}-"))
    state.chmod(0o711)
    (state / "lightbox.yaml").write_text(yaml.safe_dump(settings))
    arguments = ("--spawner", spawner, "--port", str(free_port()), "--state", str(state), "--json")
    try:
        answer = lightbox("up", *arguments)
    except AssertionError:
        shutil.rmtree(state)
        raise
    return Workspace(json.loads(answer.stdout)["url"], state, spawner)


def remove_workspace(workspace: Workspace) -> None:
    """Stop a workspace, delete its state, and check that nothing is left on the machine."""
    prefix = workspace.instance.name
    (workspace.state / "lightbox.yaml").unlink(missing_ok=True)
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
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(
            f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
