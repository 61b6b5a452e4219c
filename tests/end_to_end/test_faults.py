"""What goes wrong, on real parts: each fault once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.support.visitor import Visitor
from benchmarks.support.workspace import Workspace, free_port, lightbox, remove_workspace, start_workspace
from hub_config.compute.spawners.runtime import ServerNote
from hub_config.paths import ROOT
from hub_config.processes import ProcessRef
from hub_config.services.supervisor import is_running, read_status
from tests.end_to_end.conftest import SETTINGS

pytestmark = pytest.mark.slow


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for a condition; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("the condition did not come true in time")


def healthy(url: str) -> bool:
    """Whether the hub answers through its proxy."""
    try:
        return httpx.get(f"{url}/hub/health", trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def service(workspace: Workspace, name: str) -> ProcessRef:
    """Return the process of a part."""
    found = next(s for s in read_status(workspace.state)["services"] if s["name"] == name)
    return ProcessRef(*found["process"])


@contextlib.contextmanager
def temporary(**changes: Any) -> Iterator[Workspace]:
    """A workspace of one test's own."""
    workspace = start_workspace("process", **{**SETTINGS, **changes})
    try:
        yield workspace
    finally:
        remove_workspace(workspace)


@pytest.mark.parametrize("part", ["hub", "proxy"])
def test_a_killed_part_comes_back_and_the_server_runs_on(process_workspace: Workspace, part: str) -> None:
    """After kill -9 of hub or proxy the same server answers again, without a new login or start."""
    with process_workspace.visitor("researcher") as rosa:
        rosa.start("prostate-ai")
        rosa.enter("prostate-ai")
        before = service(process_workspace, part)
        prefix = f"/user/{rosa.username}/prostate-ai"
        started = rosa.get(f"{prefix}/api/status").json()["started"]
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: not before.alive() and healthy(process_workspace.url))
        until(lambda: rosa.get(f"{prefix}/api/status").status_code == 200)
        assert rosa.get(f"{prefix}/api/status").json()["started"] == started
        rosa.stop("prostate-ai")


def test_a_provider_that_is_down_is_said_and_harms_nobody_else() -> None:
    """The hub starts without the provider; login answers 503 in words, with a way to try again."""
    secret = Path(ROOT / ".venv" / "test-secret")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        issuer = f"http://127.0.0.1:{closed.getsockname()[1]}/oidc/"
        secret.write_text("s")
        secret.chmod(0o600)
        try:
            with temporary(identity={"issuer": issuer, "client_secret_file": str(secret)}) as workspace:
                page = httpx.get(f"{workspace.url}/hub/oauth_login", trust_env=False, timeout=30)
                assert page.status_code == 503
                assert "Life Science Login is not answering" in page.text
                assert "ry again" in page.text
                assert issuer not in page.text
                assert healthy(workspace.url)
        finally:
            secret.unlink()


def test_a_provider_that_ends_is_started_again(process_workspace: Workspace) -> None:
    """The demonstration provider is a part like others: killed, it is back for the next login."""
    before = service(process_workspace, "dev-idp")
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: not before.alive() and service(process_workspace, "dev-idp").alive())
    until(lambda: read_status(process_workspace.state)["services"][0]["state"] == "ready")
    with Visitor(process_workspace.url, "researcher") as rosa:
        assert rosa.login().status_code == 200


def test_a_taken_port_stops_up_with_words(state: Path) -> None:
    """`up` names the port, its holder and the way out, and starts nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = lightbox("up", "--spawner", "process", "--port", str(port), "--state", str(state), check=False)
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr
    assert not is_running(state)


def test_an_engine_that_is_asked_for_and_not_there(state: Path) -> None:
    """`--spawner docker` without an engine is exit status 1 with the remedy; with --json it is one object."""
    command = [sys.executable, "-m", "hub_config.cli", "up", "--spawner", "docker", "--state", str(state), "--json"]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No Docker engine answers" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("after", ["Making a synthetic", "Starting the hub"])
def test_up_killed_half_way_can_be_run_again(state: Path, after: str) -> None:
    """Killed while it prepares, or while it starts the parts, the next `up` completes the work."""
    port = str(free_port())
    (state / "lightbox.yaml").write_text(yaml.safe_dump(SETTINGS))
    arguments = ["up", "--spawner", "process", "--port", port, "--state", str(state)]
    with subprocess.Popen(
        [sys.executable, "-m", "hub_config.cli", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stderr is not None
        assert any(after in line for line in first.stderr)
        first.kill()
    lightbox(*arguments)
    workspace = Workspace(f"http://127.0.0.1:{port}", state, "process")
    try:
        with workspace.visitor("researcher") as rosa:
            assert "synthetic-prostate" in json.dumps(json.loads(workspace.run("dataset", "list", "--json").stdout))
            assert "Prostate AI" in rosa.get("/hub/spawn").text
        assert not list(state.glob(".cohort-*"))
    finally:
        workspace.run("down")


def test_a_killed_supervisor_is_replaced(state: Path) -> None:
    """After kill -9 of the supervisor `status` says so, and `up` brings everything back."""
    with temporary() as workspace:
        pid = json.loads((workspace.state / "run" / "supervisor").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_running(workspace.state))
        assert workspace.run("status", check=False).returncode == 1
        workspace.run("up", "--port", workspace.url.rpartition(":")[2], "--spawner", "process")
        assert healthy(workspace.url)


def test_wrong_usage_is_exit_status_two(state: Path) -> None:
    """An unknown option, command or value is not an error of the workspace."""
    for arguments in (["up", "--no-such"], ["no-such"], ["up", "--port", "0"], ["dataset", "add", "x", "/no/such"]):
        assert lightbox(*arguments, check=False).returncode == 2
    assert lightbox("up", "--spawner", "cluster", "--state", str(state), check=False).returncode == 2
    assert lightbox("down", "--state", str(state / "none"), check=False).returncode == 1


def test_a_server_whose_hub_and_supervisor_were_killed_is_ended_by_down() -> None:
    """`down` finds the server by its note, ends it and takes its scratch folder away."""
    with temporary() as workspace:
        with workspace.visitor("researcher") as rosa:
            rosa.start("prostate-ai")
            name = f"{workspace.instance.name}-{rosa.username}-prostate-ai"
        note = ServerNote.read(workspace.state / "run" / "servers" / name / "process")
        assert note is not None
        pid = json.loads((workspace.state / "run" / "supervisor").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        os.kill(service(workspace, "hub").pid, signal.SIGKILL)
        until(lambda: not is_running(workspace.state))
        assert note.process.alive()
        workspace.run("down")
        assert not note.process.alive()
        assert not note.scratch.exists()
