"""What fine-tuning is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aebert.models.calibration_text import MAX_TOKENS
from aebert.support.errors import AebertError

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]
Precision = Literal["fp32", "bf16", "fp16"]
PRECISION_CHOICES: tuple[PrecisionChoice, ...] = get_args(PrecisionChoice)


@dataclass(frozen=True)
class FinetuneSettings:
    """How to train.

    The learning rate rises linearly over the first ``warmup`` of all steps and falls linearly to zero (AdamW).
    ``seed`` draws the head, the order of the rows and dropout; ``split_seed`` and ``calibration_rows`` (None: 512, or a
    fifth of a small training set) name the training rows that are left out because the search scores on them. A
    checkpoint is written every ``checkpoint_seconds``.
    """

    epochs: float = 3.0
    batch_size: int = 32
    learning_rate: float = 5e-5
    warmup: float = 0.1
    weight_decay: float = 0.0
    max_tokens: int = MAX_TOKENS
    seed: int = 0
    split_seed: int = 0
    calibration_rows: int | None = None
    freeze_embeddings: bool = False
    precision: PrecisionChoice = "auto"
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        _check("epochs", self.epochs, self.epochs > 0, "more than 0")
        _check("batch", self.batch_size, self.batch_size >= 1, "at least 1")
        _check("lr", self.learning_rate, 0 < self.learning_rate < 1, "between 0 and 1")
        _check("warmup", self.warmup, 0 <= self.warmup < 1, "at least 0 and less than 1")
        _check("weight decay", self.weight_decay, 0 <= self.weight_decay < 1, "at least 0 and less than 1")
        _check("max tokens", self.max_tokens, self.max_tokens >= 4, "at least 4")
        _check("seed", self.seed, self.seed >= 0, "at least 0")
        _check("split seed", self.split_seed, self.split_seed >= 0, "at least 0")


@dataclass(frozen=True)
class DistillSettings:
    """How much a dense teacher counts.

    The loss is ``(1 - logits_weight) * task + logits_weight * T^2 * KL(teacher || student)`` at temperature ``T``
    (Hinton et al. 2015; for regression the squared difference of the outputs), plus ``hidden_weight`` times the mean
    squared difference of the layers' outputs (TinyBERT, Jiao et al. 2020).
    """

    logits_weight: float = 0.5
    temperature: float = 2.0
    hidden_weight: float = 0.0

    def __post_init__(self) -> None:
        _check("distillation weight", self.logits_weight, 0 <= self.logits_weight <= 1, "from 0 to 1")
        _check("temperature", self.temperature, self.temperature > 0, "more than 0")
        _check("hidden-state weight", self.hidden_weight, self.hidden_weight >= 0, "at least 0")


def _check(name: str, value: float, holds: bool, wanted: str) -> None:
    if not holds:
        raise AebertError(f"{name}: {value} is not {wanted}")
