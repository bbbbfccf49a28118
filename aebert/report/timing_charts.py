"""The charts of timed emulation: the timeline, what processes waited for, how full the FIFOs were."""

from __future__ import annotations

from collections import defaultdict

import plotly.graph_objects as go

from aebert.report.figure import BLUE, GREY, INK, OKABE_ITO, ORANGE, PATTERNS, RED, Chart, ReportTable, lay_out
from aebert.report.project_charts import PASS_ORDER
from aebert.report.project_data import ReportData
from aebert.timing.timed_result import FifoUse, PassInterval, ProcessTimeline

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
_LETTERS = dict(zip(PASS_ORDER, ("Q", "K", "V", "S", "C", "O", "F1", "F2"), strict=True))
_KINDS = ("busy", "idle", "starved", "stalled", "memory")
_FULL = 0.9  # of its depth: a FIFO that may hold its writer up


def timeline_chart(data: ReportData) -> Chart:
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
            name=f"{name} ({_LETTERS[name]})",
            orientation="h",
            y=[process for process, _ in bars],
            base=[interval.start for _, interval in bars],
            x=[interval.cycles for _, interval in bars],
            customdata=[
                [passes[i.iteration].layer, i.busy, i.starved, i.stalled, i.memory, i.idle, i.end] for _, i in bars
            ],
            # On a pale bar no letter can be read, on light paper or on dark.
            text=[_LETTERS[name] if 2 * interval.busy >= interval.cycles else "" for _, interval in bars],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            constraintext="inside",
            marker={
                "color": colour,
                "line": {"width": 0},
                # Pale where the process mostly waits.
                "opacity": [min(1.0, 0.2 + 0.8 * interval.busy / max(interval.cycles, 1)) for _, interval in bars],
            },
            hovertemplate=(
                f"%{{y}}: {name}, layer %{{customdata[0]}}<br>cycles %{{base}} to %{{customdata[6]}}"
                "<br>busy %{customdata[1]}, starved %{customdata[2]}, stalled %{customdata[3]}, "
                "memory %{customdata[4]}, idle %{customdata[5]}<extra></extra>"
            ),
        )
    lay_out(figure, 120 + 34 * len(processes), "cycle")
    figure.update_layout(barmode="overlay", bargap=0.25, uniformtext={"mode": "hide", "minsize": 9})
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=[p.name for p in processes])
    # The first layer fills the view; zoom out for the rest.
    first_layer = [i.end for p in processes for i in p.intervals if i.iteration >= 0 and passes[i.iteration].layer == 0]
    figure.update_xaxes(range=[0, max(first_layer, default=1)])
    return Chart(
        "timeline",
        "Timeline of the accelerator",
        "What each process works on; pale where it waits. Layer 0 is in view: drag to zoom, double click for all "
        "layers, or + and - with the arrow keys.",
        _timed_source(data),
        figure,
        _timeline_table(data, processes),
    )


def _timeline_table(data: ReportData, processes: list[ProcessTimeline]) -> ReportTable:
    passes = data.timed.program.passes
    found: dict[tuple[str, str], list[PassInterval]] = defaultdict(list)
    for process in processes:
        for interval in process.intervals:
            if interval.iteration >= 0:
                found[process.name, passes[interval.iteration].name].append(interval)
    rows = tuple(
        (
            process, name, f"{len(own)}", f"{own[0].start:,}", f"{own[-1].end:,}",
            f"{sum(each.cycles for each in own):,}", f"{sum(each.busy for each in own):,}",
        )
        for (process, name), own in found.items()
    )  # fmt: skip
    return ReportTable(("Process", "Pass", "Times", "First cycle", "Last cycle", "Cycles", "Busy"), rows, words=2)


def process_shares_chart(data: ReportData) -> Chart:
    """How each process spent its cycles."""
    figure = go.Figure()
    processes = data.timed.result.processes
    for kind, colour, pattern in zip(_KINDS, OKABE_ITO, PATTERNS, strict=False):
        figure.add_bar(
            name=kind,
            orientation="h",
            y=[process.name for process in processes],
            x=[getattr(process, kind) / max(process.end, 1) for process in processes],
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate=f"%{{y}}: {kind} %{{x:.1%}}<extra></extra>",
        )
    lay_out(figure, 100 + 28 * len(processes), "share of its cycles")
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    rows = tuple(
        (process.name, *(f"{getattr(process, kind) / max(process.end, 1):.2%}" for kind in _KINDS), f"{process.end:,}")
        for process in processes
    )
    return Chart(
        "shares",
        "Busy, waiting",
        "Busy; idle (polled in vain); starved by an empty FIFO; stalled by a full one; waiting for memory.",
        _timed_source(data),
        figure,
        ReportTable(("Process", *(kind.capitalize() for kind in _KINDS), "Last cycle"), rows),
    )


def fifo_chart(data: ReportData) -> Chart:
    """Declared depth of each FIFO against the most that it held."""
    streams = _grouped(data.timed.result.streams)
    names = list(streams)
    depths = [max(use.depth for use in own) for own in streams.values()]
    held = [max(use.occupancy for use in own) for own in streams.values()]
    words = [
        f"{name}<br>depth {depth}, held at most {most}"
        f"<br>reader waited {max(use.reader_waited for use in own):,} cycles, "
        f"writer {max(use.writer_waited for use in own):,}"
        for (name, own), depth, most in zip(streams.items(), depths, held, strict=True)
    ]
    figure = go.Figure()
    for name, most, depth in zip(names, held, depths, strict=True):
        figure.add_scatter(
            x=[max(most, 1), depth], y=[name, name], mode="lines", line={"color": GREY, "width": 2},
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    full = [most >= _FULL * depth for most, depth in zip(held, depths, strict=True)]
    for title, wanted, colour, symbol in (
        ("most held", False, BLUE, "circle"),
        (f"most held, {_FULL:.0%} of the depth or more", True, ORANGE, "diamond"),
    ):
        chosen = [place for place, each in enumerate(full) if each == wanted]
        if chosen:
            figure.add_scatter(
                name=title,
                x=[max(held[place], 1) for place in chosen],
                y=[names[place] for place in chosen],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"color": INK, "width": 1}},
                text=[words[place] for place in chosen],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.add_scatter(
        name="declared depth",
        x=depths,
        y=names,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": RED, "line": {"width": 3}},
        text=words,
        hovertemplate="%{text}<extra></extra>",
    )
    lay_out(figure, 110 + 24 * len(names), "elements")
    figure.update_xaxes(type="log", dtick=1)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names, dtick=1)
    rows = tuple(
        (
            use.name,
            f"{use.depth}",
            f"{use.occupancy}",
            f"{use.transfers:,}",
            f"{use.reader_waited:,}",
            f"{use.writer_waited:,}",
        )
        for use in data.timed.result.streams
    )
    return Chart(
        "fifos",
        "FIFO occupancy",
        "The most elements that each FIFO held at once, against its declared depth. Lanes of one array are one row, "
        "with the fullest; the table has each.",
        _timed_source(data),
        figure,
        ReportTable(("Stream", "Depth", "Held at most", "Transfers", "Reader waited", "Writer waited"), rows),
    )


def _grouped(streams: tuple[FifoUse, ...]) -> dict[str, list[FifoUse]]:
    """FIFOs by name without the index of the array that they belong to."""
    found: dict[str, list[FifoUse]] = {}
    for use in streams:
        found.setdefault(use.name.partition("[")[0], []).append(use)
    return {name if len(own) == 1 else f"{name}[{len(own)}]": own for name, own in found.items()}


def _timed_source(data: ReportData) -> str:
    sources = ", ".join(sorted({schedule.source for schedule in data.timed.schedules}))
    return (
        f"Timed emulation of the generated C++, {data.length} tokens; II and depth of loops from: {sources}; memory "
        "bandwidth from the board file. Neither synthesis nor a board."
    )
