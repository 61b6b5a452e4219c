"""Tables of the store.

What people decide (memberships, grants) is a row per decision, never changed afterwards: the newest decision
counts, the others are the history.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from hub_config.database import Base


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A point in time; SQLite keeps no zone, so UTC is put on and taken off here."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse times without a zone, store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Project(Base):
    """An approved research project: what a server belongs to."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(200))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Membership(Base):
    """A decision that a person (``sub:<subject>``) or a group (``group:<path>``) belongs to a project, or not."""

    __tablename__ = "memberships"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    member: Mapped[str] = mapped_column(sa.String(512))
    decision: Mapped[str] = mapped_column(sa.String(10))
    decided_by: Mapped[str] = mapped_column(sa.String(255))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Dataset(Base):
    """A dataset; its content is in its versions."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(sa.String(63), primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DatasetVersion(Base):
    """An immutable version, fixed by the digest of its manifest."""

    __tablename__ = "dataset_versions"

    dataset_id: Mapped[str] = mapped_column(sa.ForeignKey("datasets.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(sa.String(71))
    files: Mapped[int]
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    path: Mapped[str] = mapped_column(sa.Text)
    reader_gid: Mapped[int] = mapped_column(sa.Integer, unique=True)
    added_by: Mapped[str] = mapped_column(sa.String(255))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Grant(Base):
    """A decision that a project may, or may no longer, use a dataset version."""

    __tablename__ = "grants"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(sa.String(63))
    version: Mapped[int]
    decision: Mapped[str] = mapped_column(sa.String(10))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str] = mapped_column(sa.String(255))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.ForeignKeyConstraint(["dataset_id", "version"], ["dataset_versions.dataset_id", "dataset_versions.version"]),
    )


class HomeOwner(Base):
    """The number behind a process server's unprivileged user id, one a person and project, never used again."""

    __tablename__ = "home_owners"

    number: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(sa.String(63))
    project_id: Mapped[str] = mapped_column(sa.String(30))

    __table_args__ = (sa.UniqueConstraint("username", "project_id"),)
