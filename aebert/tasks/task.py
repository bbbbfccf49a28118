"""Tasks of text classification and regression: the nine of GLUE, and those of one's own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from aebert.models.text import Text
from aebert.support.errors import AebertError

TaskKind = Literal["classification", "regression"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
MetricName = Literal["accuracy", "f1", "f1_macro", "matthews", "pearson", "spearman"]


@dataclass(frozen=True)
class Task:
    """What a model is asked for.

    ``labels`` are the names of the classes, by the number that the model gives them (empty for regression).
    ``metrics`` are reported, ``primary`` among them is the one by which models are compared. ``value_range`` bounds the
    targets of a regression task where they are known.
    """

    name: str
    kind: TaskKind
    labels: tuple[str, ...]
    metrics: tuple[MetricName, ...]
    primary: MetricName
    value_range: tuple[float, float] | None = None

    @property
    def outputs(self) -> int:
        """The number of logits: one per class, or one for regression."""
        return len(self.labels) if self.kind == "classification" else 1


@dataclass(frozen=True)
class Example:
    """A sentence or a pair, with the number of its class or its target value."""

    text: Text
    label: int | float


@dataclass(frozen=True)
class TaskData:
    """The labelled rows of a task; ``dev`` has one entry per development set (MNLI has two). Either may be empty."""

    task: Task
    train: Sequence[Example]
    dev: Mapping[str, Sequence[Example]]


def _classes(name: str, labels: tuple[str, ...], *metrics: MetricName) -> Task:
    return Task(name, "classification", labels, metrics, metrics[0])


_ENTAILMENT = ("entailment", "not_entailment")

# Metrics: GLUE (Wang et al. 2019), table 1. Order of the labels: the one of the data sets published on the Hugging Face
# hub, which fine-tuned models follow. GLUE gives MRPC, QQP and STS-B two metrics; the first one is the primary here,
# but for STS-B, whose papers compare by Spearman.
GLUE_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            _classes("cola", ("unacceptable", "acceptable"), "matthews"),
            _classes("sst2", ("negative", "positive"), "accuracy"),
            _classes("mrpc", ("not_equivalent", "equivalent"), "accuracy", "f1"),
            _classes("qqp", ("not_duplicate", "duplicate"), "accuracy", "f1"),
            Task("stsb", "regression", (), ("pearson", "spearman"), "spearman", value_range=(0.0, 5.0)),
            _classes("mnli", ("entailment", "neutral", "contradiction"), "accuracy"),
            _classes("qnli", _ENTAILMENT, "accuracy"),
            _classes("rte", _ENTAILMENT, "accuracy"),
            _classes("wnli", ("not_entailment", "entailment"), "accuracy"),
        )
    }
)


def plain_name(name: str) -> str:
    """A task's or folder's name without case and punctuation, so that ``SST-2`` is ``sst2``."""
    return name.lower().replace("-", "").replace("_", "")


def find_task(name: str) -> Task:
    """The GLUE task called ``name`` (``SST-2``, ``sst2`` and ``sst_2`` are one). Raises AebertError for any other."""
    try:
        return GLUE_TASKS[plain_name(name)]
    except KeyError:
        known = ", ".join(GLUE_TASKS)
        raise AebertError(
            f"task {name!r}: not one of {known}; for data of your own give --text-columns and --label-column"
        ) from None


def own_task(name: str, kind: TaskKind, labels: tuple[str, ...]) -> Task:
    """A task of one's own: accuracy and F1 (of class 1, or the mean over classes), or both correlations."""
    if kind == "regression":
        return Task(name, kind, (), ("pearson", "spearman"), "spearman")
    if len(labels) < 2:
        raise AebertError(f"task {name!r}: the label column holds {len(labels)} class(es); two are needed")
    return _classes(name, labels, "accuracy", "f1" if len(labels) == 2 else "f1_macro")
