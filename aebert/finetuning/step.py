"""Fine-tuning of a model or subnet: the Trainer does the training, the masks stay, dev is read once at the end."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from aebert.finetuning.checkpoints import open_training
from aebert.finetuning.finetune_json import FinetuneReport
from aebert.finetuning.precision import choose_precision
from aebert.finetuning.settings import FinetuneSettings, Precision
from aebert.finetuning.training import Teacher, Training, train
from aebert.models import load_encoder
from aebert.models.companions import copy_companions
from aebert.models.encoder import Encoder
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.pretrained import quiet_transformers
from aebert.pruning.subnet import (
    FINETUNE_FILE,
    SUBNET_FILE,
    SubnetRecord,
    make_record,
    read_subnet,
    write_subnet,
)
from aebert.support.atomic_files import write_json, writing
from aebert.support.errors import AebertError
from aebert.support.output_directory import check_replaceable, replaced_directory
from aebert.support.progress import Progress, no_progress
from aebert.tasks.evaluation import evaluate_rows
from aebert.tasks.predict import fp32_run
from aebert.tasks.split import Split, split_train
from aebert.tasks.task import TaskData

_KIND = "fine-tuned model"


def finetune(
    source: Path,
    data: TaskData,
    output: Path,
    settings: FinetuneSettings | None = None,
    teacher: Teacher | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> FinetuneReport:
    """Train the model or subnet in ``source`` on ``data`` and write the same kind of folder to ``output``.

    In a subnet the zeros of the prunable matrices stay. Checkpoints lie beside ``output`` until it is complete; with
    ``resume`` a killed training goes on from the last one. The rows of the calibration split are not trained on, and
    ``data.dev`` is looked at only after the last step.

    Raises AebertError for whatever ``load_encoder``, ``split_train``, ``open_training`` or ``train`` refuse.
    """
    settings = settings or FinetuneSettings()
    subnet = read_subnet(source) if (source / SUBNET_FILE).is_file() else None
    check_replaceable(output, *((SUBNET_FILE, "subnet") if subnet else (FINETUNE_FILE, _KIND)), force)
    encoder = subnet.encoder if subnet else load_encoder(source)
    if not data.train:
        raise AebertError(f"{data.task.name}: no training rows; fine-tuning needs the task's train file")
    split = split_train(data.train, settings.calibration_rows, settings.split_seed)
    precision = choose_precision(settings.precision)
    teacher_digest = None if teacher is None else load_encoder(teacher.directory).digest
    description = _describe(encoder, data, split, settings, precision, teacher, teacher_digest)
    folder = open_training(output, description, resume, force)
    host, facts = train(
        Training(
            source=source,
            encoder=encoder,
            holds_zeros=subnet is not None,
            task=data.task,
            rows=split.fine_tuning,
            settings=settings,
            precision=precision,
            teacher=teacher,
            folder=folder,
        ),
        lambda done, total: progress("fine-tuning", done, total),
    )
    staged = _stage(host, source, folder / "model")
    result = load_encoder(staged)
    report = FinetuneReport(
        task=data.task.name,
        source_digest=encoder.digest,
        digest=result.digest,
        split_digest=split.digest,
        train_rows=len(split.fine_tuning),
        calibration_rows=len(split.calibration),
        settings=settings,
        distillation=None if teacher is None else teacher.settings,
        teacher_digest=teacher_digest,
        training=facts,
        dev=_evaluate(staged, result, data, settings.max_tokens, progress),
    )
    if subnet is None:
        _write_model(staged, output, report, force)
    else:
        record = _tuned_record(subnet.record, result, report)
        write_subnet(staged, output, result, record, force, {FINETUNE_FILE: dataclasses.asdict(report)})
    shutil.rmtree(folder)
    return report


def _describe(
    encoder: Encoder,
    data: TaskData,
    split: Split,
    settings: FinetuneSettings,
    precision: Precision,
    teacher: Teacher | None,
    teacher_digest: str | None,
) -> Mapping[str, object]:
    """What must be the same when a training is resumed; how often it writes checkpoints need not be."""
    fixed = {name: value for name, value in dataclasses.asdict(settings).items() if name != "checkpoint_seconds"}
    return {
        **fixed,
        "model": encoder.digest,
        "task": data.task.name,
        "data": split.digest,
        "precision": precision,
        "distillation": None if teacher is None else dataclasses.asdict(teacher.settings),
        "teacher": teacher_digest,
    }


def _stage(host: HostModel, source: Path, staged: Path) -> Path:
    """Save the trained model with what lay beside its source."""
    shutil.rmtree(staged, ignore_errors=True)
    with quiet_transformers(), writing(staged):
        host.module.save_pretrained(staged)
    copy_companions(source, staged)
    return staged


def _evaluate(
    staged: Path, encoder: Encoder, data: TaskData, max_tokens: int, progress: Progress
) -> dict[str, Mapping[str, float]]:
    host = load_host_model(staged)
    longest = min(max_tokens, encoder.shape.max_positions)
    return {
        name: evaluate_rows(host, data.task, fp32_run(encoder), rows, longest, f"evaluating {name}", progress)
        for name, rows in data.dev.items()
    }


def _write_model(staged: Path, output: Path, report: FinetuneReport, force: bool) -> None:
    with replaced_directory(output, FINETUNE_FILE, _KIND, force) as folder:
        shutil.copytree(staged, folder, dirs_exist_ok=True)
        write_json(folder / FINETUNE_FILE, dataclasses.asdict(report))


def _tuned_record(before: SubnetRecord, encoder: Encoder, report: FinetuneReport) -> SubnetRecord:
    """The record of a subnet whose weights were trained: its zeros are counted anew, the dev metrics are added."""
    dev = {
        f"{report.task}/{name}/{metric}": value for name, found in report.dev.items() for metric, value in found.items()
    }
    record = make_record(
        encoder,
        before.source_digest,
        before.pattern,
        before.saliency,
        before.compensation,
        before.seed,
        {**before.scores, **dev},
    )
    return dataclasses.replace(record, pruned_digest=before.pruned_digest or before.digest)
