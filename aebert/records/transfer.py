"""Run records as files: JSON Lines both ways, CSV and Parquet out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from aebert.hls_reports.reading import ReportText, one_line
from aebert.records.database import StoredRecord
from aebert.records.record import COUNT_FIELDS, FIELD_NAMES, REAL_FIELDS, RunRecord, content_digest
from aebert.support.atomic_files import write_bytes
from aebert.support.errors import AebertError

ExportFormat = Literal["csv", "parquet", "jsonl"]

STORED_FIELDS = ("digest", "recorded_at", "recorded_by")


def export_records(records: Sequence[StoredRecord], path: Path, form: ExportFormat) -> None:
    """Write records to a file, whole or not at all. Raises AebertError when it cannot be written."""
    match form:
        case "csv":
            write_bytes(path, to_csv(records).encode())
        case "jsonl":
            write_bytes(path, to_jsonl(records).encode())
        case "parquet":
            write_bytes(path, to_parquet(records))


def to_jsonl(records: Iterable[StoredRecord]) -> str:
    """One JSON object per line; unknown fields are left out. ``read_jsonl`` reads it back."""
    return "".join(json.dumps(_known(stored), sort_keys=True, allow_nan=False) + "\n" for stored in records)


def to_csv(records: Iterable[StoredRecord]) -> str:
    """A header and one line per record; unknown fields are empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*STORED_FIELDS, *FIELD_NAMES], lineterminator="\n")
    writer.writeheader()
    for stored in records:
        writer.writerow(_known(stored))
    return text.getvalue()


def to_parquet(records: Sequence[StoredRecord]) -> bytes:
    """A Parquet table with one typed column per field (int64, double, string); unknown fields are null."""
    import pyarrow
    import pyarrow.parquet

    types = [(name, _arrow_type(name)) for name in (*STORED_FIELDS, *FIELD_NAMES)]
    table = pyarrow.Table.from_pylist([_known(stored) for stored in records], schema=pyarrow.schema(types))
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    return bytes(buffer.getvalue().to_pybytes())


def _arrow_type(name: str) -> str:
    if name in COUNT_FIELDS:
        return "int64"
    return "double" if name in REAL_FIELDS else "string"


def _known(stored: StoredRecord) -> dict[str, str | int | float]:
    head = {"digest": stored.digest, "recorded_at": stored.recorded_at, "recorded_by": stored.recorded_by}
    return head | {name: value for name, value in asdict(stored.record).items() if value is not None}


def read_jsonl(file: ReportText) -> tuple[RunRecord, ...]:
    """Records from JSON Lines. A ``digest`` is checked against the content; ``recorded_*`` are this database's to
    give and are passed over. Raises AebertError naming the file and line."""
    found: list[RunRecord] = []
    for number, line in enumerate(file.text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(_record(line))
            except AebertError as error:
                raise AebertError(f"{file.name}: line {number}: {error}") from None
    return tuple(found)


def _record(line: str) -> RunRecord:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise AebertError("not JSON; write one record per line") from None
    if not isinstance(fields, dict):
        raise AebertError("not a JSON object; write one record per line")
    digest = fields.pop("digest", None)
    content = {name: value for name, value in fields.items() if name not in STORED_FIELDS}
    unknown = sorted(set(content) - set(FIELD_NAMES))
    if unknown:
        raise AebertError(f"unknown field {one_line(unknown[0][:60])!r}; see docs/records.md for the fields")
    for name in ("source", "design"):
        if name not in content:
            raise AebertError(f"field {name!r} is missing; every record needs it")
    for name in REAL_FIELDS & set(content):
        if isinstance(content[name], int) and not isinstance(content[name], bool):
            content[name] = _to_float(name, content[name])
    record = RunRecord(**content)
    if digest is not None and digest != content_digest(record):
        raise AebertError("digest does not fit the content: the record was changed; remove the digest if on purpose")
    return record


def _to_float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise AebertError(f"{name} is too large; give a positive number") from None
