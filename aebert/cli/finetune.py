"""``aebert finetune``: train a model or subnet on a task; pruned weights stay zero."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.output import current_output
from aebert.cli.progress import step_progress
from aebert.cli.task_options import read_task_data, task_arguments, task_options


@click.command(name="finetune")
@click.argument("model", type=click.Path(path_type=Path))
@task_options()
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), help="Output folder.")
@click.option("--front", is_flag=True, help="MODEL is a search's run: fine-tune its front, into RUN/tuned.")
@click.option("--epochs", type=float, default=3.0, show_default=True, help="Passes over the rows.")
@click.option("--batch", "batch_size", type=int, default=32, show_default=True, help="Rows per step.")
@click.option("--lr", "learning_rate", type=float, default=5e-5, show_default=True, help="Highest learning rate.")
@click.option("--warmup", type=float, default=0.1, show_default=True, help="Share of steps in which the rate rises.")
@click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Of AdamW.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="Longer rows are cut.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the head, the order and dropout.")
@click.option("--split-seed", type=int, default=0, show_default=True, help="Of the scoring rows left out.")
@click.option(
    "--scoring-rows",
    "--calibration-rows",
    "calibration_rows",
    type=int,
    help="Training rows left out for the search.  [default: 512, or a fifth]",
)
@click.option("--freeze-embeddings", is_flag=True, help="Train the layers and the head only: faster.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 where the GPU or CPU computes in it.",
)
@click.option("--distill", type=click.Path(path_type=Path), help="Dense model, fine-tuned for the task, to learn from.")
@click.option("--distill-weight", type=float, default=0.5, show_default=True, help="Share of the teacher's logits.")
@click.option("--temperature", type=float, default=2.0, show_default=True, help="Of the teacher's logits.")
@click.option("--distill-hidden", type=float, default=0.0, show_default=True, help="Weight of the hidden states.")
@click.option("--checkpoint-seconds", type=float, default=120.0, show_default=True, help="Time between checkpoints.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint, if there is one.")
@click.option("--force", is_flag=True, help="Replace what is in the output folder; without --resume, start over.")
def command(
    model: Path,
    task: str,
    data: str,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    directory: Path | None,
    front: bool,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    warmup: float,
    weight_decay: float,
    max_tokens: int,
    seed: int,
    split_seed: int,
    calibration_rows: int | None,
    freeze_embeddings: bool,
    precision: str,
    distill: Path | None,
    distill_weight: float,
    temperature: float,
    distill_hidden: float,
    checkpoint_seconds: float,
    resume: bool,
    force: bool,
) -> None:
    """Fine-tune MODEL, a Hugging Face directory or a subnet, on a task; in a subnet, zeros stay zero.

    Example: aebert finetune subnet --task mrpc --data glue -o tuned --distill dense
    """
    from aebert.tasks.load import require_train

    if directory is None and not front:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if front and distill is not None:
        raise click.UsageError("--front: takes no --distill; fine-tune subnets of the front one by one for that.")
    rows = read_task_data(task, data, text_columns, label_column, kind, model=distill or model)
    require_train(rows, data)
    from aebert.finetuning import DistillSettings, FinetuneSettings, Teacher, finetune
    from aebert.finetuning.settings import PRECISION_CHOICES

    output = current_output()
    settings = FinetuneSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        max_tokens=max_tokens,
        seed=seed,
        split_seed=split_seed,
        calibration_rows=calibration_rows,
        freeze_embeddings=freeze_embeddings,
        precision=next(choice for choice in PRECISION_CHOICES if choice == precision),
        checkpoint_seconds=checkpoint_seconds,
    )
    if front:
        from aebert.search.run.accuracy_budget import finetune_front

        with step_progress(output) as progress:
            tuned = finetune_front(model, rows, settings, directory, progress)
        output.result(f"fine-tuned {len(tuned)} subnets of the front; no development set was read")
        for _, folder in tuned:
            output.wrote(folder)
        return
    assert directory is not None, "refused above"
    teacher = (
        None if distill is None else Teacher(distill, DistillSettings(distill_weight, temperature, distill_hidden))
    )
    with step_progress(output) as progress:
        report = finetune(model, rows, directory, settings, teacher, resume, force, progress)
    training = report.training
    output.note(
        f"{training.steps} steps on {report.train_rows} rows in {training.seconds:.0f} s ({training.precision}, "
        f"{training.device}); {report.calibration_rows} rows left out for scoring"
    )
    for name, scores in report.dev.items():
        output.result(
            f"{report.task} {name}: " + ", ".join(f"{metric} {score:.4f}" for metric, score in scores.items())
        )
    output.result(report=report)
    asked = task_arguments(task, data, text_columns, label_column, kind)
    output.wrote(directory, f"aebert evaluate {shlex.quote(str(directory))} {asked} --reference both")
