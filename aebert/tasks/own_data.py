"""Data of one's own: a folder with train and dev files in CSV, JSON lines or TSV, and the names of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.tasks.layouts import Columns, column_number, label_number, table_examples
from aebert.tasks.tables import OWN_SUFFIXES, RowTable, read_own
from aebert.tasks.task import TaskData, TaskKind, own_task

_DEV_STEMS = ("dev", "validation")


def load_own_task(
    name: str, folder: Path, columns: Columns, kind: TaskKind | None = None, classes: Sequence[str] = ()
) -> TaskData:
    """The rows of ``train.*`` and ``dev.*`` (or ``validation.*``) in ``folder``; either may be missing.

    Without ``kind`` the labels decide: numbers of which at least one is not whole make a regression task, anything
    else a classification whose classes are the distinct labels in sorted order.

    ``classes`` are the names of a model's outputs (`id2label`) in their order: where every label is one of them, by
    name or by number, they are the classes, and some of them may be absent from the data; one output is that of a
    regression where all labels are numbers. Raises AebertError for a row without a label.
    """
    train, dev = _find(folder, ("train",)), _find(folder, _DEV_STEMS)
    if train is None and dev is None:
        suffixes = ", ".join(OWN_SUFFIXES)
        raise AebertError(f"{folder}: neither a train nor a dev file ({suffixes}); give the folder that holds them")
    tables = {path.stem: read_own(path) for path in (train, dev) if path is not None}
    labels = [label for table in tables.values() for label in _labels(table, columns)]
    found = kind or _kind(labels, len(classes))
    task = own_task(name, found, _classes(labels, classes) if found == "classification" else ())
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


def _labels(table: RowTable, columns: Columns) -> list[str]:
    number = column_number(table, columns.label)
    labels = []
    for row in table.rows:
        if len(row.values) > number:
            labels.append(row.values[number].strip())
            if not labels[-1]:
                raise AebertError(f"{table.path}: line {row.line}: no label; fill the row or leave it out")
    return labels


def _kind(labels: Sequence[str], outputs: int) -> TaskKind:
    values = [_number(label) for label in set(labels)]
    fractional = any(value is not None and not value.is_integer() for value in values)
    return "regression" if None not in values and (fractional or outputs == 1) else "classification"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _classes(labels: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Those of the model where the labels are among them; else the distinct ones, whole numbers by value."""
    distinct = sorted(set(labels))
    numbers = {label: label_number(label) for label in distinct}
    if known and all(label in known or _is_below(numbers[label], len(known)) for label in distinct):
        return tuple(known)
    values = {number for number in numbers.values() if number is not None}
    if None not in numbers.values():
        return tuple(str(value) for value in sorted(values))
    return tuple(distinct)


def _is_below(number: int | None, count: int) -> bool:
    return number is not None and 0 <= number < count
