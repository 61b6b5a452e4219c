"""The kinds of events an audit trail may hold, each with its schema.

An event names a person by ``subject`` (the provider's opaque ``sub``) and the account made from it, never by
name or mail address, and data by dataset id, version and digest, never by path or patient.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Event(BaseModel):
    """What every event carries.

    Parameters
    ----------
    id : str
        Random, so that a repeated delivery can be recognised.
    time : datetime
        UTC, when the event was made.
    subject : str
        Who acted: the provider's ``sub``; ``operator:<name>`` for the command line; ``system`` otherwise.
    username : str or None
        The account of that person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=lambda: uuid4().hex)
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    subject: str
    username: str | None = None


class Login(Event):
    """A person came in."""

    type: Literal["login"] = "login"
    issuer: str
    roles: tuple[str, ...]


class LoginRefused(Event):
    """A person was known to the provider but has no rights here."""

    type: Literal["login-refused"] = "login-refused"
    issuer: str
    reason: str


class MountedDataset(BaseModel):
    """A dataset version in a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: int
    digest: str


class ServerStarted(Event):
    """A server runs; limits that are not enforced (processes have none) are null."""

    type: Literal["server-started"] = "server-started"
    project: str
    profile: str
    isolation: Literal["docker", "process"]
    image: str
    image_digest: str | None
    datasets: tuple[MountedDataset, ...]
    cpu: float | None
    memory_bytes: int | None
    pids: int | None
    gpus: int


class ServerRefused(Event):
    """A server was asked for and not started."""

    type: Literal["server-refused"] = "server-refused"
    project: str
    profile: str | None
    reason: str


class ServerStopped(Event):
    """A server ended, asked for or by itself; ``subject`` is whose it was."""

    type: Literal["server-stopped"] = "server-stopped"
    project: str


class DatasetAdded(Event):
    """A dataset version was registered."""

    type: Literal["dataset-added"] = "dataset-added"
    dataset: str
    version: int
    digest: str
    files: int
    bytes: int


class DatasetVerified(Event):
    """A dataset version was compared with its manifest."""

    type: Literal["dataset-verified"] = "dataset-verified"
    dataset: str
    version: int
    digest: str
    intact: bool


class ProjectAdded(Event):
    """A project was founded."""

    type: Literal["project-added"] = "project-added"
    project: str


class MembershipDecided(Event):
    """Somebody became, or is no longer, a member of a project."""

    type: Literal["membership-decided"] = "membership-decided"
    project: str
    member: str
    decision: Literal["added", "removed"]


class GrantDecided(Event):
    """A project was given a dataset, or had it withdrawn."""

    type: Literal["grant-decided"] = "grant-decided"
    project: str
    dataset: str
    version: int
    decision: Literal["granted", "revoked"]
    until: datetime | None = None


AnyEvent = Annotated[
    Login
    | LoginRefused
    | ServerStarted
    | ServerRefused
    | ServerStopped
    | DatasetAdded
    | DatasetVerified
    | ProjectAdded
    | MembershipDecided
    | GrantDecided,
    Field(discriminator="type"),
]
EVENT = TypeAdapter[AnyEvent](AnyEvent)
