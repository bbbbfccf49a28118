"""Measured facts with where they came from, in an append-only SQL table. See docs/records.md."""

from aebert.records.database import AddResult, RecordFilter, RunDatabase, StoredRecord, open_database
from aebert.records.record import FORMAT_VERSION, SOURCES, RunRecord, Source, content_digest

__all__ = [
    "FORMAT_VERSION",
    "SOURCES",
    "AddResult",
    "RecordFilter",
    "RunDatabase",
    "RunRecord",
    "Source",
    "StoredRecord",
    "content_digest",
    "open_database",
]
