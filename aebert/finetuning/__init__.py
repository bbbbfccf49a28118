"""Fine-tuning with pruned weights held at zero, through transformers' Trainer."""

from aebert.finetuning.finetune_json import FinetuneReport, TrainingFacts
from aebert.finetuning.settings import DistillSettings, FinetuneSettings
from aebert.finetuning.step import finetune
from aebert.finetuning.training import Teacher

__all__ = ["DistillSettings", "FinetuneReport", "FinetuneSettings", "Teacher", "TrainingFacts", "finetune"]
