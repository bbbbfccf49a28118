"""Which text calibrates the integers of a command: a file, a task's own training rows, or the text that ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.models.text import Text
    from aebert.tasks import TaskData


def chosen_texts(text: Path | None, data: TaskData | None) -> list[Text]:
    """The sentences of ``text``; else those training rows of ``data`` that searches score on; else what ships.

    Rows like those that the accelerator will see fit its scales best (docs/quantisation.md). Short inputs made of
    them are added.
    """
    from aebert.models.calibration_text import calibration_texts, with_short

    if text is not None or data is None or not data.train:
        return calibration_texts(text)
    from aebert.tasks import split_train

    rows = split_train(data.train).calibration or data.train
    return with_short([row.text for row in rows])


def optional_task_data(
    model: Path,
    text: Path | None,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
) -> TaskData | None:
    """The task whose rows are to calibrate ``model``, if any.

    Raises AebertError for options that do not go together.
    """
    if task is None:
        if data is not None or text_columns is not None or label_column is not None or kind is not None:
            raise AebertError("--data and its columns belong to a task; give --task too")
        return None
    if data is None:
        raise AebertError("--task: no data; give --data the folder of its files")
    if text is not None:
        raise AebertError("--text and --task: either calibrates; leave one out")
    from aebert.cli.task_options import read_task_data
    from aebert.tasks.load import require_train

    rows = read_task_data(task, data, text_columns, label_column, kind, model=model)
    require_train(rows, data)
    return rows
