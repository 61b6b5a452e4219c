"""Bringing a workspace up and down: everything ``lightbox up`` does between two lines of its output."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_config.compute.spawners.engine import Engine
from hub_config.compute.spawners.runtime import publish_runtime
from hub_config.compute.workspace_image import ensure_image
from hub_config.errors import LightboxError, ServiceError, StateError
from hub_config.instance import Instance, open_instance, running_instance, store_image, store_settings
from hub_config.paths import ROOT, VENV
from hub_config.processes import ProcessRef, end_processes, processes_of_user
from hub_config.services import node
from hub_config.services.demo import seed_demo
from hub_config.services.supervisor import end_leftovers, is_running, read_status
from hub_config.settings import Settings

Say = Callable[[str], None]
_UP_SECONDS = 180.0
_DOWN_SECONDS = 120.0


def resolve_spawner(settings: Settings, say: Say) -> Settings:
    """Turn ``auto`` into what this machine can do, and refuse what it cannot.

    Raises
    ------
    ServiceError
        Containers are asked for (or needed in production) and no engine answers.
    """
    choice = settings.spawner
    if choice != "process":
        try:
            Engine().close()
            choice = "docker"
        except ServiceError as error:
            if choice == "docker" or settings.mode == "production":
                raise
            say(f"{error} Until then servers run as processes: a demonstration without isolation.")
            choice = "process"
    return settings.model_copy(update={"spawner": choice})


def bring_up(settings: Settings, say: Say) -> Instance:
    """Prepare and start a workspace; return when people can log in.

    What runs already is left alone. Killed at any point, it can be run again.

    Raises
    ------
    LightboxError
        With the reason and what to do.
    """
    with _one_at_a_time(settings):
        if is_running(settings.state):
            instance = running_instance(settings.state)
            _wait_ready(instance, say)
            return instance
        instance = prepare(settings, say)
        say("Starting the hub")
        _start_supervisor(instance)
        _wait_ready(instance, say)
        return instance


def prepare(settings: Settings, say: Say) -> Instance:
    """Do all that must be there before the parts can start."""
    settings = resolve_spawner(settings, say)
    instance = open_instance(settings)
    end_leftovers(settings.state)
    check_port(settings.bind, settings.port)
    for folder in (node.PROXY, *((node.DEV_IDP,) if settings.uses_dev_idp else ())):
        if not node.is_installed(folder):
            say(f"Installing Node packages of {folder.name} from npm")
            node.install(folder)
    if settings.spawner == "docker":
        store_image(instance, ensure_image(ROOT, say).name)
    else:
        check_reachable(instance)
        publish_runtime(instance)
    seed_demo(instance, say)
    store_settings(settings)
    return instance


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    open_instance(settings)
    with (settings.state / "run" / "up.lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"Another `lightbox up` is at work in {settings.state}: wait for it to end.") from None
        yield


def check_port(address: str, port: int) -> None:
    """Refuse a port that somebody else holds.

    Raises
    ------
    StateError
        Naming the program that holds it, where that can be seen.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            holder = _port_holder(port)
            by = f" by {holder}" if holder else ""
            raise StateError(
                f"Port {port} on {address} cannot be used: {str(error.strerror).lower()}{by}. "
                "Choose another with --port, for example: ./lightbox up --port 8080"
            ) from error


def _port_holder(port: int) -> str | None:
    """Return name and number of the process that listens on ``port``, if this account may see it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        file = Path("/proc/net") / table
        lines = file.read_text(encoding="ascii").splitlines()[1:] if file.exists() else []
        rows = [line.split() for line in lines]
        inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            links = {str(link.readlink()) for link in (process / "fd").iterdir()}
            if links & {f"socket:[{inode}]" for inode in inodes}:
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return None


def check_reachable(instance: Instance) -> None:
    """Refuse, as root, folders that the unprivileged users of process servers cannot reach.

    Raises
    ------
    StateError
        Naming the folder that is closed.
    """
    if os.geteuid() != 0:
        return
    for place in (instance.state, VENV, (VENV / "bin" / "python").resolve()):
        closed = next((p for p in (place, *place.parents) if not p.stat().st_mode & 0o001), None)
        if closed is not None:
            raise StateError(
                f"Run by root, process servers run as unprivileged users, and these cannot reach {place}: "
                f"{closed} is closed to others. Choose a --state below a folder that others may pass, for example "
                "/var/lib/lightbox, or run Lightbox as an ordinary user."
            )


def _start_supervisor(instance: Instance) -> None:
    (instance.run / "status.json").unlink(missing_ok=True)
    with (instance.logs / "supervisor.log").open("ab") as stream:
        subprocess.Popen(
            [sys.executable, "-m", "hub_config.services.supervisor", str(instance.state)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_ready(instance: Instance, say: Say) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    told: set[str] = set()
    while time.monotonic() < deadline:
        status = read_status(instance.state)
        for service in status.get("services", []):
            if service["state"] == "ready" and service["name"] not in told:
                told.add(service["name"])
                say(f"{service['name']} is ready")
        if status.get("phase") == "ready":
            return
        if status.get("phase") == "failed":
            raise ServiceError(status["message"])
        if status and not is_running(instance.state):
            raise ServiceError(f"The supervisor ended. Its log: {instance.logs / 'supervisor.log'}")
        time.sleep(0.1)
    raise ServiceError(f"The workspace was not ready after {_UP_SECONDS:.0f} s. Logs: {instance.logs}")


def bring_down(state: Path, say: Say) -> bool:
    """Stop everything an instance runs; return whether anything ran. Homes and data stay.

    Raises
    ------
    ServiceError
        The supervisor does not end.
    """
    instance = running_instance(state)
    ran = is_running(state)
    if ran:
        say("Stopping servers and services")
        _stop_supervisor(state)
    ran = bool(end_leftovers(state)) or ran
    return bool(_remove_servers(instance)) or ran


def _stop_supervisor(state: Path) -> None:
    pid = int((state / "run" / "supervisor.pid").read_text(encoding="ascii"))
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while is_running(state):
        if time.monotonic() > deadline:
            raise ServiceError(f"The supervisor (process {pid}) did not end within {_DOWN_SECONDS:.0f} s.")
        time.sleep(0.1)


def _remove_servers(instance: Instance) -> int:
    """Remove what the hub could not: servers of a hub that was killed, and the network."""
    if instance.settings.spawner == "docker":
        try:
            engine = Engine()
        except ServiceError:
            return 0
        removed = engine.remove_servers(instance.name)
        engine.remove_network(instance.name)
        engine.close()
        return removed
    servers = instance.run / "servers"
    left = _leftover_processes(servers)
    end_processes(left, 10.0)
    shutil.rmtree(servers, ignore_errors=True)
    return len(left)


def _leftover_processes(servers: Path) -> list[ProcessRef]:
    left: list[ProcessRef] = []
    for file in servers.glob("*/process"):
        pid, started, uid = (int(part) for part in file.read_text(encoding="ascii").split())
        left.append(ProcessRef(pid, started))
        left += processes_of_user(uid) if uid >= 0 else []
    return [ref for ref in left if ref.alive()]


def purge(state: Path, say: Say) -> None:
    """Stop an instance and delete all that is its own: homes, data, store, audit trail.

    Raises
    ------
    LightboxError
        Something cannot be stopped or deleted.
    """
    instance = running_instance(state)
    bring_down(state, say)
    if instance.settings.spawner == "docker":
        engine = Engine()
        engine.remove_homes(instance.name)
        engine.close()
    for folder in (instance.datasets, *instance.datasets.rglob("*")):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)
    try:
        shutil.rmtree(state)
    except OSError as error:
        raise LightboxError(f"{state} cannot be deleted: {error}.") from error
