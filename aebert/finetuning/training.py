"""The training itself: settings into the Trainer's terms, masks and checkpoints as its callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import PrinterCallback, TrainingArguments, set_seed

from aebert.finetuning.checkpoints import KeepCheckpoints, last_checkpoint
from aebert.finetuning.classifier import load_classifier
from aebert.finetuning.distillation import Distillation
from aebert.finetuning.finetune_json import TrainingFacts
from aebert.finetuning.held_masks import held_matrices
from aebert.finetuning.settings import DistillSettings, FinetuneSettings, Precision
from aebert.finetuning.trainer import EncodedExamples, SubnetTrainer
from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.host_model import HostModel, load_host_model
from aebert.support.errors import AebertError
from aebert.tasks.predict import required_label_order
from aebert.tasks.task import Example, Task

_LOGGED_STEPS = 50
_KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Teacher:
    """A dense model with a head for the task, to learn from."""

    directory: Path
    settings: DistillSettings = field(default_factory=DistillSettings)


@dataclass(frozen=True)
class Training:
    """What to train: the model in ``source``, whose encoder is ``encoder``, on ``rows``; checkpoints in ``folder``."""

    source: Path
    encoder: Encoder
    holds_zeros: bool
    task: Task
    rows: Sequence[Example]
    settings: FinetuneSettings
    precision: Precision
    teacher: Teacher | None
    folder: Path


def train(job: Training, progress: Callable[[int, int], None]) -> tuple[HostModel, TrainingFacts]:
    """The trained model, on the CPU, from the last checkpoint in the folder or from the beginning.

    Raises AebertError for a teacher that does not fit, and for weights that became infinite.
    """
    if find_spec("accelerate") is None:
        raise AebertError("accelerate is not installed; run pip install 'aebert[finetune]'")
    settings = job.settings
    set_seed(settings.seed)
    host = load_classifier(job.source, job.task)
    if settings.freeze_embeddings:
        host.base.get_submodule("embeddings").requires_grad_(False)
    texts = host.tokenise(
        [example.text for example in job.rows], min(settings.max_tokens, job.encoder.shape.max_positions)
    )
    distillation = None if job.teacher is None else _distillation(job.teacher, host, job)
    trainer = SubnetTrainer(
        host.module, host.tokenizer, EncodedExamples(texts, job.rows), _arguments(job), distillation
    )
    # After the Trainer has moved the model to its device.
    held = held_matrices(host.module, host.architecture, job.encoder.shape.layers) if job.holds_zeros else []
    trainer.hold(held)
    found = last_checkpoint(job.folder)
    spent = 0.0 if found is None else found.seconds
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(KeepCheckpoints(job.folder, settings.checkpoint_seconds, spent, progress))
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=None if found is None else str(found.folder))
    seconds = spent + time.monotonic() - began
    if not all(bool(torch.isfinite(parameter).all()) for parameter in host.module.parameters()):
        raise AebertError(f"{job.source}: the weights became infinite in training; use a smaller --lr or fp32")
    facts = TrainingFacts(
        precision=job.precision,
        device=str(trainer.args.device),
        threads=torch.get_num_threads(),
        steps=trainer.state.global_step,
        held_zeros=sum(int(matrix.zeros.sum()) for matrix in held),
        resumed_from_step=None if found is None else found.step,
        seconds=seconds,
        losses=tuple(
            (int(entry["step"]), float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry
        ),
    )
    host.module.cpu().eval()
    return host, facts


def _arguments(job: Training) -> TrainingArguments:
    settings = job.settings
    on_gpu = torch.cuda.is_available()
    steps = math.ceil(math.ceil(len(job.rows) / settings.batch_size) * settings.epochs)
    return TrainingArguments(
        output_dir=str(job.folder),
        per_device_train_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        bf16=job.precision == "bf16",
        fp16=job.precision == "fp16",
        use_cpu=not on_gpu,
        dataloader_pin_memory=on_gpu,
        save_strategy="no",  # KeepCheckpoints asks for them, by the clock
        save_total_limit=_KEPT_CHECKPOINTS,
        logging_steps=max(1, steps // _LOGGED_STEPS),
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )


def _distillation(teacher: Teacher, student: HostModel, job: Training) -> Distillation:
    """The teacher, checked to read the same tokens and, for hidden states, to have the student's sizes."""
    host = load_host_model(teacher.directory)
    order = required_label_order(host, job.task)
    if host.tokenizer.get_vocab() != student.tokenizer.get_vocab():
        raise AebertError(f"{teacher.directory}: its vocabulary is not the student's; distil from the dense original")
    if teacher.settings.hidden_weight > 0:
        theirs, ours = load_encoder(teacher.directory).shape, job.encoder.shape
        if (theirs.layers, theirs.hidden) != (ours.layers, ours.hidden):
            raise AebertError(
                f"{teacher.directory}: {theirs.layers} layers of {theirs.hidden}, the student has {ours.layers} of "
                f"{ours.hidden}; hidden states can only be distilled between equal sizes"
            )
    return Distillation(host.module, job.task.kind, teacher.settings, order)
