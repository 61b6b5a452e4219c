"""One installation on this machine: its id, its folders, its ports.

The id prefixes everything that is made outside the state directory (containers, networks, volumes), so that
several instances, tests among them, live side by side and each can be removed without trace.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_config.errors import StateError
from hub_config.files import read_or_create_secret, write_atomic
from hub_config.settings import Settings, load_settings

_INTERNAL_PORTS = ("hub", "proxy_api", "dev_idp")
# Below the range from which the kernel takes ports for outgoing connections (ip(7), ip_local_port_range).
_PORT_RANGE = range(18_000, 32_000)
# User and group ids of process servers and dataset readers: above everything that distributions, systemd and
# containers use, a block of its own for each instance, since the kernel's numbers are the whole host's.
_ID_BASE, _ID_BLOCK, _ID_BLOCKS = 1_900_000_000, 10_000, 24_000
_OWN_NAMES = frozenset(
    {"run", "logs", "audit", "secrets", "store", "datasets", "homes", "runtime"}
    | {"instance.json", "choices.json", "demo-seeded"}
)


@dataclass(frozen=True)
class Instance:
    """Settings together with what the instance has fixed for itself.

    Parameters
    ----------
    settings : Settings
    id : str
        Eight hexadecimal digits, made once.
    ports : dict of str to int
        Internal loopback ports, chosen once so that servers that run survive a restart of the hub.
    block : int
        Which block of user and group ids is this instance's.
    """

    settings: Settings
    id: str
    ports: dict[str, int]
    block: int

    @property
    def first_gid(self) -> int:
        """First group id of dataset readers."""
        return _ID_BASE + self.block * _ID_BLOCK

    @property
    def first_uid(self) -> int:
        """First user id of process servers."""
        return self.first_gid + _ID_BLOCK // 2

    @property
    def name(self) -> str:
        """Prefix of containers, networks and volumes."""
        return f"lightbox-{self.id}"

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.settings.state

    @property
    def run(self) -> Path:
        """What only matters while the instance runs: locks, status, the settings in force."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """One file per service."""
        return self.state / "logs"

    @property
    def store(self) -> Path:
        """Embedded databases, closed to all other accounts."""
        return self.state / "store"

    @property
    def datasets(self) -> Path:
        """Dataset versions, ``<id>/<version>/files``."""
        return self.state / "datasets"

    @property
    def homes(self) -> Path:
        """Homes of process servers (containers have named volumes)."""
        return self.state / "homes"

    @property
    def audit_file(self) -> Path:
        """The audit trail."""
        return self.state / "audit" / "events.jsonl"

    @property
    def image(self) -> str | None:
        """Workspace image built when the instance was started last: a later change of the checkout leaves it alone."""
        file = self.run / "image"
        return file.read_text(encoding="utf-8") if file.exists() else None

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.settings.database_url or f"sqlite:///{self.store / 'lightbox.sqlite'}"

    def secret(self, name: str) -> str:
        """Return the secret ``name`` of this instance, made at first use."""
        return read_or_create_secret(self.state / "secrets" / name)


def open_instance(settings: Settings) -> Instance:
    """Open the instance in ``settings.state``, or found one there.

    Raises
    ------
    StateError
        The directory cannot be made, or holds an instance file that cannot be read.
    """
    state = settings.state
    _refuse_foreign(state)
    try:
        # Others may pass through (process servers reach their own home), nobody may list.
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        state.chmod(0o711)
        for folder, mode in (("run", 0o711), ("logs", 0o700), ("audit", 0o700), ("secrets", 0o700), ("store", 0o700)):
            (state / folder).mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"The state directory {state} cannot be used: {error.strerror}. Choose another with --state DIR."
        ) from error
    file = state / "instance.json"
    if not file.exists():
        content = {
            "id": secrets.token_hex(4),
            "ports": dict(zip(_INTERNAL_PORTS, _free_ports(), strict=True)),
            "block": secrets.randbelow(_ID_BLOCKS),
        }
        write_atomic(file, json.dumps(content, indent=1), mode=0o600)
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        ports = {name: int(stored["ports"][name]) for name in _INTERNAL_PORTS}
        return Instance(settings, str(stored["id"]), ports, int(stored["block"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{file} is not an instance file ({error}). Restore it from a backup, or choose another --state."
        ) from error


def _refuse_foreign(state: Path) -> None:
    """Refuse a folder that holds something else: permissions are set in it, and `down --purge` empties it."""
    if not state.is_dir() or (state / "instance.json").exists():
        return
    foreign = sorted(path.name for path in state.iterdir() if path.name not in _OWN_NAMES | {"lightbox.yaml"})
    if foreign:
        raise StateError(
            f"{state} holds other things ({', '.join(foreign[:3])}): a state directory is new or empty. "
            "Choose another with --state DIR."
        )


def own_paths(state: Path) -> list[Path]:
    """Return what an instance has made in its state directory; a settings file is the operator's."""
    return [path for path in state.iterdir() if path.name in _OWN_NAMES or path.name.startswith(".cohort-")]


def _free_ports() -> list[int]:
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(ports) < len(_INTERNAL_PORTS):
            probe = stack.enter_context(socket.socket())
            port = secrets.choice(_PORT_RANGE)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def default_state() -> Path:
    """Return ``~/.local/share/lightbox``; for root ``/var/lib/lightbox``.

    Root's home is closed to the unprivileged users whom process servers run as.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/lightbox")
    data_home = os.environ.get("XDG_DATA_HOME")
    return (Path(data_home) if data_home else Path.home() / ".local" / "share") / "lightbox"


def store_settings(settings: Settings) -> None:
    """Keep the settings in force where the services of the instance find them."""
    write_atomic(settings.state / "run" / "settings.json", settings.model_dump_json(indent=1), mode=0o600)


def remember_choices(state: Path, choices: dict[str, Any]) -> None:
    """Keep what was chosen on the command line, over what was chosen before."""
    if choices:
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        write_atomic(state / "choices.json", json.dumps({**remembered_choices(state), **choices}), mode=0o600)


def remembered_choices(state: Path) -> dict[str, Any]:
    """Return what was chosen on the command line before."""
    try:
        stored = json.loads((state / "choices.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return stored if isinstance(stored, dict) else {}


def store_image(instance: Instance, name: str) -> None:
    """Keep the name of the workspace image that the instance runs."""
    write_atomic(instance.run / "image", name)


def running_instance(state: Path) -> Instance:
    """Open the instance in ``state`` with the settings it was last started with.

    Raises
    ------
    StateError
        No workspace was started in that directory.
    """
    file = state / "run" / "settings.json"
    if not file.exists():
        raise StateError(f"There is no workspace in {state}: start one with ./lightbox up, or choose it with --state.")
    return open_instance(load_settings(file))  # JSON is YAML
