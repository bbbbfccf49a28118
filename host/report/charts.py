"""The report's charts, drawn with Plotly. Colours are from colour-blind safe scales (Cividis; Okabe and Ito)."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from aebert.encoder import MATRIX_NAMES
from host.report.data import MAPPED_MATRIX, ReportData

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
PASS_ORDER = ("query", "key", "value", "scores", "context", "attention_output", "ffn_in", "ffn_out")
# Processes whose outermost loop runs over the passes; the others walk memory.
PASS_PROCESSES = (
    "read_parameters",
    "read_input",
    "engine",
    "requantise",
    "row_maximum",
    "exponentials",
    "reciprocals",
    "layer_norm",
    "write_output",
)
NARROW_MARGIN = {"l": 60, "r": 10, "t": 10, "b": 50}


def _layout(figure: go.Figure, height: int, x: str, y: str) -> go.Figure:
    figure.update_layout(
        height=height,
        margin=NARROW_MARGIN,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808080"},
        legend={"orientation": "h", "y": 1.12},
        xaxis_title=x,
        yaxis_title=y,
    )
    return figure


def sparsity_heat_map(data: ReportData) -> go.Figure:
    """Zero weights / weights of each matrix, layers down."""
    text = [[f"{value:.3f}" for value in row] for row in data.sparsity]
    figure = go.Figure(
        go.Heatmap(
            z=data.sparsity,
            x=list(MATRIX_NAMES),
            y=[f"layer {number}" for number in range(len(data.sparsity))],
            text=text,
            texttemplate="%{text}",
            customdata=data.stored,
            hovertemplate="%{y} %{x}<br>zero weights %{z:.4f}<br>stored in tiles %{customdata:.4f}<extra></extra>",
            colorscale="Cividis",
            zmin=0,
            zmax=1,
            colorbar={"title": "ratio"},
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, 120 + 34 * len(data.sparsity), "", "")


def tile_map(data: ReportData) -> go.Figure:
    """Which weight vectors of layer 0's FFN-in matrix are stored."""
    figure = go.Figure(
        go.Heatmap(
            z=data.tile_map.astype(np.uint8),
            colorscale=[[0, "#e8e8e8"], [1, "#00204C"]],
            showscale=False,
            hovertemplate=f"{MAPPED_MATRIX}, row group %{{y}}, input %{{x}}: %{{z}}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, 420, "input channel", "row group")


def layer_error(data: ReportData) -> go.Figure:
    """Relative error of the hidden states after each layer, integers against fp32."""
    layers = data.verification.error.layers
    figure = go.Figure(
        go.Scatter(
            x=[layer.layer for layer in layers],
            y=[layer.relative_error for layer in layers],
            customdata=[[layer.cosine, layer.lowest_cosine, layer.sqnr_db] for layer in layers],
            mode="lines+markers",
            line={"color": OKABE_ITO[0]},
            hovertemplate=(
                "layer %{x}<br>relative error %{y:.4f}<br>cosine %{customdata[0]:.5f}, lowest %{customdata[1]:.5f}"
                "<br>SQNR %{customdata[2]:.1f} dB<extra></extra>"
            ),
        )
    )
    figure.update_yaxes(rangemode="tozero", gridcolor="rgba(128,128,128,0.3)")
    figure.update_xaxes(dtick=1)
    return _layout(figure, 320, "layer", "relative error of hidden states")


def error_sources(data: ReportData) -> go.Figure:
    """Relative error that each quantiser alone adds to a layer's output."""
    names = list(data.error_sources[0])
    errors = [[layer[name] for name in names] for layer in data.error_sources]
    figure = go.Figure(
        go.Heatmap(
            z=errors,
            x=names,
            y=[f"layer {number}" for number in range(len(errors))],
            text=[[f"{error:.3f}" for error in row] for row in errors],
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}: relative error %{z:.4f}<extra></extra>",
            colorscale="Cividis",
            zmin=0,
            colorbar={"title": "error"},
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, 150 + 34 * len(errors), "", "")


def pass_work(data: ReportData) -> go.Figure:
    """Engine steps of each pass, stacked by layer."""
    figure = go.Figure()
    for name, colour in zip(PASS_ORDER, OKABE_ITO, strict=True):
        macs = [layer.macs.get(name, 0) for layer in data.work]
        figure.add_bar(
            name=name,
            x=[layer.layer for layer in data.work],
            y=[layer.steps.get(name, 0) for layer in data.work],
            customdata=macs,
            marker_color=colour,
            hovertemplate=f"{name}, layer %{{x}}<br>%{{y:,}} engine steps<br>%{{customdata:,}} MAC<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.3)")
    figure.update_xaxes(dtick=1)
    return _layout(figure, 360, "layer", "engine steps")


def timeline(data: ReportData) -> go.Figure:
    """Gantt chart: which pass each process works on, in cycles."""
    passes = data.timed.program.passes
    processes = [process for process in data.timed.result.processes if process.name in PASS_PROCESSES]
    figure = go.Figure()
    for name, colour in zip(PASS_ORDER, OKABE_ITO, strict=True):
        bars = [
            (process.name, interval)
            for process in processes
            for interval in process.intervals
            if interval.iteration >= 0 and passes[interval.iteration].name == name
        ]
        figure.add_bar(
            name=name,
            orientation="h",
            y=[process for process, _ in bars],
            base=[interval.start for _, interval in bars],
            x=[interval.cycles for _, interval in bars],
            customdata=[
                [passes[i.iteration].layer, i.busy, i.starved, i.stalled, i.memory, i.idle, i.end] for _, i in bars
            ],
            marker={
                "color": colour,
                "line": {"width": 0},
                # Pale where the process mostly waits.
                "opacity": [0.12 + 0.88 * interval.busy / max(interval.cycles, 1) for _, interval in bars],
            },
            hovertemplate=(
                f"%{{y}}: {name}, layer %{{customdata[0]}}<br>cycles %{{base}} to %{{customdata[6]}}"
                "<br>busy %{customdata[1]}, starved %{customdata[2]}, stalled %{customdata[3]}, "
                "memory %{customdata[4]}, idle %{customdata[5]}<extra></extra>"
            ),
        )
    figure.update_layout(barmode="overlay", bargap=0.25)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=[p.name for p in processes])
    # The first layer fills the view; zoom out (double click) for the rest.
    first_layer = [i.end for p in processes for i in p.intervals if i.iteration >= 0 and passes[i.iteration].layer == 0]
    figure.update_xaxes(range=[0, max(first_layer, default=1)])
    return _layout(figure, 80 + 34 * len(processes), "cycle", "")


def process_shares(data: ReportData) -> go.Figure:
    """How each process spent its cycles."""
    figure = go.Figure()
    processes = data.timed.result.processes
    for kind, colour in zip(("busy", "idle", "starved", "stalled", "memory"), OKABE_ITO, strict=False):
        figure.add_bar(
            name=kind,
            orientation="h",
            y=[process.name for process in processes],
            x=[getattr(process, kind) / max(process.end, 1) for process in processes],
            marker_color=colour,
            hovertemplate=f"%{{y}}: {kind} %{{x:.1%}}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    return _layout(figure, 80 + 30 * len(processes), "share of its cycles", "")
