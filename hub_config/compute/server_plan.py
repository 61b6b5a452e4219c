"""``ServerPlan``: all that a server gets, computed before any engine is asked. Pure.

The adapters in ``spawners/`` turn a plan into a container or a process and add nothing of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hub_config.compute.profiles import Offer
from hub_config.data.projects import ProjectInfo
from hub_config.data.sandbox import DatasetMount
from hub_config.errors import RefusedError
from hub_config.people.identity import Identity
from hub_config.record.events import MountedDataset, ServerStarted

HOME = "/home/jovyan"
START_PAGE = "/lab/tree/00_start_here.ipynb"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TORCH_NUM_THREADS",
)


@dataclass(frozen=True)
class ServerPlan:
    """One server of one person in one project.

    Parameters
    ----------
    name : str
        Of the container; unique on the engine.
    home : str
        Name of what persists for this person and project: a volume, or a folder.
    username, subject, project, project_title, profile : str
        For whom and what.
    image : str
        Name of the image.
    image_digest : str or None
        Its content id, which is what runs; None for processes.
    cpu : float
        Limit in cores.
    memory_bytes, shm_bytes, pids, gpus : int
        Limits.
    mounts : tuple of DatasetMount
        Read-only datasets.
    environment : mapping of str to str
    labels : mapping of str to str
        By which the instance finds its containers again; no identifiers of people beyond the account.
    """

    name: str
    home: str
    username: str
    subject: str
    project: str
    project_title: str
    profile: str
    image: str
    image_digest: str | None
    cpu: float
    memory_bytes: int
    shm_bytes: int
    pids: int
    gpus: int
    mounts: tuple[DatasetMount, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]

    @property
    def reader_gids(self) -> tuple[int, ...]:
        """Groups that may read the mounted versions."""
        return tuple(mount.reader_gid for mount in self.mounts)


@dataclass(frozen=True)
class Image:
    """A workspace image on this host."""

    name: str
    digest: str | None


def server_name(instance: str, username: str, project: str) -> str:
    """Return the container's name; it also names the home."""
    return f"{instance}-{username}-{project}"


def plan_server(
    instance: str,
    identity: Identity,
    project: ProjectInfo,
    offer: Offer,
    mounts: tuple[DatasetMount, ...],
    image: Image,
) -> ServerPlan:
    """Decide what a server gets, or refuse it.

    Parameters
    ----------
    instance : str
        Prefix of everything the instance makes.
    identity : Identity
        Who asks.
    project : ProjectInfo
        What the server will belong to.
    offer : Offer
        The profile as this person may have it.
    mounts : tuple of DatasetMount
        From ``sandbox.mounts_for``.
    image : Image

    Raises
    ------
    RefusedError
        The person has no role here, is no member of the project, or may not start the profile now.
    """
    _refuse(identity, project, offer)
    name = server_name(instance, identity.username, project.id)
    return ServerPlan(
        name=name,
        home=f"{name}-home",
        username=identity.username,
        subject=identity.subject,
        project=project.id,
        project_title=project.title,
        profile=offer.profile.id,
        image=image.name,
        image_digest=image.digest,
        cpu=offer.cpu,
        memory_bytes=offer.memory_bytes,
        shm_bytes=int(offer.profile.shm_gib * (1 << 30)),
        pids=offer.profile.pids,
        gpus=offer.profile.gpus,
        mounts=mounts,
        environment=_environment(project, offer, mounts),
        labels={
            "lightbox.instance": instance,
            "lightbox.username": identity.username,
            "lightbox.project": project.id,
            "lightbox.profile": offer.profile.id,
        },
    )


def _refuse(identity: Identity, project: ProjectInfo, offer: Offer) -> None:
    """Raise where the person may not have the server."""
    if not identity.roles:
        raise RefusedError("You have no role in this workspace.", "Ask your project's owner to invite you.")
    if not project.has(identity):
        raise RefusedError(
            f"You are not a member of the project {project.id}.",
            "Choose one of your projects on the start page.",
        )
    if offer.reason is not None:
        raise RefusedError(f"The profile {offer.profile.title} is not available to you now: {offer.reason}", "")


def _environment(project: ProjectInfo, offer: Offer, mounts: tuple[DatasetMount, ...]) -> dict[str, str]:
    datasets = [
        {"id": mount.dataset, "title": mount.title, "version": mount.version, "digest": mount.digest}
        for mount in mounts
    ]
    return {
        # A library that sees the whole machine starts a thread per core and fights its own CPU limit.
        **dict.fromkeys(_THREAD_VARIABLES, str(max(1, int(offer.cpu)))),
        # The NVIDIA runtime hands out what an image or a person asks for in this variable: nothing, here.
        "NVIDIA_VISIBLE_DEVICES": "void",
        "JUPYTERHUB_SINGLEUSER_EXTENSION": "1",
        # A stop request that arrives while Python writes a buffered log line is lost, and the server stays.
        "PYTHONUNBUFFERED": "1",
        "LIGHTBOX_PROJECT": project.id,
        "LIGHTBOX_PROJECT_TITLE": project.title,
        "LIGHTBOX_PROFILE": offer.profile.id,
        "LIGHTBOX_DATASETS": "/datasets",
        "LIGHTBOX_DATASETS_INFO": json.dumps(datasets),
    }


def started_event(plan: ServerPlan) -> ServerStarted:
    """Return the event that says what was started."""
    limited = plan.image_digest is not None
    return ServerStarted(
        subject=plan.subject,
        username=plan.username,
        project=plan.project,
        profile=plan.profile,
        isolation="docker" if limited else "process",
        image=plan.image,
        image_digest=plan.image_digest,
        datasets=tuple(
            MountedDataset(id=mount.dataset, version=mount.version, digest=mount.digest) for mount in plan.mounts
        ),
        cpu=plan.cpu if limited else None,
        memory_bytes=plan.memory_bytes if limited else None,
        pids=plan.pids if limited else None,
        gpus=plan.gpus,
    )
