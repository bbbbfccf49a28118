"""What a search knows of its task's metric: dense, pruned, fine-tuned, each next to its latency."""

from __future__ import annotations

from aebert.report.accuracy import Stage, accuracy_chart
from aebert.report.figure import Chart
from aebert.report.run_data import RunData, final_facts
from aebert.search.run.summary import Tried


def run_accuracy_chart(data: RunData) -> Chart | None:
    """None for a search without labels, which has fidelity instead of a metric."""
    stages = [*_scored(data), *_fine_tuned(data)]
    if not stages:
        return None
    choice = data.choice
    metric = "metric" if choice is None else choice.metric
    caption = (
        "The task's metric, and below each name its rows and its latency. The star is what the search was asked for."
    )
    if choice is None:
        caption += " Nothing is fine-tuned yet: aebert finetune RUN --front, or --max-loss, does that."
    elif choice.chosen is None:
        caption += f" None of the front loses at most {choice.max_loss:g} points, so there is none."
    source = "summary.json" if choice is None else "summary.json, accuracy_budget.json"
    return accuracy_chart(
        stages,
        metric,
        caption,
        f"fp32 on this machine ({source}). Integers and device: aebert report PROJECT --task.",
        None if choice is None else choice.dense - choice.max_loss / 100,
    )


def _scored(data: RunData) -> list[Stage]:
    """Before fine-tuning: the dense model, the best score, and the front's subnets."""
    dense = data.summary.dense
    if "metric" not in dense.facts:
        return []
    rows = f"{data.summary.rows} scoring rows"
    stages = [Stage("dense", "dense model", rows, dense.facts["metric"], _latency(data, None))]
    shown = [tried for tried in data.summary.tried if tried.directory is not None or tried == data.best]
    for tried in sorted(shown, key=lambda each: each.directory or ""):
        facts = final_facts(tried)
        if "metric" in facts:
            name = f"pruned {tried.directory or 'best'}"
            starred = data.choice is None and tried == data.aimed
            stages.append(Stage("pruned", name, rows, facts["metric"], _latency(data, tried), starred))
    return stages


def _fine_tuned(data: RunData) -> list[Stage]:
    choice = data.choice
    if choice is None:
        return []
    rows = f"{choice.scoring_rows} scoring rows"
    by_folder = {tried.directory: tried for tried in data.summary.tried}
    stages = []
    for member in choice.members:
        tried = by_folder.get(f"front/{member.name}")
        latency = _latency(data, tried) if tried is not None else "-"
        chosen = member == choice.chosen
        stages.append(Stage("fine-tuned", f"fine-tuned front/{member.name}", rows, member.metric, latency, chosen))
    for name, dev in choice.dev.items():
        rows = f"{name}, {dev.rows} rows"
        chosen_latency = "-" if data.aimed is None else _latency(data, data.aimed)
        stages.append(Stage("dense", "dense model", rows, dev.dense, _latency(data, None)))
        stages.append(Stage("fine-tuned", "chosen", rows, dev.chosen, chosen_latency, chosen=True))
    return stages


def _latency(data: RunData, tried: Tried | None) -> str:
    """Of a candidate, or of the dense model, with its source; the weights kept where no board was named."""
    place = data.dense_position if tried is None else data.position(tried)
    if not data.has_latency:
        return f"keeps {place.value:.1%} of the weights"
    source = "measured" if tried is not None and tried.measured is not None else "predicted"
    return f"{place.value:.4f} ms ({source})"
