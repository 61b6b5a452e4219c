"""Alembic's entry: runs the migrations on the connection that ``hub_config.database`` hands over."""

from alembic import context

from hub_config.data import tables  # noqa: F401 - fills Base.metadata for comparisons
from hub_config.database import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
