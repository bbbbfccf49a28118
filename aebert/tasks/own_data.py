"""Data of one's own: a folder with train and dev files in CSV, JSON lines or TSV, and the names of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aebert.errors import AebertError
from aebert.tasks.layouts import Columns, column_number, table_examples
from aebert.tasks.tables import OWN_SUFFIXES, Table, read_own
from aebert.tasks.task import TaskData, TaskKind, own_task

_DEV_STEMS = ("dev", "validation")


def load_own_task(name: str, folder: Path, columns: Columns, kind: TaskKind | None = None) -> TaskData:
    """The rows of ``train.*`` and ``dev.*`` (or ``validation.*``) in ``folder``; either may be missing.

    Without ``kind`` the labels decide: numbers of which at least one is not whole make a regression task, anything
    else a classification whose classes are the distinct labels in sorted order.
    """
    train, dev = _find(folder, ("train",)), _find(folder, _DEV_STEMS)
    if train is None and dev is None:
        suffixes = ", ".join(OWN_SUFFIXES)
        raise AebertError(f"{folder}: neither a train nor a dev file ({suffixes}); give the folder that holds them")
    tables = {path.stem: read_own(path) for path in (train, dev) if path is not None}
    labels = [label for table in tables.values() for label in _labels(table, columns)]
    found = kind or _kind(labels)
    task = own_task(name, found, _classes(labels) if found == "classification" else ())
    return TaskData(
        task,
        [] if train is None else table_examples(task, tables[train.stem], columns),
        {} if dev is None else {"dev": table_examples(task, tables[dev.stem], columns)},
    )


def _find(folder: Path, stems: Sequence[str]) -> Path | None:
    found = [folder / f"{stem}{suffix}" for stem in stems for suffix in OWN_SUFFIXES]
    existing = [path for path in found if path.is_file()]
    if len(existing) > 1:
        raise AebertError(f"{folder}: holds both {existing[0].name} and {existing[1].name}; leave one")
    return existing[0] if existing else None


def _labels(table: Table, columns: Columns) -> list[str]:
    number = column_number(table, columns.label)
    return [row.values[number].strip() for row in table.rows if len(row.values) > number]


def _kind(labels: Sequence[str]) -> TaskKind:
    values = [_number(label) for label in set(labels)]
    fractional = any(value is not None and not value.is_integer() for value in values)
    return "regression" if None not in values and fractional else "classification"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _classes(labels: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels: whole numbers by value, anything else as text."""
    distinct = sorted(set(labels))
    if all(label.lstrip("-").isdecimal() for label in distinct):
        return tuple(sorted(distinct, key=int))
    return tuple(distinct)
