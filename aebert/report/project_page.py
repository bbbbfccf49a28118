"""The report of a project."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path

from aebert.models.origin import model_origin
from aebert.pruning.fidelity import EMBEDDING_COSINE
from aebert.report.accuracy import accuracy_chart
from aebert.report.figure import Chart, ReportTable
from aebert.report.hardware_charts import cycles_chart, resource_chart, roofline_chart
from aebert.report.page import Heading, Link, MainFigure, links_to, render_page, written_now
from aebert.report.project_accuracy import subnet_record
from aebert.report.project_charts import (
    error_sources_chart,
    layer_error_chart,
    pass_work_chart,
    sparsity_chart,
    tile_map_chart,
)
from aebert.report.project_data import ReportData
from aebert.report.timing_charts import fifo_chart, process_shares_chart, timeline_chart
from codegen.memory_image import removed_heads
from codegen.schedule.stored_schedule import StoredSchedule


def render_report(data: ReportData, page: Path) -> str:
    """The whole page, to be written as the file ``page``."""
    return render_page(
        "project.html.j2",
        _heading(data, page),
        _main_figures(data),
        _charts(data),
        _provenance(data),
        before=[Link("Verification ladder", "#ladder")],
        after=[
            *([] if data.schedule is None else [Link("Schedule of the kernel's loops", "#schedule")]),
            Link("Project files", "#files"),
        ],
        rungs=data.verification.rungs,
        schedule=data.schedule,
        loops=_loops(data.schedule),
        files=ReportTable(("File", "Bytes"), tuple((file.name, f"{file.size_bytes:,}") for file in data.files)),
    )


def _heading(data: ReportData, page: Path) -> Heading:
    project, manifest, shape = data.project, data.project.manifest, data.project.manifest.shape
    verdict = "verified" if data.verification.passed else "NOT verified"
    folder = shlex.quote(str(project.directory))
    tool = "v++" if manifest.flow == "vitis" else "vitis_hls"
    record = subnet_record(project.model_directory)
    pruned = "not pruned" if record is None else (
        f"ratio {record.overall_ratio:.4f}, pattern {record.pattern}, saliency {record.saliency}, compensation "
        f"{record.compensation}, of the dense encoder {record.source_digest[:12]}"
    )  # fmt: skip
    removed = removed_heads(project.quantised)
    return Heading(
        f"{project.directory.resolve().name}: {verdict} on {data.verification.device}",
        f"{shape.layers} layers, hidden {shape.hidden}, {shape.heads} heads, FFN {shape.ffn}, for {manifest.board} "
        f"({manifest.part}) at {manifest.clock_mhz} MHz target clock." + (f" {removed}." if removed else ""),
        (
            ("Model", model_origin(project.model_directory)),
            ("Pruned", pruned),
            ("fp32 reference", f"PyTorch {version('torch')}, transformers {version('transformers')}, same subnet"),
            ("Written", written_now()),
        ),
        f"aebert build {folder} --tool {tool}" if data.verification.passed else f"aebert verify {folder}",
        links_to(project.directory, ("README.md", "manifest.json", "model/subnet.json", "kernel", "memory"), page),
    )


def _accuracy_charts(data: ReportData) -> list[Chart]:
    return [
        accuracy_chart(
            found.stages,
            found.metric,
            "The task's metric from the dense model to the device; below each name its rows and its latency on this "
            f"design, for {data.length} tokens if nothing else is said.",
            found.source,
            found.lowest_allowed,
            number=number,
        )
        for number, found in enumerate(data.accuracy)
    ]


def _loops(schedule: StoredSchedule | None) -> ReportTable:
    rows = () if schedule is None else schedule.loops
    return ReportTable(
        ("Loop", "II asked", "II", "Depth", "Clock that holds (MHz)"),
        tuple(
            (
                loop.name,
                f"{loop.asked_ii}" if loop.asked_ii else "not pipelined",
                f"{loop.ii}" if loop.ii else "-",
                f"{loop.depth}",
                ("none" if not loop.supported_mhz else f"{loop.supported_mhz:.0f}") if loop.asked_ii else "-",
            )
            for loop in rows
        ),
    )


def _charts(data: ReportData) -> list[Chart]:
    return [
        *_accuracy_charts(data),
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
        *_against_dense(data),
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
        dense = data.hardware.dense_cycles
        figures.append(
            MainFigure(
                f"{data.hardware.dense_ms:.3f} ms",
                f"predicted for the dense model on this design: {dense.mean:,.0f} cycles ({dense.low:,.0f} to "
                f"{dense.high:,.0f})",
            )
        )
    fewer = data.dense_macs / data.macs
    figures.append(MainFigure(f"{fewer:.2f}x", f"fewer multiply-accumulates than dense ({data.macs:,})"))
    return figures


def _against_dense(data: ReportData) -> list[MainFigure]:
    """What pruning cost, in fp32, as it was measured when the subnet was made."""
    record = subnet_record(data.project.model_directory)
    if record is None:
        return []
    words = {
        EMBEDDING_COSINE: "mean cosine of sentence embeddings, pruned against dense, both in fp32",
        "calibration_cosine": "mean cosine of sentence embeddings, pruned against dense, on the search's scoring rows",
        "calibration_kl": "KL divergence (nats) of the pruned model's output from the dense one's, scoring rows",
    }
    tuned = "; before fine-tuning" if record.pruned_digest is not None else ""
    return [
        MainFigure(f"{record.scores[name]:.4f}", f"{text}{tuned}")
        for name, text in words.items()
        if name in record.scores
    ]


def _provenance(data: ReportData) -> ReportTable:
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
    return ReportTable(("What", "From"), rows, words=2)
