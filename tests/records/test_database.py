"""The run database on SQLite and on a real PostgreSQL server: append-only, unique, shared, migrated."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from aebert.records.database import AddResult, RecordFilter, RunDatabase, insert_unless_known, open_database
from aebert.records.migrate import _config, head_revision
from aebert.records.record import RunRecord, content_digest
from aebert.records.schema import VERSION_TABLE
from aebert.support.errors import AebertError
from tests.support.record_writers import numbered, write_at_once, write_in_batches
from tests.support.run_records import run_records

WRITERS = 3
RECORDS_EACH = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that does not exist yet (SQLite) or is empty (PostgreSQL)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/runs.sqlite"
        return
    server = make_url(request.getfixturevalue("postgresql_url"))
    name = f"runs_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[RunDatabase]:
    opened = open_database(database_url)
    yield opened
    opened.close()


def raw_engine(url: str) -> Engine:
    return create_engine(url)


def test_a_record_comes_back_as_it_went_in(database: RunDatabase) -> None:
    record = RunRecord(
        source="hw",
        design="encoder \u00e9\u4e2d",
        scope="compute_unit",
        module="encoder_1",
        design_digest="a" * 64,
        clock_achieved_mhz=1000 / 3.3333,
        cycles=2**62,
        latency_ms=0.1 + 0.2,
        bram_18k=7,
        resource_stage="routed",
        measured_at="2026-11-22T08:00:00+00:00",
    )
    assert database.add([record]) == AddResult(added=1, known=0)
    stored = database.query()[0]
    assert stored.record == record
    assert stored.digest == content_digest(record)
    assert stored.recorded_at.endswith("+00:00")
    assert stored.recorded_by


def test_the_same_content_is_stored_once(database: RunDatabase) -> None:
    assert database.add(numbered(0, 3) + numbered(0, 3)) == AddResult(added=3, known=0)
    first = database.query()
    assert database.add(numbered(2, 3)) == AddResult(added=2, known=1)
    assert database.query()[:3] == first


def test_many_records_go_in_at_once(database: RunDatabase) -> None:
    assert database.add(numbered(0, 1201)).added == 1201
    assert len(database.query()) == 1201


def test_the_database_itself_refuses_to_change_or_delete_a_record(database_url: str) -> None:
    opened = open_database(database_url)
    opened.add(numbered(0, 1))
    engine = raw_engine(database_url)
    for change in ("UPDATE run_records SET cycles = 9", "DELETE FROM run_records"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))
    engine.dispose()
    assert [stored.record for stored in opened.query()] == numbered(0, 1)
    opened.close()


def test_query_filters_by_every_field(database: RunDatabase) -> None:
    here = RunRecord(
        source="hw", design="a", board="u200", tool_version="2022.1", report_kind="cosim", design_digest="c" * 64
    )
    others = [
        RunRecord(source="csynth", design="b"),
        RunRecord(source="hw", design="a"),
        RunRecord(source="hw", design="b"),
    ]
    database.add([here, *others])
    for wanted in (
        RecordFilter(board="u200"),
        RecordFilter(tool_version="2022.1"),
        RecordFilter(report_kind="cosim"),
        RecordFilter(design_digest="c" * 64),
        RecordFilter(source="hw", design="a", board="u200"),
    ):
        assert [stored.record for stored in database.query(wanted)] == [here]
    assert len(database.query(RecordFilter(source="hw"))) == 3
    assert len(database.query(RecordFilter(limit=2))) == 2


def test_a_record_is_found_by_the_start_of_its_digest(database: RunDatabase) -> None:
    database.add(numbered(0, 50))
    wanted = database.query()[7]
    assert database.get(wanted.digest[:16]) == wanted
    with pytest.raises(AebertError, match="no record ffffffffffffffff"):
        database.get("f" * 16)
    for bad in ("", "abc", "%%%%", "XYZW"):
        with pytest.raises(AebertError, match="at least 4 lower-case hex digits"):
            database.get(bad)


def test_an_ambiguous_digest_is_refused(database: RunDatabase) -> None:
    database.add(numbered(0, 1000))
    starts = [stored.digest[:4] for stored in database.query()]
    twice = next(start for start in starts if starts.count(start) > 1)
    with pytest.raises(AebertError, match="several records start with"):
        database.get(twice)


def test_nothing_of_a_failing_batch_is_stored(database: RunDatabase) -> None:
    def records() -> Iterator[RunRecord]:
        yield from numbered(0, 5)
        raise AebertError("a report later in the import is broken")

    with pytest.raises(AebertError, match="broken"):
        database.add(records())
    assert database.query() == []


def test_concurrent_writers_lose_nothing_and_store_nothing_twice(database_url: str) -> None:
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(WRITERS)
    starts = [writer * RECORDS_EACH // 2 for writer in range(WRITERS)]
    writers = [
        processes.Process(target=write_in_batches, args=(database_url, start, RECORDS_EACH, barrier))
        for start in starts
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    database = open_database(database_url, create=False)
    cycles = [stored.record.cycles for stored in database.query()]
    assert sorted(count for count in cycles if count is not None) == list(range(starts[-1] + RECORDS_EACH + 10))
    database.close()


def test_writers_of_the_same_records_in_opposite_order_do_not_wait_in_a_circle(database_url: str) -> None:
    open_database(database_url).close()
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(2)
    writers = [processes.Process(target=write_at_once, args=(database_url, order, barrier)) for order in (False, True)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    database = open_database(database_url, create=False)
    assert len(database.query()) == 2000
    database.close()


def test_an_older_database_is_migrated_and_keeps_its_records(database_url: str) -> None:
    engine = raw_engine(database_url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO run_records (digest, recorded_at, recorded_by, source, design, scope, cycles) "
                "VALUES ('d', 'then', 'someone', 'hw', 'old', 'design', 3)"
            )
        )
    with pytest.raises(AebertError, match="schema 0001 is older than this aebert's"):
        open_database(database_url, create=False)
    database = open_database(database_url)
    assert [(stored.digest, stored.record.cycles) for stored in database.query()] == [("d", 3)]
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text("DELETE FROM run_records"))
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == head_revision()
    engine.dispose()
    database.close()


def test_migrations_go_down_again(database_url: str) -> None:
    open_database(database_url).close()
    engine = raw_engine(database_url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert not inspect(connection).has_table("run_records")
    engine.dispose()
    open_database(database_url).close()


def test_the_migrated_table_is_the_one_the_code_maps(database_url: str) -> None:
    open_database(database_url).close()
    engine = raw_engine(database_url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises when the models and the migrations differ
    engine.dispose()


def test_a_newer_schema_is_refused_in_one_line_and_left_alone(database_url: str) -> None:
    open_database(database_url).close()
    engine = raw_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for create in (True, False):
        with pytest.raises(
            AebertError, match=r"schema 9999 is newer than this aebert knows .*; upgrade aebert"
        ) as caught:
            open_database(database_url, create=create)
        assert "\n" not in str(caught.value)
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "9999"
    engine.dispose()


def test_a_database_without_on_conflict_relies_on_the_unique_constraint(database_url: str) -> None:
    open_database(database_url).close()
    row: dict[str, object] = {"digest": "d", "recorded_at": "now", "recorded_by": "me"}
    row |= {"source": "hw", "design": "x", "scope": "design"}
    engine = raw_engine(database_url)
    with engine.begin() as connection:
        assert insert_unless_known(connection, row)
        assert not insert_unless_known(connection, row)
        assert connection.execute(text("SELECT count(*) FROM run_records")).scalar() == 1
    engine.dispose()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(run_records(), max_size=8))
def test_any_records_are_stored_once_and_read_back(records: list[RunRecord], database: RunDatabase) -> None:
    before = {stored.digest for stored in database.query()}
    result = database.add(records)
    after = {stored.digest: stored.record for stored in database.query()}
    assert set(after) == before | {content_digest(record) for record in records}
    assert result.added == len(after) - len(before)
    assert all(after[content_digest(record)] == record for record in records)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nosuch://host/db", "SQLAlchemy knows no such database"),
        ("://", "database URL cannot be read"),
        ("/no/such/folder/runs.sqlite", "unable to open database file"),
        ("postgresql://user:secret@127.0.0.1:1/runs", "Connection refused"),
    ],
)
def test_an_unreachable_database_is_one_line_without_the_password(url: str, said: str) -> None:
    with pytest.raises(AebertError) as caught:
        open_database(url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"not a database, but long enough to have a header of its own" * 4)
    before = file.read_bytes()
    with pytest.raises(AebertError, match="is not a SQLite file"):
        open_database(str(file))
    assert file.read_bytes() == before


def test_reading_creates_no_database(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    with pytest.raises(AebertError, match="no run database; import something first"):
        open_database(str(file), create=False)
    assert not file.exists()
    file.touch()
    with pytest.raises(AebertError, match="no run database; import something first"):
        open_database(str(file), create=False)
    assert not file.read_bytes()


@pytest.mark.parametrize("field", ["digest", "recorded_at", "recorded_by", "note"])
@pytest.mark.parametrize("value", ["X'FFFE41'", "CAST(X'FFFE41' AS TEXT)"], ids=["bytes", "not UTF-8"])
def test_values_that_are_no_text_are_one_line(tmp_path: Path, field: str, value: str) -> None:
    file = tmp_path / "runs.sqlite"
    database = open_database(str(file))
    database.add([RunRecord(source="emulated", design="d")])
    database.close()
    with sqlite3.connect(file) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(f"UPDATE run_records SET {field} = {value}")
    with pytest.raises(AebertError, match=rf"runs\.sqlite: .*({field}|UTF-8|utf-8)") as caught:
        open_database(str(file)).query()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\0b", "n" * 300])
def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(AebertError, match="cannot be a database"):
        open_database(f"{tmp_path}/{name}")


def test_another_programs_sqlite_file_is_not_read_as_ours(tmp_path: Path) -> None:
    file = tmp_path / "other.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
    with pytest.raises(AebertError, match="a SQLite file of something else"):
        open_database(str(file), create=False)


def test_the_default_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AEBERT_DATABASE", str(tmp_path / "mine.sqlite"))
    open_database().close()
    assert (tmp_path / "mine.sqlite").is_file()
    monkeypatch.delenv("AEBERT_DATABASE")
    monkeypatch.chdir(tmp_path)
    open_database().close()
    assert (tmp_path / "aebert_runs.sqlite").is_file()


def test_those_who_open_a_new_database_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite itself does not wait where two change to the write-ahead log; a few rounds meet that."""

    def open_together(url: str, barrier: threading.Barrier) -> None:
        barrier.wait()
        open_database(url)

    with ThreadPoolExecutor(6) as pool:
        for number in range(30):
            url, barrier = f"sqlite:///{tmp_path}/runs-{number}.sqlite", threading.Barrier(6)
            for opened in [pool.submit(open_together, url, barrier) for _ in range(6)]:
                opened.result()
