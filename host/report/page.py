"""Puts text and charts together into one page."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import plotly.offline

from codegen.render import environment
from host.report import charts
from host.report.data import MAPPED_MATRIX, ReportData


@dataclass(frozen=True)
class Chart:
    """A chart with the sentence that says what it shows; ``html`` needs Plotly's script on the page."""

    name: str
    title: str
    caption: str
    html: str


def _chart(name: str, title: str, caption: str, figure: go.Figure) -> Chart:
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return Chart(name, title, caption, html)


def render_report(data: ReportData) -> str:
    """The whole page. Nothing in it is loaded from elsewhere."""
    pieces = [
        _chart(
            "layer-error",
            "Error per layer",
            "Relative error of the integer reference's hidden states against fp32, all layers before included.",
            charts.layer_error(data),
        ),
        _chart(
            "error-sources",
            "Where the error comes from",
            "Relative error of a layer's output on exact fp32 inputs, all quantisers together and each one alone.",
            charts.error_sources(data),
        ),
        _chart(
            "sparsity",
            "Sparsity per matrix",
            "Zero weights over all weights, counted in the quantised matrices.",
            charts.sparsity_heat_map(data),
        ),
        _chart(
            "tile-map",
            "Stored weight vectors",
            f"Layer 0, {MAPPED_MATRIX}: dark where a vector of {data.project.manifest.config.out_lanes} weights "
            "is stored; light ones are zero and cost nothing.",
            charts.tile_map(data),
        ),
        _chart(
            "passes",
            "Work per pass",
            "Iterations of the engine's loop that multiply (one cycle each at II=1, stalls not included), counted from "
            f"the packed tiles for {data.length} tokens.",
            charts.pass_work(data),
        ),
        _chart(
            "timeline",
            "Timeline of the accelerator",
            "Timed emulation: what each process works on; pale where it waits. Layer 0 is in view: drag to zoom, "
            "double click for all layers.",
            charts.timeline(data),
        ),
        _chart(
            "shares",
            "Busy, waiting",
            "Timed emulation: busy; idle (polled in vain); starved by an empty FIFO; stalled by a full one; memory.",
            charts.process_shares(data),
        ),
    ]
    template = environment().get_template("report/report.html.j2")
    return template.render(
        data=data, manifest=data.project.manifest, charts=pieces, script=plotly.offline.get_plotlyjs()
    )
