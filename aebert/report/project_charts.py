"""The charts of a project's numbers: errors, zeros, stored tiles, work."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from aebert.models.encoder import MATRIX_NAMES
from aebert.report.figure import (
    BLUE,
    LINE,
    OKABE_ITO,
    PATTERNS,
    Chart,
    ReportTable,
    heat_map,
    heat_map_width,
    lay_out,
    matrix_table,
)
from aebert.report.project_data import MAPPED_MATRIX, ReportData

PASS_ORDER = ("query", "key", "value", "scores", "context", "attention_output", "ffn_in", "ffn_out")
# Both are told apart from each other on light and on dark paper.
_ZERO, _STORED = "#d9c77a", "#123570"


def layer_error_chart(data: ReportData) -> Chart:
    """Relative error of the hidden states after each layer, integers against fp32."""
    error = data.verification.error
    figure = go.Figure(
        go.Scatter(
            x=[layer.layer for layer in error.layers],
            y=[layer.relative_error for layer in error.layers],
            customdata=[[layer.cosine, layer.lowest_cosine, layer.sqnr_db] for layer in error.layers],
            mode="lines+markers",
            line={"color": BLUE},
            marker={"size": 8},
            hovertemplate=(
                "layer %{x}<br>relative error %{y:.4f}<br>cosine %{customdata[0]:.5f}, lowest %{customdata[1]:.5f}"
                "<br>SQNR %{customdata[2]:.1f} dB<extra></extra>"
            ),
        )
    )
    lay_out(figure, 320, "layer", "relative error")
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(dtick=1)
    rows = tuple(
        (
            f"{layer.layer}", f"{layer.relative_error:.5f}", f"{layer.cosine:.6f}", f"{layer.lowest_cosine:.6f}",
            f"{layer.sqnr_db:.1f}",
        )
        for layer in error.layers
    )  # fmt: skip
    return Chart(
        "layer-error",
        "Error per layer",
        "Relative error of the integer reference's hidden states against fp32, all layers before included.",
        f"Measured on this machine over {error.sequences} sentences ({error.tokens} tokens) not used in calibration.",
        figure,
        ReportTable(("Layer", "Relative error", "Mean cosine", "Lowest cosine", "SQNR (dB)"), rows),
    )


def error_sources_chart(data: ReportData) -> Chart:
    """Relative error that each quantiser alone adds to a layer's output."""
    names = list(data.error_sources[0])
    errors = [[layer[name] for name in names] for layer in data.error_sources]
    rows = [f"layer {number}" for number in range(len(errors))]
    figure = heat_map(errors, names, rows, "error", "%{y}, %{x}: relative error %{z:.4f}", digits=3)
    figure.update_layout(height=150 + 30 * len(rows))
    return Chart(
        "error-sources",
        "Where the error comes from",
        "Relative error of a layer's output on exact fp32 inputs, all quantisers together and each one alone.",
        "Measured when the project was generated, on its calibration sentences (quantised/error_sources.json).",
        figure,
        matrix_table("Layer", names, rows, errors),
        narrowest=heat_map_width(len(names)),
    )


def sparsity_chart(data: ReportData) -> Chart:
    """Zero weights / weights of each matrix, layers down."""
    rows = [f"layer {number}" for number in range(len(data.sparsity))]
    figure = heat_map(
        data.sparsity.tolist(),
        MATRIX_NAMES,
        rows,
        "ratio",
        "%{y} %{x}<br>zero weights %{z:.4f}<br>stored in tiles %{customdata:.4f}",
        highest=1,
        extra=data.stored.tolist(),
    )
    return Chart(
        "sparsity",
        "Sparsity per matrix",
        "Zero weights over all weights of each matrix; hover for the share that tiles store.",
        f"Counted in the quantised matrices; overall {data.overall_sparsity:.4f}.",
        figure,
        matrix_table("Layer", MATRIX_NAMES, rows, data.sparsity.tolist()),
        narrowest=heat_map_width(len(MATRIX_NAMES)),
    )


def tile_map_chart(data: ReportData) -> Chart:
    """Which weight vectors of layer 0's FFN-in matrix are stored."""
    figure = go.Figure(
        go.Heatmap(
            z=data.tile_map.astype(np.uint8),
            colorscale=[[0, _ZERO], [1, _STORED]],
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate=f"{MAPPED_MATRIX}, row group %{{y}}, input %{{x}}: %{{z}}<extra></extra>",
        )
    )
    lay_out(figure, 420, "input channel", "row group")
    figure.update_yaxes(autorange="reversed")
    counts = data.tile_map.sum(axis=1)
    held, groups = np.unique(counts, return_counts=True)
    return Chart(
        "tile-map",
        "Stored weight vectors",
        f"Layer 0, {MAPPED_MATRIX}: dark where a vector of {data.project.manifest.config.out_lanes} weights is stored; "
        "light ones are zero and cost nothing.",
        "The packed tiles of the project (memory/).",
        figure,
        ReportTable(
            ("Vectors stored", "Row groups with as many"),
            tuple((f"{count}", f"{number}") for count, number in zip(held.tolist(), groups.tolist(), strict=True)),
        ),
    )


def pass_work_chart(data: ReportData) -> Chart:
    """Engine steps of each pass, stacked by layer; the table has cycles and multiply-accumulates besides."""
    figure = go.Figure()
    for name, colour, pattern in zip(PASS_ORDER, OKABE_ITO, PATTERNS, strict=True):
        figure.add_bar(
            name=name,
            x=[layer.layer for layer in data.work],
            y=[layer.steps.get(name, 0) for layer in data.work],
            customdata=[layer.macs.get(name, 0) for layer in data.work],
            marker={"color": colour, "pattern": {"shape": pattern}, "line": {"color": LINE, "width": 0.5}},
            hovertemplate=f"{name}, layer %{{x}}<br>%{{y:,}} engine steps<br>%{{customdata:,}} MAC<extra></extra>",
        )
    lay_out(figure, 400, "layer", "engine steps")
    figure.update_layout(barmode="stack")
    figure.update_xaxes(dtick=1)
    rows = tuple(
        (
            name, f"{layer.layer}", f"{steps:,}", f"{layer.cycles[name]:,}", f"{layer.macs[name]:,}",
            f"{layer.dense_macs[name]:,}",
        )
        for layer in data.work
        for name, steps in layer.steps.items()
    )  # fmt: skip
    return Chart(
        "passes",
        "Work per pass",
        "Iterations of the engine's loop that multiply (one cycle each at II=1, stalls not included). The table has "
        "the cycles that the engine spent, waiting included, and what the same matrix unpruned would multiply.",
        f"Counted from the packed tiles for {data.length} tokens; cycles: timed emulation.",
        figure,
        ReportTable(("Pass", "Layer", "Engine steps", "Cycles (emulated)", "MAC", "MAC if dense"), rows),
    )
