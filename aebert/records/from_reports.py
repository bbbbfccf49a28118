"""Tool reports as run records: what each kind of report is evidence of, with its provenance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from aebert.hls_reports import Report, ReportSource
from aebert.hls_reports.model import (
    AcceleratorMonitor,
    ClockUtilization,
    ComputeUnitRun,
    CosimReport,
    CsynthReport,
    ExportReport,
    HierarchicalUtilization,
    HlsLog,
    HlsResources,
    KernelRun,
    KernelUtilization,
    LinkLog,
    LoggedPipeline,
    MonitoredUnit,
    ProfileSummary,
    ReportedModule,
    ResultRow,
    ResultsTable,
    SiteUsage,
    SummaryNode,
    SynthesisSummary,
    TimingSummary,
    UtilizationReport,
    XclbinInfo,
)
from aebert.records.record import ResourceStage, RunRecord, Scope, Source


@dataclass(frozen=True, slots=True)
class ImportContext:
    """What the person who imports knows and the report does not say. None leaves a field as the report has it."""

    design: str | None = None
    design_digest: str | None = None
    subnet_digest: str | None = None
    board: str | None = None
    sequence_length: int | None = None
    workload: str | None = None
    measured_by: str | None = None
    measured_at: str | None = None
    note: str | None = None
    inputs: str | None = None


def records_from_report(report: Report, context: ImportContext, top: str | None = None) -> tuple[RunRecord, ...]:
    """The facts in a report.

    ``top`` is the design's top function when the report is about one function of it. A co-simulation that did not
    pass, a clock table and a software emulation hold no fact worth a record and give none.
    """
    known = {name: getattr(context, name) for name in _CONTEXT_FIELDS if getattr(context, name) is not None}
    of_part = {name: value for name, value in known.items() if name != "inputs"}
    return tuple(
        replace(record, **(of_part if record.scope in ("module", "loop") else known)) for record in _facts(report, top)
    )


_STATUS_LIMIT = 1000
# Of reports that do not say what they are about; whoever imports them has to (aebert.records.import_files).
UNNAMED = "unnamed"
_CONTEXT_FIELDS = tuple(ImportContext.__dataclass_fields__)


def _facts(report: Report, top: str | None) -> list[RunRecord]:
    match report:
        case CsynthReport():
            return _csynth(report, top)
        case SynthesisSummary():
            return [_summary(report, node) for node in _modules(report.top)]
        case CosimReport():
            return _cosim(report)
        case KernelUtilization() | UtilizationReport() | HierarchicalUtilization():
            return _utilization(report)
        case TimingSummary():
            return _timing(report)
        case LinkLog() | XclbinInfo():
            return _link(report)
        case HlsLog():
            return _session_log(report)
        case ProfileSummary():
            return _profile(report)
        case ExportReport():
            return [_export(report)]
        case AcceleratorMonitor() | ResultsTable() | ClockUtilization():
            return _rows(report)


def _rows(report: AcceleratorMonitor | ResultsTable | ClockUtilization) -> list[RunRecord]:
    match report:
        case AcceleratorMonitor():
            return [_monitored(report, unit) for unit in report.units if unit.ends]
        case ResultsTable():
            return [_published(report, row) for row in report.rows]
        case ClockUtilization():
            return []


def _base(report: Report, source: Source, design: str | None = None) -> RunRecord:
    origin: ReportSource = report.source
    return RunRecord(
        source=source,
        design=design or origin.top or UNNAMED,
        part=origin.part,
        tool=origin.tool,
        tool_version=origin.tool_version,
        report_kind=report.kind,
        report_name=PurePath(origin.name).name,
        report_sha256=origin.sha256,
    )


def _mhz(period_ns: float | None) -> float | None:
    """None for 0 ns too: wiring alone limits no clock."""
    return 1000 / period_ns if period_ns else None


def _with_hls(record: RunRecord, resources: HlsResources, stage: ResourceStage = "estimated") -> RunRecord:
    return replace(
        record,
        lut=resources.lut,
        ff=resources.ff,
        dsp=resources.dsp,
        bram_18k=resources.bram_18k,
        uram=resources.uram,
        resource_stage=stage,
    )


def _with_sites(record: RunRecord, usage: SiteUsage, stage: ResourceStage) -> RunRecord:
    counts = HlsResources(usage.lut, usage.ff, usage.dsp, usage.bram_18k, usage.uram)
    return _with_hls(record, counts, stage)


def _csynth(report: CsynthReport, top: str | None) -> list[RunRecord]:
    own = report.module.name
    design = top or own
    inner = [module for module in report.modules if module.name != own]
    found: list[RunRecord] = []
    for module in (report.module, *inner):
        record = _csynth_module(report, design, module)
        found += [record, *_pipelines(record, module)]
    return found


def _pipelines(owner: RunRecord, module: ReportedModule) -> Iterator[RunRecord]:
    """Its pipelined loops, those inside others too."""
    waiting = list(module.loops)
    while waiting:
        loop = waiting.pop(0)
        waiting.extend(loop.loops)
        if loop.pipelined and loop.ii_achieved is not None and loop.ii_achieved.max is not None:
            yield RunRecord(
                source=owner.source,
                design=owner.design,
                scope="loop",
                module=module.name,
                loop=loop.name,
                part=owner.part,
                tool=owner.tool,
                tool_version=owner.tool_version,
                clock_asked_mhz=owner.clock_asked_mhz,
                clock_estimated_mhz=owner.clock_estimated_mhz,
                initiation_interval=loop.ii_achieved.max,
                pipeline_depth=loop.depth_cycles.max if loop.depth_cycles else None,
                trip_count=loop.trip_count.max if loop.trip_count else None,
                cycles_max=loop.latency_cycles.max if loop.latency_cycles else None,
                report_kind=owner.report_kind,
                report_name=owner.report_name,
                report_sha256=owner.report_sha256,
            )


def _csynth_module(report: CsynthReport, design: str, module: ReportedModule) -> RunRecord:
    latency, inside = module.latency_cycles, module.name != design
    return replace(
        _with_hls(_base(report, "csynth", design), module.resources),
        scope="module" if inside else "design",
        module=module.name if inside else None,
        clock_asked_mhz=_mhz(module.clock.target_ns),
        clock_estimated_mhz=_mhz(module.clock.estimated_ns),
        cycles_min=latency.min if latency else None,
        cycles=module.latency_average_cycles,
        cycles_max=latency.max if latency else None,
    )


def _modules(node: SummaryNode) -> list[SummaryNode]:
    """The module nodes of a summary tree, each function once."""
    found = {node.name: node} if not node.is_loop else {}
    for child in node.children:
        for each in _modules(child):
            found.setdefault(each.name, each)
    return list(found.values())


def _summary(report: SynthesisSummary, node: SummaryNode) -> RunRecord:
    inside = node is not report.top
    return replace(
        _with_hls(_base(report, "csynth", report.top.name), node.resources),
        scope="module" if inside else "design",
        module=node.name if inside else None,
        cycles_max=node.latency_max_cycles,
    )


def _cosim(report: CosimReport) -> list[RunRecord]:
    run = report.measured
    if run is None:
        return []
    return [
        replace(
            _base(report, "cosim"),
            cycles_min=run.latency_min,
            cycles=run.latency_average,
            cycles_max=run.latency_max,
            status=f"{run.status} ({run.rtl})",
        )
    ]


def _utilization(report: KernelUtilization | UtilizationReport | HierarchicalUtilization) -> list[RunRecord]:
    """Logic that Vivado made: evidence about the hardware, without a latency."""
    parts: list[tuple[str, SiteUsage, Scope]]
    match report:
        case KernelUtilization():
            parts = [(row.name, row.usage, "compute_unit" if row.depth else "kernel") for row in report.kernels]
        case HierarchicalUtilization():
            parts = [(row.instance, row.usage, "module") for row in report.rows]
            parts[0] = (parts[0][0], parts[0][1], "system")
        case UtilizationReport():
            parts = [(report.source.top or "unnamed", report.usage, "system")]
    kernel = parts[0][0]
    boxes = report.black_boxes if isinstance(report, UtilizationReport) else ()
    without = ", ".join(f"{count} x {name}" for name, count in boxes)
    return [
        replace(
            _with_sites(_base(report, "hw", kernel), usage, report.state),
            scope=scope,
            status=f"black boxes not counted: {without}"[:_STATUS_LIMIT] if without else None,
            module=None if scope in ("kernel", "system") else name,
            design=name if scope == "kernel" else kernel,
        )
        for name, usage, scope in parts
    ]


def _timing(report: TimingSummary) -> list[RunRecord]:
    if report.state != "routed":
        return []  # wires have no length yet, or nobody says that they have: nothing was achieved
    return [
        replace(
            _base(report, "hw"),
            scope="system",
            module=clock.name,
            clock_asked_mhz=clock.frequency_mhz,
            clock_achieved_mhz=_mhz(clock.achieved_ns),
            status=None if report.met is None else ("timing met" if report.met else "timing not met"),
        )
        for clock in report.clocks
        if clock.achieved_ns is not None and clock.achieved_ns > 0
    ]


def _link(report: LinkLog | XclbinInfo) -> list[RunRecord]:
    if report.data_mhz is None:
        return []
    return [
        replace(
            _base(report, "hw"),
            part=None,
            board=report.source.part,
            clock_asked_mhz=report.requested_mhz if isinstance(report, XclbinInfo) else None,
            clock_achieved_mhz=report.data_mhz,
        )
    ]


def _profile(report: ProfileSummary) -> list[RunRecord]:
    """Nothing from software emulation, nor from a profile that does not say what ran: its times are not hardware's."""
    if report.flow is None or report.flow == "sw_emu":
        return []
    runs: list[KernelRun | ComputeUnitRun] = [*report.kernels, *report.compute_units]
    return [_profiled(report, report.flow, run) for run in runs if run.timings.calls]


def _profiled(report: ProfileSummary, source: Source, run: KernelRun | ComputeUnitRun) -> RunRecord:
    unit = run if isinstance(run, ComputeUnitRun) else None
    times = run.timings
    # Some XRT versions print an average below the minimum in its last digits; the ends then carry no information.
    ordered = 0 < times.min_ms <= times.average_ms <= times.max_ms
    return replace(
        _base(report, source, run.kernel),
        scope="compute_unit" if unit else "kernel",
        module=unit.compute_unit if unit else None,
        board=report.device,
        clock_achieved_mhz=unit.clock_mhz if unit else None,
        latency_min_ms=times.min_ms if ordered else None,
        latency_ms=times.average_ms or None,
        latency_max_ms=times.max_ms if ordered else None,
        runs=times.calls,
    )


def _monitored(report: AcceleratorMonitor, unit: MonitoredUnit) -> RunRecord:
    mean = round(unit.execution_cycles / unit.ends)
    ordered = unit.min_execution_cycles <= mean <= unit.max_execution_cycles
    return replace(
        _base(report, "hw", unit.compute_unit.rpartition("_")[0] or unit.compute_unit),
        scope="compute_unit",
        module=unit.compute_unit,
        cycles_min=unit.min_execution_cycles if ordered else None,
        cycles=mean,
        cycles_max=unit.max_execution_cycles if ordered else None,
        runs=unit.ends,
    )


def _export(report: ExportReport) -> RunRecord:
    return replace(
        _with_hls(_base(report, "hw"), report.resources, report.state),
        clock_asked_mhz=_mhz(report.required_ns),
        clock_achieved_mhz=_mhz(report.achieved_ns) if report.state == "routed" else None,
        status=None if report.met is None else ("timing met" if report.met else "timing not met"),
    )


def _session_log(report: HlsLog) -> list[RunRecord]:
    """Every synthesis with its pipelines, and everything that was exported."""
    found = []
    for session in report.sessions:
        design = replace(
            _base(report, "csynth", session.top),
            part=session.part,
            clock_asked_mhz=_mhz(session.target_ns),
            clock_estimated_mhz=session.fmax_mhz,
        )
        found += [design, *(_logged(design, pipeline) for pipeline in session.pipelines)]
    exports = [replace(_export(each), report_kind=report.kind) for each in report.exports]
    return list(dict.fromkeys([*found, *exports]))


def _logged(design: RunRecord, pipeline: LoggedPipeline) -> RunRecord:
    return replace(
        design,
        scope="loop",
        module=pipeline.module or None,
        loop=pipeline.loop or None,
        initiation_interval=pipeline.ii_achieved.max,
        pipeline_depth=pipeline.depth_cycles,
        clock_estimated_mhz=None,
    )


def _published(report: ResultsTable, row: ResultRow) -> RunRecord:
    """Everything from a table is published; what the table says it is goes into the status."""
    has_resources = row.resources != HlsResources()
    plain = replace(
        _base(report, "published", row.design),
        workload=row.workload,
        board=row.board,
        cycles=row.cycles,
        latency_ms=row.latency_ms,
        clock_asked_mhz=_mhz(row.clock_ns),
        status=" ".join(filter(None, (row.origin, row.status))),
    )
    return _with_hls(plain, row.resources) if has_resources else plain
