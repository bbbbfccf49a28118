"""The report's charts, drawn with Plotly. Colours are from colour-blind safe scales (Cividis; Okabe and Ito)."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from aebert.encoder import MATRIX_NAMES
from host.report.data import MAPPED_MATRIX, ReportData

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
PASS_ORDER = ("query", "key", "value", "scores", "context", "attention_output", "ffn_in", "ffn_out")
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
