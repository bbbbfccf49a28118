"""GLUE from the ``datasets`` library: from the Hugging Face hub, or from a folder that ``save_to_disk`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.support.errors import AebertError
from aebert.tasks.layouts import Columns, find_columns, table_examples
from aebert.tasks.tables import Row, RowTable
from aebert.tasks.task import Example, Task, TaskData

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "datasets:"
_GLUE_NAMES = frozenset({"glue", "nyu-mll/glue"})
_SPLIT_NAMES: Mapping[str, str] = {
    "validation": "dev",
    "validation_matched": "dev_matched",
    "validation_mismatched": "dev_mismatched",
}


def load_library_task(task: Task, source: str) -> TaskData:
    """``source`` is what follows ``datasets:``: the name of a data set on the hub, or a saved folder.

    Raises AebertError where the library cannot find or reach it, and for columns or labels that are not the task's.
    """
    splits = _load_splits(task, source)
    dev = {
        ours: _examples(task, splits[theirs], f"{PREFIX}{source}/{theirs}")
        for theirs, ours in _SPLIT_NAMES.items()
        if theirs in splits
    }
    train = _examples(task, splits["train"], f"{PREFIX}{source}/train") if "train" in splits else []
    if not train and not dev:
        raise AebertError(f"{PREFIX}{source}: no split called train or validation; there are {', '.join(splits)}")
    return TaskData(task, train, dev)


def _load_splits(task: Task, source: str) -> Mapping[str, Dataset]:
    import datasets

    try:
        if Path(source).is_dir():
            loaded = datasets.load_from_disk(source)
        else:
            loaded = datasets.load_dataset(source, task.name if source in _GLUE_NAMES else None)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AebertError(f"{PREFIX}{source}: the datasets library cannot load it ({reason})") from None
    if not isinstance(loaded, datasets.DatasetDict):
        raise AebertError(f"{PREFIX}{source}: one split only; save a DatasetDict with train and validation")
    return {str(name): split for name, split in loaded.items()}


def _examples(task: Task, split: Dataset, where: str) -> list[Example]:
    columns = find_columns(task, split.column_names, where)
    names = _class_names(split, columns)
    chosen = (*columns.text, columns.label)
    rows = []
    for number, values in enumerate(zip(*(split[name] for name in chosen), strict=True), start=1):
        *texts, label = values
        shown = names[label] if names is not None and isinstance(label, int) and 0 <= label < len(names) else str(label)
        rows.append(Row(number, (*(str(text) for text in texts), shown)))
    return table_examples(task, RowTable(Path(where), chosen, rows), columns)


def _class_names(split: Dataset, columns: Columns) -> tuple[str, ...] | None:
    """The names that the data set itself gives its classes, whose order need not be ours."""
    import datasets

    feature = split.features[columns.label]
    return tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None
