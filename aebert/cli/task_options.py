"""The options by which commands name a task and its data."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from aebert.cli.names import complete_task
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.tasks import TaskData

Command = TypeVar("Command", bound=Callable[..., object])

_KINDS = ("classification", "regression")


def task_options(required: bool = True) -> Callable[[Command], Command]:
    """Add ``--task``, ``--data``, ``--text-columns``, ``--label-column`` and ``--kind`` to a command."""

    def add(command: Command) -> Command:
        for option in reversed(
            (
                click.option(
                    "--task",
                    required=required,
                    shell_complete=complete_task,
                    help="A GLUE task such as mrpc, or a name for your own data.",
                ),
                click.option(
                    "--data",
                    required=required,
                    metavar="DIR",
                    help="Folder of the task's files, or the folder above it; or datasets:NAME (see docs/tasks.md).",
                ),
                click.option("--text-columns", metavar="A[,B]", help="Your own data: the column(s) of text."),
                click.option("--label-column", metavar="NAME", help="Your own data: the column of labels."),
                click.option("--kind", type=click.Choice(_KINDS), help="Your own data, where labels leave it open."),
            )
        ):
            command = option(command)
        return command

    return add


def task_arguments(task: str, data: str, text_columns: str | None, label_column: str | None, kind: str | None) -> str:
    """The same options as they are typed in a shell, for the next command."""
    given = {
        "--task": task,
        "--data": data,
        "--text-columns": text_columns,
        "--label-column": label_column,
        "--kind": kind,
    }
    return shlex.join(word for name, value in given.items() if value is not None for word in (name, value))


def read_task_data(
    task: str,
    data: str,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    with_train: bool = True,
    model: Path | None = None,
) -> TaskData:
    """The rows that these options name; data of one's own has the classes of ``model`` where its labels are among them.

    Raises AebertError for options that do not go together."""
    from aebert.tasks import Columns, load_task
    from aebert.tasks.task import TASK_KINDS

    chosen = next((known for known in TASK_KINDS if known == kind), None)
    if text_columns is None and label_column is None:
        if kind is not None:
            raise AebertError("--kind is for data of your own; give --text-columns and --label-column too")
        return load_task(task, data, with_train=with_train)
    if text_columns is None or label_column is None:
        raise AebertError("data of your own needs both --text-columns and --label-column")
    columns = Columns(tuple(name.strip() for name in text_columns.split(",")), label_column)
    return load_task(task, data, columns, chosen, with_train, _classes(model))


def optional_task_data(
    model: Path,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
) -> TaskData | None:
    """The development rows, where a task is named; ``model`` as in `read_task_data`.

    Raises AebertError for half of a name and for a task without any.
    """
    from aebert.tasks.load import require_dev

    if task is None and data is None:
        return None
    if task is None or data is None:
        raise AebertError("a task needs both --task and --data")
    examples = read_task_data(task, data, text_columns, label_column, kind, with_train=False, model=model)
    require_dev(examples, data)
    return examples


def _classes(model: Path | None) -> tuple[str, ...]:
    """The names of the outputs of the model, subnet, project or run of a search in ``model``."""
    from aebert.models.labels import head_classes

    if model is None:
        return ()
    if (model / "config.json").is_file():
        return head_classes(model)
    held = (folder for folder in (model / "model", model / "best") if (folder / "config.json").is_file())
    return head_classes(next(held, model))
