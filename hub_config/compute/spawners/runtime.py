"""What process servers run and what is written down of them: beside the spawner, without the hub's machinery."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from hub_config.errors import StateError
from hub_config.files import write_atomic
from hub_config.instance import Instance
from hub_config.paths import ROOT
from hub_config.processes import ProcessRef, end_processes, processes_of_user

_RUNTIME = ("curation", "mlops", "notebooks", "images/workspace")


def runtime_folder(instance: Instance) -> Path:
    """Return the code that process servers of this start run; the name tells its content.

    Raises
    ------
    StateError
        Nothing was published.
    """
    if instance.image is None:
        raise StateError("Nothing was published for process servers: run lightbox up.")
    return instance.state / "runtime" / instance.image.rpartition(":")[2]


def publish_runtime(instance: Instance) -> None:
    """Copy what a server needs of this checkout to where unprivileged users may read it.

    A checkout may lie in a home that is closed to them; and a server that runs keeps the code it began with.
    """
    target = runtime_folder(instance)
    target.parent.mkdir(mode=0o711, exist_ok=True)
    for stale in target.parent.glob(".*"):  # of a run that was killed
        shutil.rmtree(stale)
    if target.exists():
        return
    fresh = target.with_name(f".{target.name}")
    for part in _RUNTIME:
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / part, fresh / part, ignore=ignore, copy_function=shutil.copy)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    fresh.rename(target)


@dataclass(frozen=True)
class ServerNote:
    """What is written down of a process server, so that it can be ended without the hub.

    Parameters
    ----------
    process : ProcessRef
    uid : int or None
        Its user, where it has one of its own: all processes of that user belong to the server.
    scratch : Path
        Folder outside the state directory that goes with the server.
    """

    process: ProcessRef
    uid: int | None
    scratch: Path

    def write(self, file: Path) -> None:
        """Write the note; only the hub's account may read it."""
        content = {**vars(self.process), "uid": self.uid, "scratch": str(self.scratch)}
        write_atomic(file, json.dumps(content), mode=0o600)

    @classmethod
    def read(cls, file: Path) -> ServerNote | None:
        """Read a note; None where there is none."""
        try:
            content = json.loads(file.read_text(encoding="ascii"))
            return cls(ProcessRef(content["pid"], content["started"]), content["uid"], Path(content["scratch"]))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def end(self, seconds: float) -> int:
        """End what still runs of the server and remove its scratch folder; return how many processes there were."""
        left = [*([self.process] if self.process.alive() else []), *leftovers(self.uid)]
        end_processes(left, seconds)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return len(left)


def leftovers(uid: int | None) -> list[ProcessRef]:
    """Return what runs as a server's own user."""
    return [] if uid is None else processes_of_user(uid)
