"""finetune.json: what was done to which weights on which rows, and what it led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aebert.finetuning.settings import DistillSettings, FinetuneSettings, Precision


@dataclass(frozen=True)
class TrainingFacts:
    """What training took.

    ``steps`` of the optimiser, ``held_zeros`` pruned weights, ``losses`` the training loss by step, ``seconds`` the
    time of all runs together where a killed one was resumed.
    """

    precision: Precision
    device: str
    threads: int
    steps: int
    held_zeros: int
    resumed_from_step: int | None
    seconds: float
    losses: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class FinetuneReport:
    """The content of finetune.json.

    Digests are of encoders (``source_digest`` before, ``digest`` after training) and of the split. ``dev`` holds the
    metrics of each development set in fp32, as fractions of 1.
    """

    task: str
    source_digest: str
    digest: str
    split_digest: str
    train_rows: int
    calibration_rows: int
    settings: FinetuneSettings
    distillation: DistillSettings | None
    teacher_digest: str | None
    training: TrainingFacts
    dev: Mapping[str, Mapping[str, float]]
