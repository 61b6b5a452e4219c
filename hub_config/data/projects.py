"""Approved research projects and who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub_config.data.names import check_slug
from hub_config.data.tables import Membership, Project
from hub_config.database import Store
from hub_config.errors import ConflictError, InvalidInputError, NotFoundError
from hub_config.people.identity import Identity, normal_group
from hub_config.record.audit import AuditTrail
from hub_config.record.events import MembershipDecided, ProjectAdded


@dataclass(frozen=True)
class ProjectInfo:
    """A project; ``members`` are ``sub:<subject>`` or ``group:<path>``."""

    id: str
    title: str
    description: str
    members: frozenset[str]

    def has(self, identity: Identity) -> bool:
        """Whether the person belongs to the project, by themselves or through a group."""
        keys = {f"sub:{identity.subject}", *(f"group:{group}" for group in identity.groups)}
        return bool(keys & self.members)


class Projects:
    """The projects of an instance."""

    def __init__(self, store: Store, audit: AuditTrail) -> None:
        self._store = store
        self._audit = audit

    def add(self, project: str, title: str, description: str, by: str) -> ProjectInfo:
        """Found a project.

        Raises
        ------
        InvalidInputError
            The id is not acceptable.
        ConflictError
            There is a project of that id.
        """
        check_slug(project, "project")
        with self._store.session() as session:
            if session.get(Project, project) is not None:
                raise ConflictError(f"There is a project {project} already. Choose another id.")
            session.add(
                Project(id=project, title=title or project, description=description, created_at=datetime.now(UTC))
            )
            self._audit.append(ProjectAdded(subject=by, project=project))
        return self.get(project)

    def decide_member(self, project: str, member: str, add: bool, by: str) -> ProjectInfo:
        """Add or remove a member; a decision that changes nothing is not recorded again.

        Raises
        ------
        NotFoundError
            There is no such project.
        InvalidInputError
            ``member`` is neither ``sub:...`` nor ``group:...``.
        """
        kind, _, value = member.partition(":")
        if kind not in {"sub", "group"} or not value or not value.isprintable():
            raise InvalidInputError(f"A member is sub:<subject> or group:<path>, got {member!r}.")
        if kind == "group":
            member = f"group:{normal_group(value)}"
        info = self.get(project)
        if (member in info.members) is add:
            return info
        decision = "added" if add else "removed"
        with self._store.session() as session:
            session.add(
                Membership(
                    project_id=project,
                    member=member,
                    decision=decision,
                    decided_by=by,
                    decided_at=datetime.now(UTC),
                )
            )
            self._audit.append(
                MembershipDecided(subject=by, project=project, member=member, decision="added" if add else "removed")
            )
        return self.get(project)

    def get(self, project: str) -> ProjectInfo:
        """Return a project.

        Raises
        ------
        NotFoundError
            There is no such project.
        """
        with self._store.reading() as session:
            row = session.get(Project, project)
            if row is None:
                raise NotFoundError(f"There is no project {project}. See: lightbox project list.")
            return _info(session, row)

    def all(self) -> list[ProjectInfo]:
        """Return all projects, ordered by id."""
        with self._store.reading() as session:
            return [_info(session, row) for row in session.scalars(sa.select(Project).order_by(Project.id))]

    def of(self, identity: Identity) -> list[ProjectInfo]:
        """Return the projects that a person belongs to."""
        return [project for project in self.all() if project.has(identity)]


def _info(session: Session, row: Project) -> ProjectInfo:
    decisions = session.scalars(sa.select(Membership).where(Membership.project_id == row.id).order_by(Membership.id))
    latest = {decision.member: decision.decision for decision in decisions}
    members = frozenset(member for member, decision in latest.items() if decision == "added")
    return ProjectInfo(row.id, row.title, row.description, members)
