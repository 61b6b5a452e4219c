"""The store of projects, datasets and grants: SQLAlchemy over SQLite (default) or PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
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
        try:
            self.engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS} if sqlite else {})
        except (SQLAlchemyError, ImportError) as error:
            raise StateError(f"The store's URL is not usable: {error}") from error
        if sqlite:
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        try:
            with self.engine.begin() as connection:
                config = Config(attributes={"connection": connection})
                config.set_main_option("script_location", str(MIGRATIONS))
                command.upgrade(config, "head")
        except (SQLAlchemyError, CommandError) as error:
            self.close()
            raise StateError(f"The store {self.engine.url!r} cannot be opened: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that only reads: it waits for no writer and makes none wait."""
        with self.engine.connect().execution_options(reading=True) as connection, Session(connection) as session:
            session.expire_on_commit = False
            yield session

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give a session that commits at the end, or rolls back when an error leaves the block."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Python's driver would commit before each CREATE TABLE, and a killed migration would stay half-done.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL lets the hub read while the command line writes; FULL makes a commit survive a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once, unless only reading: two first opens migrate one after the other."""
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")
