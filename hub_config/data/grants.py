"""Grants: which dataset version a project may use, until when. A row per decision, the newest counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from hub_config.data.catalogue import VersionInfo
from hub_config.data.tables import Grant
from hub_config.database import Store
from hub_config.errors import InvalidInputError, NotFoundError
from hub_config.record.audit import AuditTrail
from hub_config.record.events import GrantDecided


@dataclass(frozen=True)
class GrantDecision:
    """What was decided about a project and a dataset; ``until`` None: no end was set."""

    project: str
    dataset: str
    version: int
    granted: bool
    until: datetime | None
    decided_by: str
    decided_at: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether the project may use the dataset at ``now``."""
        return self.granted and (self.until is None or now < self.until)


def newest(decisions: Iterable[GrantDecision]) -> list[GrantDecision]:
    """Return for each project and dataset the decision that counts; ``decisions`` come oldest first."""
    latest = {(decision.project, decision.dataset): decision for decision in decisions}
    return [latest[key] for key in sorted(latest)]


class Grants:
    """The grants of an instance."""

    def __init__(self, store: Store, audit: AuditTrail) -> None:
        self._store = store
        self._audit = audit

    def grant(self, project: str, version: VersionInfo, until: datetime | None, by: str) -> GrantDecision:
        """Let ``project`` use a dataset version until a point in time.

        Raises
        ------
        InvalidInputError
            ``until`` is not in the future.
        """
        now = datetime.now(UTC)
        if until is not None and until <= now:
            raise InvalidInputError(f"A grant ends in the future; {until:%Y-%m-%d %H:%M %Z} has passed.")
        return self._decide(GrantDecision(project, version.dataset, version.version, True, until, by, now))

    def revoke(self, project: str, dataset: str, by: str) -> GrantDecision:
        """Withdraw a dataset from a project.

        Raises
        ------
        NotFoundError
            The project holds no live grant of that dataset.
        """
        now = datetime.now(UTC)
        live = [grant for grant in self.live(project) if grant.dataset == dataset]
        if not live:
            raise NotFoundError(f"Project {project} holds no grant of dataset {dataset}: there is nothing to revoke.")
        return self._decide(GrantDecision(project, dataset, live[0].version, False, None, by, now))

    def _decide(self, decision: GrantDecision) -> GrantDecision:
        word = "granted" if decision.granted else "revoked"
        with self._store.session() as session:
            session.add(
                Grant(
                    project_id=decision.project,
                    dataset_id=decision.dataset,
                    version=decision.version,
                    decision=word,
                    until=decision.until,
                    decided_by=decision.decided_by,
                    decided_at=decision.decided_at,
                )
            )
            session.flush()
            self._audit.append(
                GrantDecided(
                    subject=decision.decided_by,
                    project=decision.project,
                    dataset=decision.dataset,
                    version=decision.version,
                    decision="granted" if decision.granted else "revoked",
                    until=decision.until,
                )
            )
        return decision

    def history(self) -> list[GrantDecision]:
        """Return all decisions, oldest first."""
        with self._store.reading() as session:
            return [
                GrantDecision(
                    project=row.project_id,
                    dataset=row.dataset_id,
                    version=row.version,
                    granted=row.decision == "granted",
                    until=row.until,
                    decided_by=row.decided_by,
                    decided_at=row.decided_at,
                )
                for row in session.scalars(sa.select(Grant).order_by(Grant.id))
            ]

    def live(self, project: str, now: datetime | None = None) -> list[GrantDecision]:
        """Return the grants that ``project`` holds at ``now``, ordered by dataset."""
        moment = now or datetime.now(UTC)
        return [grant for grant in newest(self.history()) if grant.project == project and grant.is_live(moment)]
