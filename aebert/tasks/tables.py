"""Rows of text files, each with the line it stands on: TSV without quoting, CSV, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import read_input, reason

OWN_SUFFIXES = (".csv", ".jsonl", ".tsv")


@dataclass(frozen=True)
class Row:
    """The fields of one row; ``line`` counts from 1."""

    line: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class RowTable:
    """``columns`` are the names of the fields; rows may have fewer or more of them than that."""

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Row]


def read_text(path: Path) -> str:
    """The content of a UTF-8 file, without a byte order mark."""
    try:
        return read_input(path, remedy="check the path").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise AebertError(f"{path}: line {line}: not UTF-8 text; convert the file") from None


def read_tsv(path: Path) -> RowTable:
    """A tab-separated file whose first line names the columns; a quotation mark is a character like any other."""
    lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
    if not any(line.strip() for line in lines):
        raise AebertError(f"{path}: empty; give a file with a row of column names and one row per example")
    rows = [Row(number, tuple(line.split("\t"))) for number, line in enumerate(lines, start=1) if line.strip()]
    return RowTable(path, tuple(name.strip() for name in rows[0].values), rows[1:])


def read_csv(path: Path) -> RowTable:
    """A comma-separated file with quoting (RFC 4180) whose first row names the columns."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        rows = [Row(reader.line_num, tuple(values)) for values in reader]
    except csv.Error as error:
        if "field larger than field limit" in str(error):
            raise AebertError(
                f"{path}: line {reader.line_num}: a field of more than {csv.field_size_limit()} characters; "
                "shorten it, or close the quotation mark that it begins with"
            ) from None
        raise AebertError(f"{path}: line {reader.line_num}: not CSV ({error}); mend its quoting") from None
    rows = [row for row in rows if row.values]  # the reader gives an empty line no fields
    if not rows:
        raise AebertError(f"{path}: empty; give a file with a row of column names and one row per example")
    return RowTable(path, tuple(name.strip() for name in rows[0].values), rows[1:])


def read_json_lines(path: Path) -> RowTable:
    """A file of one JSON object per line; the first one names the columns. Values are text, numbers or booleans."""
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        fields = _json_fields(line, f"{path}: line {number}")
        columns = columns or tuple(fields)
        missing = [name for name in columns if name not in fields]
        if missing:
            raise AebertError(f"{path}: line {number}: field {missing[0]!r} is missing; give every object all fields")
        rows.append(Row(number, tuple(fields[name] for name in columns)))
    if not rows:
        raise AebertError(f"{path}: empty; give one JSON object per line")
    return RowTable(path, columns, rows)


def _json_fields(line: str, where: str) -> Mapping[str, str]:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:  # also int's own, for more than 4300 digits
        raise AebertError(f"{where}: not JSON ({reason(error)}); give one object per line") from None
    if not isinstance(value, dict):
        raise AebertError(f"{where}: expected a JSON object, found {type(value).__name__}")
    # null is a value that is not there, as an empty field is in CSV.
    return {name: _json_text(field) for name, field in value.items()}


def _json_text(field: object) -> str:
    if field is None:
        return ""
    return field if isinstance(field, str) else json.dumps(field)


def read_own(path: Path) -> RowTable:
    """One's own data, by the suffix of the file."""
    match path.suffix:
        case ".csv":
            return read_csv(path)
        case ".jsonl":
            return read_json_lines(path)
        case ".tsv":
            return read_tsv(path)
        case _:
            raise AebertError(f"{path}: give a file that ends in {', '.join(OWN_SUFFIXES)}")
