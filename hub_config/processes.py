"""Processes of this machine, told apart from later ones that were given the same number."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessRef:
    """A process: its number and when it started, in clock ticks since boot (proc(5), /proc/pid/stat field 22)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessRef | None:
        """Return the process that has the number ``pid`` now, or None."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields else None

    def alive(self) -> bool:
        """Whether it still runs; one that only waits to be reaped does not."""
        fields = _stat(self.pid)
        return fields is not None and int(fields[19]) == self.started and fields[0] != "Z"


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/pid/stat from the third on; the second, the name, may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def processes_of_user(uid: int) -> list[ProcessRef]:
    """Return the processes that run as ``uid``."""
    found = []
    for entry in _PROC.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and entry.stat().st_uid == uid and (ref := ProcessRef.of(int(entry.name))):
                found.append(ref)
    return found


def end_processes(processes: Iterable[ProcessRef], seconds: float) -> None:
    """Ask processes to end, wait up to ``seconds`` for all of them, then kill the rest and wait for that."""
    left = [process for process in processes if process.alive()]
    for chosen, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        _signal(left, chosen)
        deadline = time.monotonic() + limit
        for process in left:
            _wait(process, deadline)
        left = [process for process in left if process.alive()]


def _signal(processes: list[ProcessRef], chosen: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, chosen)


def _wait(process: ProcessRef, deadline: float) -> None:
    """Wait until the process has ended or the deadline has passed."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process.alive():
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(descriptor)
