"""Alembic's entry point. Migrations run on the connection, and inside the transaction, that the caller opened."""

from __future__ import annotations

from alembic import context

from aebert.records.schema import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
