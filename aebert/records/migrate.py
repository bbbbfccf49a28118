"""Bring a database to this version's schema, once, however many processes open it at the same time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from aebert.records.schema import VERSION_TABLE
from aebert.support.errors import AebertError

# Any constant will do for PostgreSQL's advisory lock, as long as nobody else in the database uses it.
_ADVISORY_LOCK = 0x41454252


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def head_revision() -> str:
    """The newest schema this version knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AebertError("aebert: the database migrations are missing from the installation; install aebert again")
    return head


def upgrade(engine: Engine, name: str) -> None:
    """Migrate to the newest schema. Raises AebertError when the database is newer than this version."""
    with engine.connect() as connection:
        if _current(connection, name) == head_revision():
            return
    # On SQLite the write lock is taken at BEGIN (see database.py), elsewhere by the lock below; whoever comes second
    # looks again and finds nothing left to do.
    with engine.connect().execution_options(aebert_write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        if _current(connection, name) != head_revision():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def require_current(engine: Engine, name: str) -> None:
    """Refuse a database that is not at this version's schema, without changing it."""
    with engine.connect() as connection:
        current = _current(connection, name)
    if current is None:
        raise AebertError(f"{name}: no run database; import something first (aebert runs import)")
    if current != head_revision():
        raise AebertError(f"{name}: schema {current} is older than this aebert's; run aebert runs import to upgrade it")


def _current(connection: Connection, name: str) -> str | None:
    heads = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    newer = [head for head in heads if head not in known]
    if newer:
        known_head = head_revision()
        raise AebertError(f"{name}: schema {newer[0]} is newer than this aebert knows ({known_head}); upgrade aebert")
    return heads[0] if heads else None
