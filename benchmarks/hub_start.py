"""Seconds from the click on "log in" to the first result of a kernel, and memory, for processes and containers.

One warm-up, then the median of ten rounds. Each round is a new login, a new server and a new kernel; the clock runs
from the request for the login page to the output of ``print(1 + 1)``. Memory is USS (private pages: what ending
the process would free) of the hub, and of everything in one person's server before a kernel starts.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support.visitor import Visitor
from benchmarks.support.workspace import Workspace, docker, remove_workspace, start_workspace
from hub_config.compute.spawners.runtime import ServerNote
from hub_config.services.supervisor import read_status

ROUNDS = 10
PROJECT = "prostate-ai"
SETTINGS: dict[str, Any] = {"demo_patients": 1}
_PHASES = ("login", "server_ready", "lab_answers", "first_result")


def main() -> None:
    """Measure both spawners and print one JSON object."""
    result = {spawner: measure(spawner) for spawner in ("process", "docker")}
    sys.stdout.write(json.dumps(result) + "\n")


def measure(spawner: str) -> dict[str, Any]:
    """Return the figures of one spawner."""
    workspace = start_workspace(spawner, **SETTINGS)
    try:
        one_round(workspace)
        rounds = [one_round(workspace) for _ in range(ROUNDS)]
    finally:
        remove_workspace(workspace)
    return {
        "login_to_kernel_seconds": _median(rounds, "total"),
        "hub_mb": _median(rounds, "hub_mb"),
        "server_mb": _median(rounds, "server_mb"),
        # Seconds that each step adds: where the time goes.
        "phases": {phase: _median(rounds, phase) for phase in _PHASES},
        "slowest_seconds": round(max(values["total"] for values in rounds), 3),
        "rounds": ROUNDS,
    }


def one_round(workspace: Workspace) -> dict[str, float]:
    """Log in, start, enter, compute; return the seconds of each step and the memory before the kernel."""
    with Visitor(workspace.url, "researcher") as rosa:
        first: tuple[Callable[[], object], ...] = (
            rosa.login,
            lambda: rosa.start(PROJECT),
            lambda: rosa.enter(PROJECT),
        )
        seconds = [_seconds(step) for step in first]
        hub, server = memory_mb(workspace, rosa.username)
        seconds.append(_seconds(lambda: rosa.run(PROJECT, "print(1 + 1)")))
        rosa.stop(PROJECT)
    return {**dict(zip(_PHASES, seconds, strict=True)), "total": sum(seconds), "hub_mb": hub, "server_mb": server}


def _seconds(step: Callable[[], object]) -> float:
    began = time.monotonic()
    step()
    return time.monotonic() - began


def memory_mb(workspace: Workspace, username: str) -> tuple[float, float]:
    """Return the private memory of the hub and of a person's server."""
    hub = next(s for s in read_status(workspace.state)["services"] if s["name"] == "hub")
    return uss_mb([hub["process"][0]]), uss_mb(tree(server_pid(workspace, username)))


def server_pid(workspace: Workspace, username: str) -> int:
    """Return the first process of a person's server."""
    name = f"{workspace.instance.name}-{username}-{PROJECT}"
    if workspace.spawner == "docker":
        return int(docker("container", "inspect", "--format", "{{.State.Pid}}", name))
    note = ServerNote.read(workspace.state / "run" / "servers" / name / "process")
    if note is None:
        raise RuntimeError(f"no process server {name} is written down")
    return note.process.pid


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def uss_mb(pids: list[int]) -> float:
    """Return the private memory of processes in MB (10^6 bytes), from /proc/pid/smaps_rollup."""
    total = 0
    for pid in pids:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total * 1024 / 1e6


def _median(rounds: list[dict[str, float]], name: str) -> float:
    return round(statistics.median(values[name] for values in rounds), 3)


if __name__ == "__main__":
    main()
