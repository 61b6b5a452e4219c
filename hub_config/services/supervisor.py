"""One supervisor: starts the parts in order, keeps them running, ends them in reverse order.

It holds a lock while it runs and writes what it does to ``run/status.json``, from which ``up`` shows progress
and ``status`` reads. Every child is written down with its start time, so that whatever a crash leaves behind
is found and ended by the next ``up`` or ``down``.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from hub_config.errors import LightboxError, ServiceError, StateError
from hub_config.files import write_atomic
from hub_config.instance import Instance, running_instance
from hub_config.processes import ProcessRef, end_processes
from hub_config.services.hub import SUPERVISOR
from hub_config.services.ports import check_port
from hub_config.services.spec import ServiceSpec, registered_services

log = logging.getLogger("lightbox.supervisor")

_READY_SECONDS = 90.0
_STOP_SECONDS = 15.0
_TICK_SECONDS = 0.1
_LOG_LIMIT = 16 << 20
_BACKOFF_LIMIT = 30.0
_LOCK_SECONDS = 2.0
_STABLE_SECONDS = 60.0


@dataclass
class Child:
    """A part that runs, or is about to be started again."""

    spec: ServiceSpec
    process: subprocess.Popen[bytes] | None = None
    ref: ProcessRef | None = None
    state: str = "waiting"  # waiting, starting, ready, failed
    restarts: int = 0
    started_at: float = 0.0
    next_start: float = 0.0
    untold: bool = False  # it was started again, and who relies on it has not been told


@contextmanager
def supervisor_lock(instance: Instance, handed: int | None = None) -> Iterator[int]:
    """Hold the instance; the lock goes with the process, however that ends. Yields its file descriptor.

    Parameters
    ----------
    instance : Instance
    handed : int, optional
        Descriptor on which the parent process has taken the lock already. The two share it (flock(2)), so that
        there is no moment, between a parent that is killed and a child that starts, at which nobody holds it.

    Raises
    ------
    StateError
        Another supervisor holds it.
    """
    with (instance.run / "supervisor.lock").open("a") if handed is None else os.fdopen(handed, "a") as stream:
        deadline = time.monotonic() + _LOCK_SECONDS  # somebody may just be looking: see is_running
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StateError(f"A workspace already runs in {instance.state}.") from None
                time.sleep(_TICK_SECONDS)
        yield stream.fileno()


def is_running(state: Path) -> bool:
    """Whether a supervisor holds the instance in ``state``."""
    file = state / "run" / "supervisor.lock"
    if not file.exists():
        return False
    with file.open("rb") as stream:
        try:
            # Shared, so that two who look do not take each other for the supervisor.
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_status(state: Path) -> dict[str, Any]:
    """Return what the supervisor wrote last; empty when there is nothing."""
    try:
        content = json.loads((state / "run" / "status.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def end_leftovers(state: Path) -> int:
    """End the children that an earlier supervisor left behind; return how many there were."""
    written = [child["process"] for child in read_status(state).get("services", []) if child["process"]]
    left = [ref for ref in (ProcessRef(*pair) for pair in written) if ref.alive()]
    end_processes(left, _STOP_SECONDS)
    return len(left)


class Supervisor:
    """Keeps the parts of one instance running.

    Parameters
    ----------
    instance : Instance
    specs : list of ServiceSpec
        In starting order.
    """

    def __init__(self, instance: Instance, specs: list[ServiceSpec]) -> None:
        self.instance = instance
        self.children = [Child(spec) for spec in specs]
        self.phase = "starting"
        self.message = ""
        self._stop = threading.Event()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start everything, call ``when_ready``, and stay until asked to stop.

        Raises
        ------
        ServiceError
            A part does not become ready; everything started is ended again.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            for child in self.children:
                self._bring_up(child)
            if not self._stop.is_set():
                self._enter("ready")
                when_ready()
            while not self._stop.is_set():
                self._watch()
                self._stop.wait(_TICK_SECONDS)
        except LightboxError as error:
            self._shut_down("failed", str(error))
            raise
        except BaseException:
            self._shut_down("failed", "The supervisor was ended.")
            raise
        self._shut_down("stopped", "")

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stop.set()

    def _bring_up(self, child: Child) -> None:
        if self._stop.is_set():
            return
        if child.spec.port is not None:
            check_port(child.spec.address, child.spec.port)  # else a stranger on it would be taken for the part
        self._launch(child)
        deadline = time.monotonic() + _READY_SECONDS
        while not is_healthy(child.spec):
            if self._stop.is_set():
                return
            if child.process is None or child.process.poll() is not None:
                raise ServiceError(f"{child.spec.name} ended while starting.\n{self._last_words(child)}")
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{child.spec.name} was not ready after {_READY_SECONDS:.0f} s.\n{self._last_words(child)}"
                )
            self._stop.wait(_TICK_SECONDS)
        child.state = "ready"
        self._enter(self.phase)

    def _launch(self, child: Child) -> None:
        spec = child.spec
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.environ.get("HOME", str(self.instance.state)),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **{name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ},
            **spec.environment,
        }
        with self._open_log(spec.name) as stream:
            child.process = subprocess.Popen(
                spec.command,
                env=environment,
                cwd=self.instance.state,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.ref = ProcessRef.of(child.process.pid)
        child.state, child.started_at = "starting", time.monotonic()
        self._enter(self.phase)

    def _watch(self) -> None:
        """Look at each child once: start again what has ended, later each time it ends soon."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                soon = now - child.started_at < _STABLE_SECONDS
                child.restarts = child.restarts + 1 if soon else 1
                delay = min(_BACKOFF_LIMIT, 0.5 * 2 ** (child.restarts - 1))
                log.warning(
                    "%s ended with status %s; started again in %.1f s",
                    child.spec.name,
                    child.process.returncode,
                    delay,
                )
                child.process, child.state, child.next_start = None, "failed", now + delay
                child.untold = child.spec.back is not None
                self._enter(self.phase)
            elif child.process is None and now >= child.next_start:
                self._launch_again(child)
            elif child.state == "starting" and is_healthy(child.spec):
                child.state = "ready"
                self._enter(self.phase)
            elif child.state == "ready" and child.untold:
                child.untold = not self._tell(child.spec.back or "")

    def _launch_again(self, child: Child) -> None:
        """Start a part once more; what the system refuses now is tried again later."""
        try:
            self._launch(child)
        except OSError as error:
            log.warning("%s could not be started: %s", child.spec.name, error)
            child.process, child.state = None, "failed"
            child.next_start = time.monotonic() + _BACKOFF_LIMIT

    def _tell(self, url: str) -> bool:
        """POST to the hub as the supervisor; return whether it was taken."""
        token = {"Authorization": f"token {self.instance.secret(SUPERVISOR)}"}
        try:
            return httpx.post(url, headers=token, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _shut_down(self, outcome: str, message: str) -> None:
        self._enter("stopping")
        self._stop_servers()
        for child in reversed(self.children):
            if child.process is not None and child.ref is not None:
                end_processes([child.ref], _STOP_SECONDS)
                child.process.wait()
            child.process = child.ref = None
            child.state = "waiting"
        self._enter(outcome, message)

    def _stop_servers(self) -> None:
        """Ask the hub to stop every server and itself, so that each stop is recorded."""
        hub = next((child for child in self.children if child.spec.name == "hub" and child.state == "ready"), None)
        if hub is None or not hub.process:
            return
        url = f"http://{hub.spec.address}:{hub.spec.port}/hub/api/shutdown"
        token = {"Authorization": f"token {self.instance.secret(SUPERVISOR)}"}
        try:
            answer = httpx.post(url, json={"proxy": False, "servers": True}, headers=token, timeout=10, trust_env=False)
            answer.raise_for_status()
            hub.process.wait(timeout=60)
        except (httpx.HTTPError, subprocess.TimeoutExpired) as error:
            log.warning("the hub did not stop the servers: %s", error)

    def _open_log(self, name: str) -> IO[bytes]:
        file = self.instance.logs / f"{name}.log"
        if file.exists() and file.stat().st_size > _LOG_LIMIT:
            file.replace(file.with_suffix(".log.1"))
        return file.open("ab")

    def _last_words(self, child: Child) -> str:
        file = self.instance.logs / f"{child.spec.name}.log"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-12:] if file.exists() else []
        return "\n".join([f"The last lines of {file}:", *lines])

    def _enter(self, phase: str, message: str = "") -> None:
        self.phase, self.message = phase, message
        content = {
            "phase": phase,
            "message": message,
            "url": self.instance.settings.url,
            "services": [
                {
                    "name": child.spec.name,
                    "state": child.state,
                    "restarts": child.restarts,
                    "process": [child.ref.pid, child.ref.started] if child.ref else None,
                }
                for child in self.children
            ],
        }
        try:
            write_atomic(self.instance.run / "status.json", json.dumps(content), mode=0o600)
        except OSError as error:  # a full disk must not keep the parts from being watched and ended
            log.warning("the status cannot be written: %s", error)


def is_healthy(spec: ServiceSpec) -> bool:
    """Whether a part answers; a refusal (4xx) is an answer too."""
    if spec.health is None:
        return True
    try:
        return httpx.get(spec.health, timeout=2, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def main(state: Path, when_ready: Callable[[], None] = lambda: None, lock: int | None = None) -> int:
    """Run the supervisor of the instance in ``state`` until it is told to stop; return the exit status.

    ``lock`` is the descriptor that `supervisor_lock` gave the process that starts this one.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    instance = running_instance(state)
    try:
        with supervisor_lock(instance, lock):
            write_atomic(instance.run / "supervisor", json.dumps(vars(ProcessRef.of(os.getpid()))))
            end_leftovers(state)
            Supervisor(instance, registered_services(instance)).run(when_ready)
    except LightboxError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), lock=int(sys.argv[2])))
