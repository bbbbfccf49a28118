"""Processes that write run records at the same time. Imported by every child process, so it imports little."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier

from aebert.records.database import open_database
from aebert.records.record import RunRecord


def numbered(start: int, count: int) -> list[RunRecord]:
    """Records that differ in their cycles alone: start, start + 1, and so on."""
    return [RunRecord(source="emulated", design="encoder", cycles=number) for number in range(start, start + count)]


def write_in_batches(url: str, start: int, count: int, barrier: Barrier) -> None:
    """Open the database (migrating it, if nobody has yet) and write overlapping batches of 20, 10 apart."""
    barrier.wait(timeout=60)
    database = open_database(url)
    for at in range(start, start + count, 10):
        database.add(numbered(at, 20))
    database.close()


def write_at_once(url: str, backwards: bool, barrier: Barrier) -> None:
    """Write records 0 to 1999, forwards or backwards, in one call."""
    database = open_database(url)
    records = numbered(0, 2000)
    barrier.wait(timeout=60)
    database.add(reversed(records) if backwards else records)
    database.close()
