"""What process servers run and what is written down of them: beside the spawner, without the hub's machinery."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hub_config.errors import StateError
from hub_config.files import write_atomic
from hub_config.instance import Instance
from hub_config.paths import ROOT, VENV
from hub_config.processes import ProcessRef, end_processes, processes_of_user

_RUNTIME = ("curation", "mlops", "notebooks", "images/workspace")
_COMPILE_SECONDS = 120.0


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


def compiled_folder(runtime: Path) -> Path:
    """Return where the compiled kernels of published code are."""
    return runtime / ".kernels"


def publish_runtime(instance: Instance) -> None:
    """Copy what a server needs of this checkout to where unprivileged users may read it.

    A checkout may lie in a home that is closed to them; and a server that runs keeps the code it began with.
    """
    target = runtime_folder(instance)
    target.parent.mkdir(mode=0o711, exist_ok=True)
    for stale in target.parent.glob(".*"):  # of a run that was killed
        shutil.rmtree(stale)
    if not target.exists():
        fresh = target.with_name(f".{target.name}")
        for part in _RUNTIME:
            ignore = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / part, fresh / part, ignore=ignore, copy_function=shutil.copy)
        _open_to_all(fresh)
        fresh.rename(target)
    _compile_kernels(target, instance.logs / "kernels.log")


def _compile_kernels(runtime: Path, log: Path) -> None:
    """Compile the kernels of published code ahead, once; without them servers compile when they are called.

    numba names its folders after where the sources lie: so this comes when they lie where they stay. What is compiled
    in this checkout is taken over, which makes it a matter of a second.
    """
    target = compiled_folder(runtime)
    if target.exists():
        return
    fresh = runtime.with_name(f".{runtime.name}.kernels")
    environment = {**os.environ, "PYTHONPATH": str(runtime), "NUMBA_CACHE_DIR": str(fresh)}
    command = [str(VENV / "bin" / "python"), "-P", "-m", "curation.registration.warm", str(ROOT / "curation")]
    with log.open("ab") as stream:
        try:
            done = subprocess.run(
                command, env=environment, stdout=stream, stderr=stream, timeout=_COMPILE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return
    if done.returncode == 0:
        _open_to_all(fresh)
        fresh.rename(target)


def _open_to_all(folder: Path) -> None:
    """Let everybody read a folder with all that is in it, also where the umask is strict."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


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
