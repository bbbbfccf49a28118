"""Tasks: their rows, the split that calibrates a search, and the metrics of GLUE."""

from aebert.tasks.layouts import Columns
from aebert.tasks.load import load_task
from aebert.tasks.metrics import compute_metrics
from aebert.tasks.split import Split, split_train
from aebert.tasks.task import GLUE_TASKS, Example, Task, TaskData, find_task

__all__ = [
    "GLUE_TASKS",
    "Columns",
    "Example",
    "Split",
    "Task",
    "TaskData",
    "compute_metrics",
    "find_task",
    "load_task",
    "split_train",
]
