"""A task by name, from wherever its data lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.tasks.layouts import Columns, glue_examples
from aebert.tasks.library_data import PREFIX, load_library_task
from aebert.tasks.own_data import load_own_task
from aebert.tasks.tables import read_tsv
from aebert.tasks.task import Example, Task, TaskData, TaskKind, find_task, plain_name

_TRAIN_FILE = "train.tsv"
# The names of GLUE's own files, then those of the data sets' splits.
_DEV_FILES: Mapping[str, tuple[str, ...]] = {
    "dev": ("dev.tsv", "validation.tsv"),
    "dev_matched": ("dev_matched.tsv", "validation_matched.tsv"),
    "dev_mismatched": ("dev_mismatched.tsv", "validation_mismatched.tsv"),
}


def load_task(
    name: str,
    source: Path | str,
    columns: Columns | None = None,
    kind: TaskKind | None = None,
    with_train: bool = True,
    classes: Sequence[str] = (),
) -> TaskData:
    """The labelled rows of the task called ``name``.

    ``source`` is a GLUE task's folder of TSV files, the folder above it, ``datasets:NAME_OR_FOLDER``, or, with
    ``columns``, a folder of one's own files. A set that is not there is left empty; ``with_train=False`` does not look
    for the training rows of a GLUE folder. ``classes`` are those of the model, which data of one's own then has too
    (see ``load_own_task``). Raises AebertError that names the file and line of a malformed row.
    """
    if columns is not None:
        return load_own_task(name, _existing_folder(Path(source)), columns, kind, classes)
    task = find_task(name)
    if str(source).startswith(PREFIX):
        return load_library_task(task, str(source).removeprefix(PREFIX))
    return _load_folder(task, _existing_folder(Path(source)), with_train)


def _existing_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise AebertError(f"{folder}: no such folder; give --data the folder that holds train.tsv and dev.tsv")
    return folder


def _load_folder(task: Task, source: Path, with_train: bool) -> TaskData:
    folder = _task_folder(task, source)
    train = folder / _TRAIN_FILE
    return TaskData(
        task,
        _read(task, train) if with_train and train.is_file() else [],
        {
            name: _read(task, found[0])
            for name, files in _DEV_FILES.items()
            if (found := [folder / file for file in files if (folder / file).is_file()])
        },
    )


def _task_folder(task: Task, source: Path) -> Path:
    """``source`` itself, or the folder in it that bears the task's name."""
    files = (_TRAIN_FILE, *(file for files in _DEV_FILES.values() for file in files))
    named = sorted(path for path in source.iterdir() if path.is_dir() and plain_name(path.name) == task.name)
    for folder in (source, *named):
        if any((folder / file).is_file() for file in files):
            return folder
    raise AebertError(f"{source}: no {_TRAIN_FILE} or dev.tsv of {task.name}, here or in a folder of that name")


def _read(task: Task, path: Path) -> list[Example]:
    return glue_examples(task, read_tsv(path))


def require_train(data: TaskData, source: Path | str) -> None:
    """Raise AebertError if there is nothing to train on."""
    if not data.train:
        raise AebertError(f"{source}: no training rows for {data.task.name}; add its train file")


def require_dev(data: TaskData, source: Path | str) -> None:
    """Raise AebertError if there is nothing to evaluate on."""
    if not data.dev:
        raise AebertError(f"{source}: no development rows for {data.task.name}; add its dev file")
