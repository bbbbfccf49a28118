"""``aebert search --max-loss``: what follows the search, and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aebert.cli.output import Output
from aebert.cli.progress import step_progress

if TYPE_CHECKING:
    from aebert.search.run.accuracy_budget import AccuracyChoice
    from aebert.tasks import TaskData

# Where --max-loss has no --ratio beside it: from hardly any loss to more than fine-tuning makes up for.
RATIOS = "0.3..0.9"


def meet_loss(
    output: Output,
    model: Path,
    run: Path,
    data: TaskData,
    max_loss: float,
    epochs: float,
    calibration_rows: int | None,
    split_seed: int,
) -> bool:
    """Fine-tune the front, choose and say so; whether a subnet keeps to the loss."""
    from aebert.finetuning import FinetuneSettings
    from aebert.search.run.accuracy_budget import choose_within

    settings = FinetuneSettings(epochs=epochs, calibration_rows=calibration_rows, split_seed=split_seed)
    with step_progress(output) as progress:
        choice = choose_within(model, run, data, max_loss, settings, progress)
    for line in describe(choice):
        output.result(line)
    output.result(accuracy_budget=choice, holds_on_dev=choice.holds_on_dev)
    return choice.chosen is not None


def describe(choice: AccuracyChoice) -> list[str]:
    """One line for each member, one for the choice, one for each development set."""
    lines = [f"dense: {choice.metric} {choice.dense:.4f} on {choice.scoring_rows} scoring rows"]
    for each in choice.members:
        latency = "" if each.latency_ms is None else f", {each.latency_ms:.4f} ms"
        lines.append(f"front/{each.name}: {choice.metric} {each.metric:.4f}, loses {each.loss_points:.2f}{latency}")
    if choice.chosen is None:
        least = min(each.loss_points for each in choice.members)
        lines.append(
            f"none loses at most {choice.max_loss:g} points (least: {least:.2f}); allow more, lower --ratio or raise "
            "--candidates or --epochs"
        )
        return lines
    lines.append(f"chosen: front/{choice.chosen.name}")
    for name, dev in choice.dev.items():
        holds = "holds" if dev.loss_points <= choice.max_loss else "does not hold"
        lines.append(
            f"{name}: dense {dev.dense:.4f}, chosen {dev.chosen:.4f}: loses {dev.loss_points:.2f} points "
            f"(standard error {dev.standard_error:.2f}, {dev.rows} rows); a loss of {choice.max_loss:g} {holds}"
        )
    return lines
