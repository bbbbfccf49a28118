"""What is known of a task's metric, from the dense model to the device, each next to its latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from aebert.report.figure import BLUE, GREEN, INK, ORANGE, PURPLE, RED, SKY, Chart, ReportTable, lay_out

# In the order in which a model becomes an accelerator, with the colour and the symbol of each.
_LOOKS = {
    "dense": (GREEN, "triangle-up"),
    "pruned": (SKY, "circle"),
    "fine-tuned": (BLUE, "diamond"),
    "integers": (PURPLE, "square"),
    "device": (ORANGE, "star"),
}


@dataclass(frozen=True)
class Stage:
    """The metric of one form of the model. ``form``: a key of the chart's legend, e.g. ``fine-tuned``.

    ``value`` is a fraction of 1, ``rows`` says on which rows. ``latency`` is text with its source, "-" where none is
    known. ``chosen``: what the search or the user settled on.
    """

    form: str
    name: str
    rows: str
    value: float
    latency: str
    chosen: bool = False


def accuracy_chart(
    stages: Sequence[Stage],
    metric: str,
    caption: str,
    source: str,
    lowest_allowed: float | None = None,
    number: int = 0,
) -> Chart:
    """Each stage's metric, and its latency beside its name. ``lowest_allowed``: the metric that the budget leaves;
    ``number``: of the chart on its page."""
    figure = go.Figure()
    names = [f"{stage.name}<br>{stage.rows}<br>{stage.latency}" for stage in stages]
    for form, (colour, symbol) in _LOOKS.items():
        own = [(name, stage) for name, stage in zip(names, stages, strict=True) if stage.form == form]
        if not own:
            continue
        figure.add_scatter(
            name=form,
            x=[stage.value for _, stage in own],
            y=[name for name, _ in own],
            mode="markers",
            marker={
                "color": [RED if stage.chosen else colour for _, stage in own],
                "symbol": ["star" if stage.chosen else symbol for _, stage in own],
                "size": 14,
                "line": {"color": INK, "width": 1},
            },
            hovertemplate=f"%{{y}}<br>{metric} %{{x:.4f}}<extra></extra>",
        )
    if lowest_allowed is not None:
        figure.add_vline(x=lowest_allowed, line={"color": INK, "dash": "dot"}, annotation_text="budget")
    lay_out(figure, 70 + 54 * len(stages), metric)
    # Each point is named at its left.
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=_range([*(stage.value for stage in stages), lowest_allowed]))
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    dense = {stage.rows: stage.value for stage in stages if stage.form == "dense"}
    rows = tuple(
        (
            stage.name, stage.rows, stage.latency, f"{stage.value:.4f}",
            "-" if stage.form == "dense" or stage.rows not in dense
            else f"{100 * (dense[stage.rows] - stage.value):.2f}",
        )
        for stage in stages
    )  # fmt: skip
    headers = ("Model", "Rows", "Latency", metric.capitalize(), "Points lost to dense")
    name = f"accuracy-{number}" if number else "accuracy"
    return Chart(name, "Accuracy and latency", caption, source, figure, ReportTable(headers, rows, words=3))


def _range(values: Sequence[float | None]) -> list[float]:
    """With room beside the outermost points, and no wider than they need: metrics are rarely far apart."""
    known = [value for value in values if value is not None]
    room = max(0.12 * (max(known) - min(known)), 0.01)
    return [min(known) - room, max(known) + room]
