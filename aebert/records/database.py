"""The run database: SQLite by default, PostgreSQL by URL. Records are added and read, never changed."""

from __future__ import annotations

import getpass
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from aebert.records import migrate
from aebert.records.record import FIELD_NAMES, RunRecord, Source, content_digest, utc_now
from aebert.records.schema import VERSION_TABLE, RunRow
from aebert.support.errors import AebertError
from aebert.support.sqlite_files import check_sqlite_file

DATABASE_VARIABLE = "AEBERT_DATABASE"
DEFAULT_DATABASE = "sqlite:///aebert_runs.sqlite"
NO_DATABASE = "no run database"
_BATCH = 500
_BUSY_SECONDS = 60
_RETRY_SECONDS = 0.02
_SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the database holds it. ``recorded_at`` and ``recorded_by`` are not part of its content."""

    record: RunRecord
    digest: str
    recorded_at: str
    recorded_by: str


@dataclass(frozen=True, slots=True)
class AddResult:
    """What ``add`` did: records stored now, and records that were there already."""

    added: int
    known: int


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records to read; None means any. Texts match exactly."""

    source: Source | None = None
    design: str | None = None
    design_digest: str | None = None
    board: str | None = None
    tool_version: str | None = None
    report_kind: str | None = None
    limit: int | None = None


class RunDatabase:
    """An open run database. Safe to use from several processes at once, each with its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def add(self, records: Iterable[RunRecord]) -> AddResult:
        """Store records, all or none. A record whose content is stored already is left as it is."""
        stamp = {"recorded_at": utc_now(), "recorded_by": _user()}
        rows = {content_digest(record): record for record in records}
        # Writers that insert in the same order never wait for each other in a circle.
        ordered = iter([{"digest": digest, **stamp, **asdict(rows[digest])} for digest in sorted(rows)])
        added = 0
        with self._one_line_errors(), self._write() as connection:
            while batch := list(islice(ordered, _BATCH)):
                added += _insert_new(connection, batch)
        return AddResult(added, len(rows) - added)

    def query(self, wanted: RecordFilter | None = None) -> list[StoredRecord]:
        """Stored records in the order they were stored."""
        statement = select(RunRow).order_by(RunRow.id)
        chosen = asdict(wanted or RecordFilter())
        limit = chosen.pop("limit")
        for column, value in chosen.items():
            if value is not None:
                statement = statement.where(getattr(RunRow, column) == value)
        if limit is not None:
            statement = statement.limit(limit)
        with self._one_line_errors(), Session(self._engine) as session:
            return [_stored(row) for row in session.scalars(statement)]

    def get(self, prefix: str) -> StoredRecord:
        """The record whose digest starts with ``prefix``. Raises AebertError when none or several do."""
        if len(prefix) < _SHORTEST_PREFIX or prefix.strip("0123456789abcdef"):
            raise AebertError(f"digest {prefix[:80]!r}: give at least {_SHORTEST_PREFIX} lower-case hex digits")
        statement = select(RunRow).where(RunRow.digest.startswith(prefix)).limit(2)
        with self._one_line_errors(), Session(self._engine) as session:
            found = [_stored(row) for row in session.scalars(statement)]
        if not found:
            raise AebertError(f"{self.name}: no record {prefix}; aebert runs list shows the digests")
        if len(found) > 1:
            raise AebertError(f"{self.name}: several records start with {prefix}; give more digits")
        return found[0]

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(aebert_write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except AebertError as error:  # a record that is none of ours
            raise AebertError(f"{self.name}: {error}") from None
        except (SQLAlchemyError, sqlite3.Error, ValueError, TypeError) as error:
            # The last two: text that is not UTF-8, and values of other types than ours; SQLite lets anybody store them.
            raise _database_error(self.name, error) from None


def default_database() -> str:
    """The URL in AEBERT_DATABASE, else an SQLite file in the current folder."""
    return os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE


def open_database(url: str | None = None, *, create: bool = True) -> RunDatabase:
    """Open a run database by SQLAlchemy URL or SQLite file name (default: ``default_database()``).

    With ``create`` it is made or migrated to this version's schema as needed; without, it must be there already.
    Raises AebertError when it cannot be reached, is no run database, or is newer than this version.
    """
    address = _parse_url(url or default_database())
    name = address.render_as_string(hide_password=True)
    file = address.database if address.get_backend_name() == "sqlite" else None
    if file not in (None, "", ":memory:") and not create and not _holds_something(Path(str(file))):
        raise AebertError(f"{name}: {NO_DATABASE}; import something first (aebert runs import)")
    if file not in (None, "", ":memory:"):
        check_sqlite_file(Path(str(file)), "run records", (VERSION_TABLE,))
    try:
        engine = _engine(address)
        if create:
            migrate.upgrade(engine, name)
        else:
            migrate.require_current(engine, name)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _database_error(name, error) from None
    except ModuleNotFoundError as error:
        raise AebertError(f"{name}: no database driver {error.name}; install it") from None
    return RunDatabase(engine, name)


def _holds_something(file: Path) -> bool:
    """SQLite makes a database of an empty file, also where it is only to be read."""
    return file.is_file() and file.stat().st_size > 0


def _parse_url(text: str) -> URL:
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
        # SQLAlchemy's own default driver for PostgreSQL is psycopg2; ours is psycopg 3.
        return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url
    except ArgumentError:
        raise AebertError("database URL cannot be read; write dialect://user:password@host/name") from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, poolclass=None if _in_memory(url) else NullPool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Our own BEGIN below instead of the driver's, which comes too late to protect a read before a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: DBAPICursor) -> None:
    """Change to a write-ahead log. SQLite does not wait for others that do so too, whatever its timeout: we do."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while (lock := _lock_before_write_ahead(cursor)) is not None:
        if time.monotonic() > deadline:
            raise lock
        time.sleep(_RETRY_SECONDS)


def _lock_before_write_ahead(cursor: DBAPICursor) -> sqlite3.OperationalError | None:
    """The lock of another that kept it from happening, if one did."""
    try:
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return error
    return None


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once and waits its turn; a reader that became a writer could only fail.
    write = connection.get_execution_options().get("aebert_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _insert_new(connection: Connection, rows: Sequence[dict[str, object]]) -> int:
    """Insert rows whose digest is not there yet; how many those were."""
    statement: sqlite.Insert | postgresql.Insert
    match connection.dialect.name:
        case "sqlite":
            statement = sqlite.insert(RunRow).on_conflict_do_nothing(index_elements=["digest"])
        case "postgresql":
            statement = postgresql.insert(RunRow).on_conflict_do_nothing(index_elements=["digest"])
        case _:
            return sum(insert_unless_known(connection, row) for row in rows)
    return len(connection.execute(statement.returning(RunRow.digest), list(rows)).all())


def insert_unless_known(connection: Connection, row: dict[str, object]) -> bool:
    """The same for databases without ON CONFLICT: try, and take the unique constraint's refusal for an answer."""
    try:
        with connection.begin_nested():
            connection.execute(insert(RunRow).values(**row))
    except IntegrityError:
        return False
    return True


def _stored(row: RunRow) -> StoredRecord:
    record = RunRecord(**{name: getattr(row, name) for name in FIELD_NAMES})
    for name in ("digest", "recorded_at", "recorded_by"):
        if not isinstance(getattr(row, name), str):
            raise TypeError(f"{name} of record {row.id} is not text")
    return StoredRecord(record, row.digest, row.recorded_at, row.recorded_by)


def _user() -> str:
    try:
        return getpass.getuser()[:200]
    except (OSError, KeyError, ImportError):  # no name for this user id (containers); the error varies by version
        return "unknown"


def _database_error(name: str, error: Exception) -> AebertError:
    if isinstance(error, NoSuchModuleError):
        return AebertError(f"{name}: SQLAlchemy knows no such database; use sqlite:/// or postgresql://")
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    full = "disk is full" in first_line
    remedy = "free some disk space" if full else "check the address, the server and the permissions"
    return AebertError(f"{name}: {first_line}; {remedy}")
