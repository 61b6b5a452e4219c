"""Bringing a workspace up and down: everything ``lightbox up`` does between two lines of its output."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_config.compute.spawners.engine import Engine
from hub_config.compute.spawners.runtime import ServerNote, publish_runtime
from hub_config.compute.workspace_image import ensure_image, image_tag
from hub_config.errors import ServiceError, StateError
from hub_config.instance import Instance, open_instance, own_paths, running_instance, store_image, store_settings
from hub_config.paths import ROOT, VENV
from hub_config.processes import ProcessRef
from hub_config.services import node
from hub_config.services.demo import seed_demo
from hub_config.services.ports import check_port
from hub_config.services.supervisor import end_leftovers, is_running, read_status, supervisor_lock
from hub_config.settings import Settings, load_settings

Say = Callable[[str], None]
_UP_SECONDS = 180.0
_DOWN_SECONDS = 180.0
_SERVER_SECONDS = 10.0


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
    if is_running(settings.state):
        instance = running_instance(settings.state)
        _wait_ready(instance, say, None)
        return instance
    instance = prepare(settings, say)
    say("Starting the hub")
    _wait_ready(instance, say, _start_supervisor(instance))
    return instance


def prepare(settings: Settings, say: Say) -> Instance:
    """Do all that must be there before the parts can start; one at a time for a state directory.

    Raises
    ------
    LightboxError
        With the reason and what to do.
    """
    settings = resolve_spawner(settings, say)
    instance = open_instance(settings)
    _refuse_demo_of_production(settings)
    with _one_at_a_time(settings):
        _prepare(instance, say)
    return instance


def _refuse_demo_of_production(settings: Settings) -> None:
    file = settings.state / "run" / "settings.json"
    if file.exists() and settings.mode == "demo" and load_settings(file).mode == "production":
        raise StateError(
            f"{settings.state} holds a production workspace: as a demonstration, anybody could be anyone in it. "
            "Name its settings file with --config, or choose another --state."
        )


def _prepare(instance: Instance, say: Say) -> None:
    settings = instance.settings
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
        store_image(instance, image_tag(ROOT))
        publish_runtime(instance)
    seed_demo(instance, say)
    store_settings(settings)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    with (settings.state / "run" / "up.lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"Another `lightbox up` is at work in {settings.state}: wait for it to end.") from None
        yield


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


def _start_supervisor(instance: Instance) -> subprocess.Popen[bytes] | None:
    """Start the supervisor, holding its lock for it; None where another `up` was quicker."""
    try:
        with supervisor_lock(instance) as lock, (instance.logs / "supervisor.log").open("ab") as stream:
            (instance.run / "status.json").unlink(missing_ok=True)
            return subprocess.Popen(
                [sys.executable, "-m", "hub_config.services.supervisor", str(instance.state), str(lock)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],
            )
    except StateError:
        return None


def _wait_ready(instance: Instance, say: Say, supervisor: subprocess.Popen[bytes] | None) -> None:
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
        if not is_running(instance.state) if supervisor is None else supervisor.poll() is not None:
            lines = (instance.logs / "supervisor.log").read_text(encoding="utf-8", errors="replace").splitlines()
            raise ServiceError("\n".join(["The supervisor ended. The last lines of its log:", *lines[-8:]]))
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
    return bool(_remove_servers(instance, say)) or ran


def _stop_supervisor(state: Path) -> None:
    supervisor: ProcessRef | None = None
    deadline = time.monotonic() + _DOWN_SECONDS
    while is_running(state):
        if supervisor is None and (supervisor := _supervisor(state)):
            os.kill(supervisor.pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            raise ServiceError(f"The supervisor did not end within {_DOWN_SECONDS:.0f} s: {supervisor}.")
        time.sleep(0.1)


def _supervisor(state: Path) -> ProcessRef | None:
    """Return the supervisor if it has written itself down and is the process of that number."""
    try:
        found = ProcessRef(**json.loads((state / "run" / "supervisor").read_text(encoding="ascii")))
    except (FileNotFoundError, ValueError):
        return None
    return found if found.alive() else None


def _remove_servers(instance: Instance, say: Say) -> int:
    """Remove what the hub could not: servers of a hub that was killed, of either spawner, and the network."""
    removed = 0
    try:
        engine = Engine()
        removed = engine.remove_servers(instance.name)
        engine.remove_network(instance.name)
        engine.close()
    except ServiceError:
        if instance.settings.spawner == "docker":
            say("The Docker engine does not answer: containers of this instance may still run there.")
    servers = instance.run / "servers"
    notes = [note for file in servers.glob("*/process") if (note := ServerNote.read(file))]
    removed += sum(note.end(_SERVER_SECONDS) for note in notes)
    shutil.rmtree(servers, ignore_errors=True)
    return removed


def purge(state: Path, say: Say) -> None:
    """Stop an instance and delete all that is its own: homes, data, store, audit trail.

    Raises
    ------
    LightboxError
        Something cannot be stopped or deleted.
    """
    instance = running_instance(state)
    bring_down(state, say)
    try:
        engine = Engine()
        engine.remove_homes(instance.name)
        engine.close()
    except ServiceError:
        if instance.settings.spawner == "docker":
            raise
    for folder in (instance.datasets, *instance.datasets.rglob("*")):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)
    try:
        for path in own_paths(state):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not any(state.iterdir()):
            state.rmdir()
    except OSError as error:
        raise StateError(f"{state} cannot be emptied: {error}.") from error
