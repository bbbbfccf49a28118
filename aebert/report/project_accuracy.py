"""What is known of a task's metric in a project: measured for this report, or recorded when its subnet was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.models.config_json import read_json_object
from aebert.pruning.subnet import FINETUNE_FILE, SUBNET_FILE, SubnetRecord, read_record
from aebert.report.accuracy import Stage
from aebert.search.run.accuracy_budget import CHOICE_FILE, read_choice
from host.verify.task import TaskCheck

# Of each development set by name: each metric of the dense model.
DenseMetrics = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ProjectAccuracy:
    """``stages`` of the task's ``metric``; ``lowest_allowed`` where the subnet was chosen within a budget."""

    metric: str
    stages: tuple[Stage, ...]
    source: str
    lowest_allowed: float | None = None


def subnet_record(model: Path) -> SubnetRecord | None:
    """subnet.json of a project's model; None for one that was never pruned."""
    return read_record(model / SUBNET_FILE) if (model / SUBNET_FILE).is_file() else None


def measured_accuracy(check: TaskCheck, model: Path, dense: DenseMetrics, own: str, of_dense: str) -> ProjectAccuracy:
    """From the development rows run for the report. ``own`` and ``of_dense``: latencies with their sources."""
    rows = f"{check.task} {check.rows_of}, {len(check.sequences)} rows"
    tuned = (model / FINETUNE_FILE).is_file()
    form = "fine-tuned" if tuned else "pruned" if (model / SUBNET_FILE).is_file() else "dense"
    latency = check.latency
    on_device = "-" if latency is None else f"{latency.kernel_ms.median:.4f} ms ({latency.source}, median row)"
    stages = []
    if check.rows_of in dense:
        stages.append(Stage("dense", "dense model, fp32", rows, dense[check.rows_of][check.primary], of_dense))
    stages.append(Stage(form, f"{form} model, fp32", rows, check.fp32[check.primary], own))
    if not check.different:
        stages.append(Stage("integers", "integer reference", rows, check.metrics[check.primary], own))
    stages.append(Stage("device", check.device, rows, check.metrics[check.primary], on_device))
    different = len(check.different)
    bits = "The device's bits are the integer reference's on every row" if not different else (
        f"The device's bits differ from the integer reference's on {different} rows"
    )  # fmt: skip
    return ProjectAccuracy(check.primary, tuple(stages), f"Measured for this report, one row a launch. {bits}.")


def recorded_accuracy(model: Path, own: str, of_dense: str) -> ProjectAccuracy | None:
    """From the records that came with the subnet: the search's, fine-tuning's, the accuracy budget's."""
    choice = read_choice(model)
    record = subnet_record(model)
    scores = {} if record is None else record.scores
    stages = []
    metric, lowest = "metric", None
    if choice is not None and choice.chosen is not None:
        metric, lowest = choice.metric, choice.dense - choice.max_loss / 100
        rows = f"{choice.task}, {choice.scoring_rows} scoring rows"
        stages.append(Stage("dense", "dense model, fp32", rows, choice.dense, of_dense))
        if "calibration_metric" in scores:
            stages.append(Stage("pruned", "pruned model, fp32", rows, scores["calibration_metric"], own))
        stages.append(Stage("fine-tuned", "fine-tuned model, fp32", rows, choice.chosen.metric, own))
        for name, dev in choice.dev.items():
            rows = f"{choice.task} {name}, {dev.rows} rows"
            stages.append(Stage("dense", "dense model, fp32", rows, dev.dense, of_dense))
            stages.append(Stage("fine-tuned", "fine-tuned model, fp32", rows, dev.chosen, own))
    else:
        if "calibration_metric" in scores:
            stages.append(Stage("pruned", "pruned model, fp32", "scoring rows", scores["calibration_metric"], own))
        for rows, metric_of_rows, value in _tuned(model):
            metric = metric_of_rows
            stages.append(Stage("fine-tuned", "fine-tuned model, fp32", rows, value, own))
    if not stages:
        return None
    found = [name for name in (SUBNET_FILE, FINETUNE_FILE, CHOICE_FILE) if (model / name).is_file()]
    source = f"Recorded when the subnet was made ({', '.join(found)} in model/)."
    return ProjectAccuracy(
        metric, tuple(stages), f"{source} With --task the report measures integers and device too.", lowest
    )


def _tuned(model: Path) -> list[tuple[str, str, float]]:
    """Rows, name and value of the first metric of each development set that finetune.json tells of."""
    if not (model / FINETUNE_FILE).is_file():
        return []
    report = read_json_object(model / FINETUNE_FILE)
    task, dev = report.get("task"), report.get("dev")
    found = []
    for name, metrics in (dev if isinstance(dev, dict) else {}).items():
        for metric, value in list(metrics.items())[:1] if isinstance(metrics, dict) else []:
            if isinstance(value, int | float):
                found.append((f"{task} {name}", str(metric), float(value)))
    return found
