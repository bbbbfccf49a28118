"""The charts that set a project against its board and its cost model."""

from __future__ import annotations

import plotly.graph_objects as go

from aebert.report.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    OKABE_ITO,
    ORANGE,
    PATTERNS,
    RED,
    SYMBOLS,
    Chart,
    ReportTable,
    lay_out,
)
from aebert.report.hardware_data import HardwareData, KindOfPass, ResourceShare

_HOVER = "%{text}<extra></extra>"


def roofline_chart(data: HardwareData) -> Chart:
    """Multiply-accumulates per second against multiply-accumulates per byte from off-chip memory."""
    working = [kind for kind in data.kinds if kind.macs and kind.timed]
    reading = [kind for kind in working if kind.weight_bytes]
    whole = data.launch_macs / data.launch_bytes
    intensities = [kind.macs / kind.weight_bytes for kind in reading] + [whole, data.peak_macs / data.port_bytes]
    low, high = min(intensities) / 8, max(intensities) * 16
    figure = go.Figure()
    roofs = (
        ("board's memory", data.board_bytes, ORANGE, "dash"),
        ("this design's ports", data.port_bytes, BLUE, "solid"),
    )
    for name, rate, colour, dash in roofs:
        knee = data.peak_macs / rate
        x = [low, knee, high]
        y = [low * rate / 1e9, data.peak_macs / 1e9, data.peak_macs / 1e9]
        figure.add_scatter(
            name=f"{name}: {rate / 1e9:.1f} GB/s",
            x=x,
            y=y,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            hoverinfo="skip",
        )
    for number, kind in enumerate(working):
        intensity = kind.macs / kind.weight_bytes if kind.weight_bytes else high
        rate = data.rate(kind.macs, kind.timed)
        traffic = f"{intensity:.1f} MAC/byte" if kind.weight_bytes else "operands on chip: no off-chip traffic"
        _point(figure, kind.kind, intensity, rate, OKABE_ITO[number % 8], SYMBOLS[number % len(SYMBOLS)], data, traffic)
    if data.timed_cycles is not None:
        rate = data.rate(data.launch_macs, data.timed_cycles)
        _point(figure, "whole launch", whole, rate, INK, "star", data, f"{whole:.1f} MAC/byte")
    lay_out(figure, 460, "multiply-accumulates per byte", "10⁹ multiply-accumulates / s")
    # 1, 2 and 5 of each decade: the rates lie within one or two, where whole decades give a single tick.
    figure.update_xaxes(type="log", dtick="D2")
    figure.update_yaxes(type="log", dtick="D2")
    rows = tuple(
        (
            kind.kind, f"{kind.macs:,}", f"{kind.weight_bytes:,}",
            f"{kind.macs / kind.weight_bytes:.1f}" if kind.weight_bytes else "on chip",
            f"{data.rate(kind.macs, kind.timed) / 1e9:.1f}", f"{data.rate(kind.macs, kind.timed) / data.peak_macs:.1%}",
        )
        for kind in working
    )  # fmt: skip
    return Chart(
        "roofline",
        "Roofline",
        f"The flat roof is one compute unit's lanes at {data.clock_mhz:g} MHz, {data.peak_macs / 1e9:.0f} GMAC/s. "
        "Passes of attention have their operands on chip and stand at the right edge. Multiplications with stored "
        "weights count.",
        f"Rates: timed emulation. Bytes: stored tiles, indices and parameters (whole launch: words of all ports). "
        f"Memory: {data.board.title}, {data.board.memory.kind}, {_one_line(data.board.sources['bandwidth'].text)}",
        figure,
        ReportTable(("Passes", "MAC", "Bytes", "MAC/byte", "GMAC/s", "Of the peak"), rows),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _point(
    figure: go.Figure,
    name: str,
    intensity: float,
    rate: float,
    colour: str,
    symbol: str,
    data: HardwareData,
    traffic: str,
) -> None:
    figure.add_scatter(
        name=name,
        x=[intensity],
        y=[rate / 1e9],
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 12, "line": {"color": INK, "width": 1}},
        text=[f"{name}<br>{traffic}<br>{rate / 1e9:.1f} GMAC/s, {rate / data.peak_macs:.1%} of the lanes' peak"],
        hovertemplate=_HOVER,
    )


def resource_chart(data: HardwareData) -> Chart:
    """What the board has in each die, and what the design takes."""
    figure = go.Figure()
    shown = list(data.resources)
    board_rows = [f"{resource.name} board" for resource in shown]
    design_rows = [f"{resource.name} design" for resource in shown]
    slrs = [slr.name for slr in data.board.slrs]
    for number, slr in enumerate(slrs):
        figure.add_bar(
            name=slr,
            orientation="h",
            y=board_rows,
            x=[resource.by_slr[slr] / resource.total for resource in shown],
            marker={
                "color": ("#56B4E9", "#009E73", "#CC79A7", "#F0E442")[number % 4],
                "pattern": {"shape": PATTERNS[number]},
            },
            text=[f"{resource.name}<br>{slr}: {resource.by_slr[slr]:,} for kernels" for resource in shown],
            textposition="none",
            hovertemplate=_HOVER,
        )
    figure.add_bar(
        name="platform",
        orientation="h",
        y=board_rows,
        x=[1 - resource.available / resource.total for resource in shown],
        marker={"color": GREY, "pattern": {"shape": "."}},
        text=[f"{resource.name}<br>platform: {resource.total - resource.available:,}" for resource in shown],
        textposition="none",
        hovertemplate=_HOVER,
    )
    figure.add_bar(
        name="design (predicted)",
        orientation="h",
        y=design_rows,
        x=[resource.used.mean / resource.total for resource in shown],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(resource.used.high - resource.used.mean) / resource.total for resource in shown],
            "arrayminus": [(resource.used.mean - resource.used.low) / resource.total for resource in shown],
            "color": INK,
        },
        marker={"color": BLUE},
        text=[
            f"{resource.name}<br>design {resource.used.mean:,.0f} ({_interval(resource)})"
            f"<br>{resource.used.mean / resource.available:.1%} of what is available"
            for resource in shown
        ],
        textposition="none",
        hovertemplate=_HOVER,
    )
    figure.add_scatter(
        name="most it may take",
        x=[resource.limit / resource.total for resource in shown],
        y=design_rows,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 18, "color": RED, "line": {"width": 3}},
        text=[f"{resource.name}<br>most it may take here: {resource.limit:,}" for resource in shown],
        hovertemplate=_HOVER,
    )
    lay_out(figure, 130 + 46 * len(shown), "share of the device")
    order = [name for pair in zip(board_rows, design_rows, strict=True) for name in pair]
    figure.update_layout(barmode="stack", bargap=0.25, legend={"traceorder": "normal"})
    figure.update_yaxes(categoryorder="array", categoryarray=order, autorange="reversed", showgrid=False)
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    headers = ("Resource", *(f"{slr} free" for slr in slrs), "Board free", "May take", "Design", "Interval", "Share")
    rows = tuple(
        (
            resource.name, *(f"{count:,}" for count in resource.by_slr.values()), f"{resource.available:,}",
            f"{resource.limit:,}", f"{resource.used.mean:,.0f}", _interval(resource),
            f"{resource.used.mean / resource.available:.1%}",
        )
        for resource in shown
    )  # fmt: skip
    basis = "; ".join(f"{resource.name}: {resource.basis}" for resource in shown)
    return Chart(
        "resources",
        "Resources against the board",
        f"What each die leaves beside the platform, and the design: {data.where}. The mark is where timing closure "
        "becomes doubtful in the place that the design takes; bars hold nine of ten.",
        f"Predicted, not synthesised: {basis}. Board: {_one_line(data.board.sources['available'].text)}",
        figure,
        ReportTable(headers, rows),
    )


def _interval(resource: ResourceShare) -> str:
    return f"{resource.used.low:,.0f} to {resource.used.high:,.0f}"


def cycles_chart(data: HardwareData) -> Chart:
    """Cycles of the closed form beside those of timed emulation, by kind of pass."""
    figure = go.Figure()
    names = [kind.kind for kind in data.kinds]
    figure.add_bar(
        name="timed emulation",
        x=names,
        y=[kind.timed for kind in data.kinds],
        marker={"color": ORANGE, "pattern": {"shape": "/"}},
        text=[_cycle_words(kind) for kind in data.kinds],
        textposition="none",
        hovertemplate=_HOVER,
    )
    spread = data.breakdown.cycles
    figure.add_bar(
        name="closed form",
        x=names,
        y=[kind.predicted for kind in data.kinds],
        marker={"color": GREEN},
        text=[_cycle_words(kind) for kind in data.kinds],
        textposition="none",
        hovertemplate=_HOVER,
    )
    lay_out(figure, 380, "", "cycles")
    figure.update_layout(barmode="group")
    figure.update_xaxes(tickangle=-30)
    rows = [
        (kind.kind, f"{kind.timed:,}", f"{kind.predicted:,.0f}", _error(kind.predicted, kind.timed))
        for kind in data.kinds
    ]
    timed = data.timed_cycles
    rows.append(
        (
            "whole launch", "none" if timed is None else f"{timed:,}",
            f"{spread.mean:,.0f} ({spread.low:,.0f} to {spread.high:,.0f})", _error(spread.mean, timed or 0),
        )
    )  # fmt: skip
    inside = ""
    if timed is not None:
        verdict = "inside" if spread.low <= timed <= spread.high else "OUTSIDE"
        inside = (
            f" Whole launch: {timed:,} emulated, {verdict} the predicted {spread.low:,.0f} to {spread.high:,.0f} "
            f"({spread.mean / timed - 1:+.2%})."
        )
    return Chart(
        "cycles",
        "Predicted against emulated cycles",
        f"All passes of a kind, with waiting for operands and loading.{inside} The interval is of the whole.",
        f"Predicted: {data.breakdown.basis['cycles']}. Emulated: timed emulation of the generated C++.",
        figure,
        ReportTable(("Passes", "Emulated", "Predicted", "Error"), tuple(rows)),
    )


def _cycle_words(kind: KindOfPass) -> str:
    error = _error(kind.predicted, kind.timed)
    return f"{kind.kind}<br>emulated {kind.timed:,} cycles<br>predicted {kind.predicted:,.0f} ({error})"


def _error(predicted: float, timed: int) -> str:
    return f"{predicted / timed - 1:+.2%}" if timed else "-"
