"""The report of a project."""

from __future__ import annotations

from host.report.figure import Chart, Table
from host.report.hardware_charts import cycles_chart, resource_chart, roofline_chart
from host.report.page import MainFigure, render_page
from host.report.project_charts import (
    error_sources_chart,
    layer_error_chart,
    pass_work_chart,
    sparsity_chart,
    tile_map_chart,
)
from host.report.project_data import ReportData
from host.report.timing_charts import fifo_chart, process_shares_chart, timeline_chart


def render_report(data: ReportData) -> str:
    """The whole page."""
    manifest, shape = data.project.manifest, data.project.manifest.shape
    verdict = "verified" if data.verification.passed else "NOT verified"
    return render_page(
        "project.html.j2",
        f"{data.project.directory.resolve().name}: {verdict} on {data.verification.device}",
        f"{shape.layers} layers, hidden {shape.hidden}, {shape.heads} heads, FFN {shape.ffn}, for {manifest.board} "
        f"({manifest.part}) at {manifest.clock_mhz} MHz target clock.",
        _main_figures(data),
        _charts(data),
        _provenance(data),
        rungs=data.verification.rungs,
        files=Table(("File", "Bytes"), tuple((file.name, f"{file.size_bytes:,}") for file in data.files)),
    )


def _charts(data: ReportData) -> list[Chart]:
    return [
        layer_error_chart(data),
        error_sources_chart(data),
        sparsity_chart(data),
        tile_map_chart(data),
        pass_work_chart(data),
        timeline_chart(data),
        process_shares_chart(data),
        fifo_chart(data),
        cycles_chart(data.hardware),
        *([roofline_chart(data.hardware)] if data.timed.result.cycles is not None else []),
        resource_chart(data.hardware),
    ]


def _main_figures(data: ReportData) -> list[MainFigure]:
    config, timed = data.project.manifest.config, data.timed
    figures = [
        MainFigure(f"{data.overall_sparsity:.4f}", "zero weights / all prunable weights"),
        MainFigure(
            f"{data.verification.error.embedding_cosine:.4f}",
            "mean cosine of sentence embeddings, integers against fp32 of the same subnet",
        ),
        MainFigure(
            f"{config.macs_per_cycle}",
            f"multiply-accumulates per cycle ({config.tokens} tokens x {config.out_lanes} x {config.in_lanes})",
        ),
    ]
    if timed.result.cycles is None:
        figures.append(MainFigure("no cycle count", timed.result.error or str(timed.result.violations[0])))
    else:
        figures += [
            MainFigure(
                f"{timed.latency_ms:.3f} ms",
                f"emulated: {timed.result.cycles:,} cycles of timed emulation at {timed.clock_mhz} MHz, {data.length} "
                "tokens, all layers",
            ),
            MainFigure(f"{100 * timed.lane_utilisation:.1f} %", "of lanes x cycles multiply stored weights (emulated)"),
        ]
    fewer = data.dense_macs / data.macs
    figures.append(MainFigure(f"{fewer:.2f}x", f"fewer multiply-accumulates than dense ({data.macs:,})"))
    return figures


def _provenance(data: ReportData) -> Table:
    manifest, error = data.project.manifest, data.verification.error
    sources = ", ".join(sorted({schedule.source for schedule in data.timed.schedules}))
    rows = (
        (
            "Errors",
            f"measured on this machine, integer reference against PyTorch fp32, over {error.sequences} sentences "
            f"({error.tokens} tokens) that were not used in calibration",
        ),
        ("Bits", f"measured, the generated C++ on {data.verification.device}"),
        ("Engine steps, multiply-accumulates", "counted from the packed tiles"),
        (
            "Cycles",
            f"timed emulation (II and depth of loops from {sources}; memory bandwidth from the board file), not "
            "synthesis and not a board",
        ),
        ("Predicted cycles, resources", "closed form and operator counts, with intervals that hold nine of ten"),
        ("Design", manifest.design_digest),
        ("Subnet", manifest.subnet_digest),
        ("Toolkit", f"{manifest.toolkit_version}, numerics {manifest.numerics_version}"),
    )
    return Table(("What", "From"), rows, words=2)
