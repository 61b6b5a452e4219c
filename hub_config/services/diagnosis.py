"""What a workspace needs of this machine: each check says what was found and how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hub_config.compute.admission import this_host
from hub_config.compute.profiles import GIB
from hub_config.compute.spawners.engine import Engine
from hub_config.compute.workspace_image import image_tag
from hub_config.errors import LightboxError, RefusedError
from hub_config.instance import running_instance
from hub_config.paths import ROOT
from hub_config.services import node
from hub_config.services.ports import check_port
from hub_config.services.supervisor import is_running

_NEED_DISK = 5 * GIB
_NEED_MEMORY = 3.5 * GIB


@dataclass(frozen=True)
class Finding:
    """One check: ``ok``, ``note`` (works, with less) or ``fault`` (does not work)."""

    check: str
    level: Literal["ok", "note", "fault"]
    found: str
    remedy: str = ""


def diagnose(state: Path) -> list[Finding]:
    """Run all checks for a workspace in ``state``; nothing is changed."""
    checks: tuple[Callable[[Path], Finding], ...] = (
        _python, _node, _engine, _image, _disk, _memory, _state, _port, _user,
    )  # fmt: skip
    return [check(state) for check in checks]


def _python(_state: Path) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok" if sys.version_info >= (3, 11) else "fault", version, "")


def _node(_state: Path) -> Finding:
    try:
        node.node()
    except LightboxError as error:
        return Finding("Node", "fault", "missing", str(error))
    missing = [folder.name for folder in (node.PROXY, node.DEV_IDP) if not node.is_installed(folder)]
    if missing:
        return Finding("Node", "note", f"packages of {', '.join(missing)} not installed", "lightbox up installs them.")
    return Finding("Node", "ok", "with all packages")


def _engine(_state: Path) -> Finding:
    try:
        engine = Engine()
    except LightboxError as error:
        return Finding("Docker engine", "note", "servers will be processes, without isolation", str(error))
    version = engine.client.version()["Version"]
    engine.close()
    return Finding("Docker engine", "ok", f"version {version}")


def _image(_state: Path) -> Finding:
    try:
        engine = Engine()
    except LightboxError:
        return Finding("Workspace image", "note", "no engine to hold it", "See the Docker engine.")
    try:
        image = engine.image(image_tag(ROOT))
    except RefusedError:
        return Finding("Workspace image", "note", "not built yet", "lightbox up builds it, in one to three minutes.")
    finally:
        engine.close()
    return Finding("Workspace image", "ok", image.name)


def _disk(state: Path) -> Finding:
    place = next(p for p in (state, *state.parents) if p.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _NEED_DISK
    remedy = "" if enough else f"Free at least {_NEED_DISK / GIB:.0f} GiB, or choose another --state."
    return Finding("Disk", "ok" if enough else "fault", f"{free / GIB:.1f} GiB free at {place}", remedy)


def _memory(_state: Path) -> Finding:
    host = this_host()
    enough = host.memory_bytes >= _NEED_MEMORY
    remedy = "" if enough else "Profiles that need more are shown as unavailable; define smaller ones."
    return Finding(
        "Memory and CPU",
        "ok" if enough else "note",
        f"{host.memory_bytes / GIB:.0f} GiB, {host.cpus} cores",
        remedy,
    )


def _state(state: Path) -> Finding:
    place = next(p for p in (state, *state.parents) if p.exists())
    if not place.is_dir():
        return Finding("State directory", "fault", f"{place} is not a folder", "Choose another with --state DIR.")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("State directory", "fault", f"{place} is not writable", "Choose another with --state DIR.")
    return Finding("State directory", "ok", str(state))


def _port(state: Path) -> Finding:
    if is_running(state):
        return Finding("Port", "ok", f"the workspace runs at {running_instance(state).settings.url}")
    try:
        settings = running_instance(state).settings if (state / "run" / "settings.json").exists() else None
        address, port = (settings.bind, settings.port) if settings else ("127.0.0.1", 8000)
        check_port(address, port)
    except LightboxError as error:
        return Finding("Port", "fault", "taken", str(error))
    return Finding("Port", "ok", f"{port} is free")


def _user(_state: Path) -> Finding:
    if os.geteuid() == 0:
        return Finding("Account", "ok", "root; process servers get unprivileged users of their own")
    return Finding("Account", "note", "not root; process servers run as this account", "Containers are not affected.")
