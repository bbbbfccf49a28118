"""JSON Lines in and out, CSV and Parquet out: nothing lost, nothing invented, nothing half-written."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.hls_reports.reading import ReportText
from aebert.records.database import StoredRecord
from aebert.records.record import FIELD_NAMES, RunRecord, content_digest
from aebert.records.transfer import export_records, read_jsonl, to_csv, to_jsonl, to_parquet
from aebert.support.errors import AebertError
from tests.support.run_records import run_records


def stored(record: RunRecord) -> StoredRecord:
    return StoredRecord(record, content_digest(record), "2026-11-22T08:00:00.000+00:00", "someone")


def lines(text: str) -> ReportText:
    return ReportText("runs.jsonl", "runs", "0" * 64, len(text), text)


@settings(max_examples=60)
@given(records=st.lists(run_records(), max_size=6))
def test_json_lines_read_back_as_they_were(records: list[RunRecord]) -> None:
    assert read_jsonl(lines(to_jsonl([stored(record) for record in records]))) == tuple(records)


@settings(max_examples=30, deadline=None)
@given(records=st.lists(run_records(), min_size=1, max_size=4))
def test_parquet_and_csv_hold_the_same_values(records: list[RunRecord]) -> None:
    given_rows = [stored(record) for record in records]
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(to_parquet(given_rows)))
    for row, record, text in zip(
        table.to_pylist(), records, csv.DictReader(to_csv(given_rows).splitlines(keepends=True)), strict=True
    ):
        assert RunRecord(**{name: row[name] for name in FIELD_NAMES}) == record
        assert row["digest"] == text["digest"] == content_digest(record)
        for name in FIELD_NAMES:
            value = getattr(record, name)
            assert text[name] == ("" if value is None else str(value))


def test_parquet_columns_have_types_even_when_empty() -> None:
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(to_parquet([])))
    types = {name: str(table.schema.field(name).type) for name in ("cycles", "latency_ms", "design")}
    assert types == {"cycles": "int64", "latency_ms": "double", "design": "string"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ("[" * 100_000, "line 2: not JSON"),
        ('{"design": "x"}', "line 2: field 'source' is missing"),
        ('{"source": "hw"}', "line 2: field 'design' is missing"),
        ('{"source": "hw", "design": "x", "speed": 3}', "line 2: unknown field 'speed'"),
        ('{"source": "hw", "design": "x", "cycles": "12"}', "line 2: run record: cycles '12' is not a count"),
        ('{"source": "hw", "design": "x", "latency_ms": NaN}', "line 2: run record: latency_ms nan"),
        ('{"source": "hw", "design": "x", "latency_ms": true}', "line 2: run record: latency_ms True"),
        ('{"source": "hw", "design": "x", "latency_ms": 1' + "0" * 400 + "}", "line 2: latency_ms is too large"),
        ('{"source": ["hw"], "design": "x"}', "line 2: run record: source ['hw'] is unknown"),
        ('{"source": "hw", "design": "x", "digest": "' + "0" * 64 + '"}', "digest does not fit the content"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, said: str) -> None:
    with pytest.raises(AebertError) as caught:
        read_jsonl(lines('{"source": "hw", "design": "fine", "latency_ms": 3}\n' + line + "\n"))
    assert str(caught.value).startswith("runs.jsonl: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_fine_for_times() -> None:
    (record,) = read_jsonl(lines(json.dumps({"source": "hw", "design": "x", "latency_ms": 3})))
    assert record.latency_ms == 3.0


def test_an_export_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    record = stored(RunRecord(source="hw", design="x"))
    with pytest.raises(AebertError, match="cannot be written"):
        export_records([record], Path("/proc/missing/runs.csv"), "csv")
    folder = tmp_path / "runs.csv"
    folder.mkdir()
    with pytest.raises(AebertError, match="is a folder"):
        export_records([record], folder, "csv")
    assert list(tmp_path.iterdir()) == [folder]


def test_an_export_replaces_the_old_file_and_is_readable_by_all(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text("old")
    before = os.umask(0o022)
    try:
        export_records([stored(RunRecord(source="hw", design="x"))], file, "jsonl")
    finally:
        os.umask(before)
    assert json.loads(file.read_text())["design"] == "x"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]
