"""A fit for people: the leave-one-design-out table, and predicted against measured as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aebert.cost_model.fit_records import FittedRecords, FittedRuns
from aebert.cost_model.intervals import LEVELS, Bound, groups_needed
from aebert.cost_model.leave_one_out import HeldOut, coverage, coverage_bounds, error_table
from aebert.cost_model.observations import Floats
from aebert.support.atomic_files import write_text

_SHOWN_GROUPS = 20
_NAME_WIDTH = 28
_PLOT_LEVEL = LEVELS.index(0.9)


def error_lines(held_out: HeldOut, shown: int = _SHOWN_GROUPS) -> Iterator[str]:
    """One line per design (the worst ``shown`` of them), and one for all."""
    inside = "  ".join(f"in {level:.0%}" for level in LEVELS)
    yield f"  {'left out':{_NAME_WIDTH}}  runs  median  90 % below     bias  {inside}"
    rows = error_table(held_out)
    for row in sorted(rows, key=lambda row: -row.median)[:shown]:
        cells = "  ".join(f"{share:6.0%}" for share in row.inside)
        name = row.group if len(row.group) <= _NAME_WIDTH else row.group[: _NAME_WIDTH - 3] + "..."
        yield f"  {name:{_NAME_WIDTH}}  {row.runs:4}  {row.median:6.2%}  {row.p90:10.2%}  {row.bias:+7.2%}  {cells}"
    if len(rows) > shown:
        yield f"  and {len(rows) - shown} more with smaller errors"
    errors = held_out.errors
    cells = "  ".join(f"{share:6.0%}" for share in coverage(held_out))
    bias = float(np.median(np.expm1(-held_out.residuals)))
    yield (
        f"  {f'all {len(rows)}':{_NAME_WIDTH}}  {len(errors):4}  {np.median(errors):6.2%}"
        f"  {np.percentile(errors, 90):10.2%}  {bias:+7.2%}  {cells}"
    )


def assumed_note(bounds: Sequence[Bound], groups: int) -> str:
    """Which intervals are not guaranteed, and how many designs it takes; empty where all are."""
    weak = [bound.level for bound in bounds if bound.assumed]
    if not weak:
        return ""
    needs = ", ".join(f"{level:.0%} needs {groups_needed(level)}" for level in weak)
    return f"  intervals assumed (Student's t), for {groups} designs promise nothing: {needs}"


def report_lines(fitted: FittedRecords) -> Iterator[str]:
    """Every fitted quantity with its coefficients and errors."""
    for runs in fitted.runs:
        quantity = fitted.model.quantities[runs.quantity.name]
        coefficients = ", ".join(
            f"{term} {value:.4g}" for term, value in zip(quantity.terms, quantity.coefficients, strict=True)
        )
        yield f"{runs.quantity.name}: {coefficients}; {quantity.noise:.2%} per run"
        yield from error_lines(runs.held_out)
        if note := assumed_note(quantity.bounds, quantity.designs):
            yield note


def write_plot(path: Path, fitted: FittedRecords) -> None:
    """Predicted (each run without its design, with its 90 % interval) against measured; opens without a network."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = [f"{runs.quantity.name}, {runs.quantity.unit}" for runs in fitted.runs]
    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    figure = make_subplots(rows, columns, subplot_titles=titles)
    for place, runs in enumerate(fitted.runs):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        measured = runs.observations.measured
        predicted = measured * np.exp(-runs.held_out.residuals)
        ends = [float(measured.min()), float(measured.max())]
        figure.add_trace(
            go.Scatter(x=ends, y=ends, mode="lines", line={"color": "lightgrey"}, hoverinfo="skip"), **where
        )
        figure.add_trace(
            go.Scatter(
                x=measured.tolist(),
                y=predicted.tolist(),
                error_y=_error_bars(runs, predicted),
                mode="markers",
                text=[f"{design}<br>run {name[:12]}" for design, name in _names(runs)],
                hovertemplate="%{text}<br>measured %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
            ),
            **where,
        )
        figure.update_xaxes(type="log", title="measured", **where)
        figure.update_yaxes(type="log", title="predicted without its design", **where)
    figure.update_layout(
        title=f"Fit for {fitted.model.board}: each run predicted without its design, 90 % intervals",
        template="plotly_white",
        showlegend=False,
        height=120 + 420 * rows,
    )
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True, div_id="fit"))


def _names(runs: FittedRuns) -> Iterator[tuple[str, str]]:
    return zip(runs.held_out.groups, runs.observations.names, strict=True)


def _error_bars(runs: FittedRuns, predicted: Floats) -> dict[str, object]:
    held_out = runs.held_out
    reach = {group: coverage_bounds(held_out, group)[_PLOT_LEVEL].deviations for group in set(held_out.groups)}
    factor = np.exp(np.array([reach[group] for group in held_out.groups]) * held_out.deviations)
    return {
        "type": "data",
        "symmetric": False,
        "array": (predicted * (factor - 1)).tolist(),
        "arrayminus": (predicted * (1 - 1 / factor)).tolist(),
        "thickness": 1,
    }
