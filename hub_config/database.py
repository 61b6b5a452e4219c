"""The store of projects, datasets and grants: SQLAlchemy over SQLite (default) or PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session

from hub_config.errors import StateError

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 10.0


class Base(DeclarativeBase):
    """Base of all tables."""


class Store:
    """One database, opened at its newest schema.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.

    Raises
    ------
    StateError
        The database cannot be opened or brought to the newest schema.
    """

    def __init__(self, url: str) -> None:
        sqlite = url.startswith("sqlite")
        self.engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS} if sqlite else {})
        if sqlite:
            sa.event.listen(self.engine, "connect", _configure_sqlite)
        try:
            with self.engine.begin() as connection:
                config = Config(attributes={"connection": connection})
                config.set_main_option("script_location", str(MIGRATIONS))
                command.upgrade(config, "head")
        except SQLAlchemyError as error:
            self.close()
            raise StateError(f"The store {self.engine.url!r} cannot be opened: {error}") from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give a session that commits at the end, or rolls back when an error leaves the block."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets the hub read while the command line writes; FULL makes a commit survive a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
