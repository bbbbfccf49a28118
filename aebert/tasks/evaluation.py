"""The metric of a model on a task: in fp32, in the accelerator's integers, and how far the two are apart."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aebert.models.host_model import HostModel
from aebert.support.errors import AebertError
from aebert.support.progress import Progress, no_progress
from aebert.tasks.metrics import compute_metrics
from aebert.tasks.predict import EncoderRun, predict_logits
from aebert.tasks.task import Example, Task, TaskData

# A metric of the integer reference may lie this far below its fp32 metric, in points (hundredths).
ALLOWED_LOSS_POINTS = 1.0


@dataclass(frozen=True)
class Evaluation:
    """One development set: metrics as fractions of 1 in fp32 and by the integer reference (None: not asked for).

    ``seconds`` is the time of this evaluation on the host.
    """

    task: str
    rows_of: str
    rows: int
    primary: str
    fp32: Mapping[str, float] | None
    integer: Mapping[str, float] | None
    seconds: float

    @property
    def loss_points(self) -> float | None:
        """By how many points the primary metric is lower in integers than in fp32; negative: higher."""
        if self.fp32 is None or self.integer is None:
            return None
        return points_lost(self.fp32[self.primary], self.integer[self.primary])

    @property
    def within_limit(self) -> bool | None:
        """Whether the integers lose no more than ``ALLOWED_LOSS_POINTS``; None where one of the two is missing."""
        loss = self.loss_points
        return None if loss is None else loss <= ALLOWED_LOSS_POINTS


def points_lost(before: float, after: float) -> float:
    """The difference of two metrics in points (hundredths), rounded where only floating point makes the digits."""
    return round(100 * (before - after), 9)


def evaluate_rows(
    host: HostModel,
    task: Task,
    run: EncoderRun,
    rows: Sequence[Example],
    max_tokens: int,
    step: str = "evaluating",
    progress: Progress = no_progress,
) -> Mapping[str, float]:
    """The metrics of ``host`` with the encoder ``run`` on ``rows``, cut to ``max_tokens``."""
    logits = predict_logits(host, task, run, rows, max_tokens, lambda done, total: progress(step, done, total))
    return {str(name): value for name, value in compute_metrics(task, logits, [row.label for row in rows]).items()}


def evaluate(
    host: HostModel,
    data: TaskData,
    rows_of: str,
    max_tokens: int,
    fp32: EncoderRun | None,
    integer: EncoderRun | None,
    rows: int | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """Evaluate on the development set called ``rows_of``, or on ``rows`` of it; either run may be left out."""
    if rows_of not in data.dev:
        known = ", ".join(data.dev) or "none"
        raise AebertError(f"{data.task.name}: no development set {rows_of!r}; there are: {known}")
    chosen = choose_rows(data.dev[rows_of], rows)
    began = time.monotonic()

    def metrics(run: EncoderRun | None, name: str) -> Mapping[str, float] | None:
        if run is None:
            return None
        return evaluate_rows(host, data.task, run, chosen, max_tokens, f"{rows_of}, {name}", progress)

    return Evaluation(
        task=data.task.name,
        rows_of=rows_of,
        rows=len(chosen),
        primary=data.task.primary,
        fp32=metrics(fp32, "fp32"),
        integer=metrics(integer, "integer reference"),
        seconds=time.monotonic() - began,
    )


def choose_rows(rows: Sequence[Example], count: int | None) -> Sequence[Example]:
    """``count`` rows spread evenly over ``rows``; all of them for None or where there are no more."""
    if count is None or count >= len(rows):
        return rows
    if count < 1:
        raise AebertError(f"rows: {count} is too few; give at least 1")
    return [rows[number] for number in np.linspace(0, len(rows) - 1, count).round().astype(int)]
