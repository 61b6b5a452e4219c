"""A plan as a plain process of this machine: for demonstrations where no container engine answers.

There is no isolation worth the name, and every page says so. As root each person and project gets a user id
of their own, with the groups of the granted datasets and nothing else, so that file permissions keep people
apart; without root all servers run as the account that runs the hub.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from jupyterhub.utils import random_port

from hub_config.compute.admission import Admission
from hub_config.compute.server_plan import ServerPlan
from hub_config.compute.spawners.planned import PlannedSpawner
from hub_config.compute.spawners.runtime import ServerNote, compiled_folder, leftovers, runtime_folder
from hub_config.data.tables import HomeOwner
from hub_config.errors import ServiceError
from hub_config.paths import VENV
from hub_config.processes import ProcessRef, end_processes

_STOP_SECONDS = 5.0
_SWEEPS = 3
_LOG_LIMIT = 16 << 20


class ProcessSpawner(PlannedSpawner):
    """Starts ``jupyterhub-singleuser`` of this installation, unprivileged."""

    process: ProcessRef | None = None
    _uid: int | None = None
    _scratch: Path | None = None
    _child: subprocess.Popen[bytes] | None = None

    def apply(self, plan: ServerPlan) -> None:
        """Lay out the home and the folder of datasets."""
        state = self.admission.instance.state
        self._home = state / "homes" / plan.home
        self._datasets = state / "run" / "servers" / plan.name / "datasets"
        self._uid = unprivileged_uid(self.admission, plan) if os.geteuid() == 0 else None
        self._end_forgotten()
        prepare_folders(plan, self._home, self._datasets, self._uid)
        self._scratch = private_folder(self._uid)
        self.notebook_dir = str(self._home)
        self.ip = "127.0.0.1"
        runtime = runtime_folder(self.admission.instance)
        self.environment = {
            **plan.environment,
            "LIGHTBOX_DATASETS": str(self._datasets),
            "LIGHTBOX_NOTEBOOKS": str(runtime / "notebooks"),
            "LIGHTBOX_KERNELS": str(compiled_folder(runtime)),
            "LIGHTBOX_PYTHON": str(VENV / "bin" / "python"),
            "HOME": str(self._home),
            "USER": "jovyan",
            "LOGNAME": "jovyan",
            "LANG": "C.UTF-8",
            "PATH": f"{VENV / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "JUPYTER_CONFIG_PATH": str(runtime / "images" / "workspace"),
            "PYTHONPATH": str(runtime),
            # Short, so that kernels talk over sockets in a closed folder and not over TCP, which all could hear.
            "JUPYTER_RUNTIME_DIR": str(self._scratch),
            # Compiled code is run as it is found: in a folder that nobody else may write.
            "NUMBA_CACHE_DIR": str(self._scratch / "kernels"),
        }

    async def launch(self) -> tuple[str, int]:
        """Start the process, with the rights of nobody in particular."""
        if self.plan is None:
            raise ServiceError("The server has no plan.")
        self.port = random_port()
        start = runtime_folder(self.admission.instance) / "images" / "workspace" / "start"
        command = [*unprivileged_command(self._uid, self.plan.reader_gids), str(start), *self.get_args()]
        log = self.admission.instance.logs / f"{self.plan.name}.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        try:
            with log.open("ab") as stream:
                self._child = subprocess.Popen(
                    command,
                    env=self.get_env(),
                    cwd=self._home,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise ServiceError(f"The server cannot be started: {error}.") from error
        self.process = ProcessRef.of(self._child.pid)
        if self.process is not None and self._scratch is not None:
            ServerNote(self.process, self._uid, self._scratch).write(self._note)
        return self.ip, self.port

    async def poll(self) -> int | None:
        """Return None while the process runs, its exit status afterwards (0 where it is not known)."""
        if self._child is not None:
            return self._child.poll()
        return None if self.process and self.process.alive() else 0

    async def stop(self, now: bool = False) -> None:
        """End the server and whatever it started."""
        if self.process is not None:
            await asyncio.to_thread(end_processes, [self.process], _STOP_SECONDS)
        if self._child is not None:
            await asyncio.to_thread(self._child.wait)
        await asyncio.to_thread(self._sweep)
        self.process = self._child = None

    def _sweep(self) -> None:
        """End what a server's own user still runs, and what forked meanwhile; remove its scratch folder."""
        for _ in range(_SWEEPS):
            if not (left := leftovers(self._uid)):
                break
            end_processes(left, _STOP_SECONDS)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _end_forgotten(self) -> None:
        """End a server of this name that a killed hub had started and not yet remembered."""
        note = ServerNote.read(self._note)
        if note is not None:
            note.end(_STOP_SECONDS)

    @property
    def _note(self) -> Path:
        return self._datasets.parent / "process"

    def record_stop(self) -> None:
        """Record the end, and sweep also after a server that ended by itself."""
        super().record_stop()
        self._sweep()

    def get_state(self) -> dict[str, Any]:
        """Add the process to what the hub keeps."""
        state = super().get_state()
        if self.process:
            state["process"] = [self.process.pid, self.process.started]
            state["uid"] = self._uid
            state["scratch"] = str(self._scratch) if self._scratch else None
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the process back."""
        super().load_state(state)
        if "process" in state:
            self.process = ProcessRef(*state["process"])
            self._uid = state.get("uid")
            self._scratch = Path(state["scratch"]) if state.get("scratch") else None


def unprivileged_uid(admission: Admission, plan: ServerPlan) -> int:
    """Return the user id of a person in a project, the same every time and nobody else's."""
    with admission.store.session() as session:
        mine = sa.select(HomeOwner).where(HomeOwner.username == plan.username, HomeOwner.project_id == plan.project)
        owner = session.scalar(mine)
        if owner is None:
            owner = HomeOwner(username=plan.username, project_id=plan.project)
            session.add(owner)
            session.flush()
        return admission.instance.first_uid + owner.number


def prepare_folders(plan: ServerPlan, home: Path, datasets: Path, uid: int | None) -> None:
    """Make the home if it is new, and the folder of datasets afresh: a link for each mount of the plan.

    Parameters
    ----------
    plan : ServerPlan
    home, datasets : Path
        The person may write the first and not the second.
    uid : int or None
        Owner of the home; None: the account that runs the hub.
    """
    home.parent.mkdir(mode=0o711, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(datasets, ignore_errors=True)
    # Nobody lists the servers; only the person sees which datasets theirs has.
    datasets.parent.parent.mkdir(mode=0o711, exist_ok=True)
    for folder in (datasets.parent, datasets):
        folder.mkdir(mode=0o750, exist_ok=True)
    if uid is not None:
        os.chown(home, uid, uid)
        os.chown(datasets.parent, 0, uid)
        os.chown(datasets, 0, uid)
    for mount in plan.mounts:
        (datasets / mount.dataset).symlink_to(mount.source)


def private_folder(uid: int | None) -> Path:
    """Make a folder with a short path that only the person may enter."""
    folder = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp"))
    if uid is not None:
        os.chown(folder, uid, uid)
    return folder


def unprivileged_command(uid: int | None, reader_gids: tuple[int, ...]) -> list[str]:
    """Return the prefix that gives up root's rights: own user and group, the datasets' groups, no capability."""
    if uid is None:
        return []
    groups = ["--groups", ",".join(map(str, reader_gids))] if reader_gids else ["--clear-groups"]
    return [
        "setpriv",
        f"--reuid={uid}",
        f"--regid={uid}",
        *groups,
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    ]
