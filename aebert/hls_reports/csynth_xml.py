"""``csynth.xml`` and ``<f>_csynth.xml``, Vivado HLS 2018 to Vitis HLS 2025. Decides by elements, never by version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element

from aebert.hls_reports import values
from aebert.hls_reports.model import (
    BindNode,
    CsynthReport,
    HlsClock,
    HlsResources,
    ReportedFifo,
    ReportedInstance,
    ReportedLoop,
    ReportedModule,
    ReportedPragma,
    ReportSource,
    Violation,
)
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import IntRange, MalformedValue

# A loop is an element that has one of these in it, whatever its tag: users label loops "Latency", and each version adds
# fields of its own (isPerfectNested and PerformancePragma in 2025).
_LOOP_FIGURES = ("TripCount", "Latency", "IterationLatency", "PipelineII", "PipelineDepth")


def parse_csynth_xml(report: ReportText, root: Element) -> CsynthReport:
    """Parse a ``profile`` element that has ``UserAssignments``. Raises ReportError naming the element at fault."""
    try:
        return _csynth(report, root)
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _csynth(report: ReportText, root: Element) -> CsynthReport:
    assignments = _required(root, "UserAssignments")
    estimates = _required(root, "PerformanceEstimates")
    area = _required(root, "AreaEstimates")
    _required(estimates, "SummaryOfOverallLatency")
    top = _text(assignments, "TopModelName")
    if top is None:
        raise MalformedValue("UserAssignments/TopModelName is missing")
    clock = HlsClock(
        target_ns=_period(assignments, "TargetClockPeriod"),
        estimated_ns=_delay(estimates, "SummaryOfTimingAnalysis/EstimatedClockPeriod"),
        uncertainty_ns=_real(assignments, "ClockUncertainty"),
    )
    modules = tuple(_inner_module(element) for element in root.iterfind("ModuleInformation/Module"))
    inside = next((module for module in modules if module.name == top), None)
    return CsynthReport(
        kind="csynth_xml",
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="Vivado HLS" if assignments.find("FlowTarget") is None else "Vitis HLS",
            tool_version=_text(root, "ReportVersion/Version"),
            part=part_name(_text(assignments, "Part")),
            top=top,
        ),
        module=replace(
            _module(top, clock, estimates, area),
            pipeline_type=_text(estimates, "PipelineType"),
            available=_resources(area.find("AvailableResources")),
            bind_nodes=inside.bind_nodes if inside else (),
            instances=tuple(_instance(each) for each in root.iterfind("RTLDesignHierarchy/TopModule/InstancesList/*")),
        ),
        flow_target=_text(assignments, "FlowTarget"),
        modules=modules,
        fifos=tuple(
            ReportedFifo(_text(fifo, "Name") or "", _count(fifo, "StaticDepth"))
            for fifo in root.iterfind("FIFOInformation/FIFOInst")
        ),
        pragmas=tuple(_pragma(element) for element in root.iterfind("PragmaReport/Pragma")),
        violations=tuple(_violations(root, top)),
    )


def _inner_module(element: Element) -> ReportedModule:
    """One ``ModuleInformation/Module`` (2020.2 on)."""
    name = _text(element, "Name")
    if name is None:
        raise MalformedValue("ModuleInformation/Module without a Name")
    estimates = _required(element, "PerformanceEstimates")
    timing = "SummaryOfTimingAnalysis"
    clock = HlsClock(
        target_ns=_period(estimates, f"{timing}/TargetClockPeriod"),
        estimated_ns=_delay(estimates, f"{timing}/EstimatedClockPeriod"),
        uncertainty_ns=_real(estimates, f"{timing}/ClockUncertainty"),
    )
    return replace(
        _module(name, clock, estimates, _required(element, "AreaEstimates")),
        pipeline_type=_text(estimates, "SummaryOfOverallLatency/PipelineType"),
        bind_nodes=tuple(_bind_node(node) for node in element.iterfind("BindNodes/BindNode")),
    )


def _module(name: str, clock: HlsClock, estimates: Element, area: Element) -> ReportedModule:
    overall = _required(estimates, "SummaryOfOverallLatency")
    resources = _resources(area.find("Resources"))
    if resources is None:
        raise MalformedValue(f"{values.quoted(name)}: AreaEstimates/Resources is missing")
    return ReportedModule(
        name=name,
        latency_cycles=_between(overall, "Best-caseLatency", "Worst-caseLatency"),
        latency_average_cycles=_count(overall, "Average-caseLatency"),
        interval_cycles=_between(overall, "Interval-min", "Interval-max", values.interval_range)
        or _span(overall, "PipelineInitiationInterval"),
        pipeline_type=None,
        clock=clock,
        resources=resources,
        throughput_cycles=_span(overall, "DataflowPipelineThroughput"),
        loops=_loops(estimates.find("SummaryOfLoopLatency")),
    )


def _loops(parent: Element | None) -> tuple[ReportedLoop, ...]:
    """A loop's tag is its label with the spaces dropped."""
    return () if parent is None else tuple(_loop(child) for child in parent if _is_loop(child))


def _is_loop(element: Element) -> bool:
    return any(element.find(figure) is not None for figure in _LOOP_FIGURES)


def _loop(element: Element) -> ReportedLoop:
    ii = _span(element, "PipelineII")
    depth = _span(element, "PipelineDepth") or _span(element, "IterationLatency")
    pipeline = _text(element, "PipelineType")
    return ReportedLoop(
        name=_text(element, "Name") or one_line(element.tag),
        trip_count=_span(element, "TripCount"),
        latency_cycles=_span(element, "Latency"),
        depth_cycles=depth,
        ii_achieved=ii,
        ii_target=None,
        pipelined=values.parse_flag(pipeline) if pipeline else ii is not None,
        slack_ns=_real(element, "Slack"),
        instances=tuple(one_line((each.text or "").strip()) for each in element.iterfind("InstanceList/Instance")),
        loops=_loops(element),
    )


def _instance(element: Element) -> ReportedInstance:
    """A direct sub-module of the top; its figures are in the entry of ``modules`` with the module's name."""
    name, module = _text(element, "InstName"), _text(element, "ModuleName")
    if name is None or module is None:
        raise MalformedValue("RTLDesignHierarchy instance without InstName or ModuleName")
    return ReportedInstance(name, module, None, None, None, None)


def _bind_node(node: Element) -> BindNode:
    shape = node.get("STORAGESIZE", "").split()
    return BindNode(
        binding=one_line(node.get("BINDTYPE", "")),
        operator=one_line(node.get("OPTYPE", "")),
        implementation=one_line(node.get("IMPL", "")),
        latency_cycles=None if node.get("LATENCY") == "-1" else values.parse_count(node.get("LATENCY", "")),
        dsp=values.parse_count(node.get("DSP", "")),
        bram_18k=values.parse_count(node.get("BRAM", "")),
        uram=values.parse_count(node.get("URAM", "")),
        rtl_name=one_line(node.get("RTLNAME", "")),
        variable=one_line(node.get("VARIABLE", "")),
        loop=one_line(node.get("LOOP", "")),
        source=one_line(node.get("SOURCE", "")),
        storage_shape=tuple(count for count in map(values.parse_count, shape) if count is not None),
    )


def _pragma(element: Element) -> ReportedPragma:
    fields = ("type", "location", "parentFunction", "options", "status")
    return ReportedPragma(*(one_line(element.get(field, "")) for field in fields))


def _violations(root: Element, top: str) -> list[Violation]:
    """From 2023.2 every module's summary is there, with "-" where nothing is violated."""
    owners = [(top, root)] + [(_text(each, "Name") or "", each) for each in root.iterfind("ModuleInformation/Module")]
    found: list[Violation] = []
    for module, owner in owners:
        summary = owner.find("PerformanceEstimates/SummaryOfViolations")
        if summary is None:
            continue
        found.append(_violation(module, "", summary))
        loops = summary.find("SummaryOfLoopViolations")
        found += [
            _violation(module, _text(loop, "Name") or loop.tag, loop) for loop in (() if loops is None else loops)
        ]
    real = [violation for violation in found if not values.is_unknown(violation.issue)]
    return list(dict.fromkeys(real))


def _violation(module: str, loop: str, element: Element) -> Violation:
    texts = (_text(element, tag) or "" for tag in ("IssueType", "ViolationType", "SourceLocation"))
    return Violation(module, one_line(loop), *texts)


def _resources(element: Element | None) -> HlsResources | None:
    if element is None:
        return None
    dsp = "DSP" if element.find("DSP") is not None else "DSP48E"
    return HlsResources(
        lut=_count(element, "LUT"),
        ff=_count(element, "FF"),
        dsp=_count(element, dsp),
        bram_18k=_count(element, "BRAM_18K"),
        uram=_count(element, "URAM"),
    )


def _required(element: Element, path: str) -> Element:
    found = element.find(path)
    if found is None:
        raise MalformedValue(f"element {path} is missing")
    return found


def _text(element: Element, path: str) -> str | None:
    found = element.findtext(path)
    return one_line(found.strip()) or None if found else None


def _named(error: MalformedValue, path: str) -> MalformedValue:
    return MalformedValue(f"{path}: {error}")


def _count(element: Element, path: str) -> int | None:
    try:
        return values.parse_count(element.findtext(path) or "")
    except MalformedValue as error:
        raise _named(error, path) from None


def _real(element: Element, path: str) -> float | None:
    try:
        return values.parse_real(element.findtext(path) or "")
    except MalformedValue as error:
        raise _named(error, path) from None


def _period(element: Element, path: str) -> float | None:
    try:
        return values.parse_nanoseconds(element.findtext(path) or "")
    except MalformedValue as error:
        raise _named(error, path) from None


def _delay(element: Element, path: str) -> float | None:
    try:
        return values.parse_delay(element.findtext(path) or "")
    except MalformedValue as error:
        raise _named(error, path) from None


def _between(
    element: Element, low: str, high: str, joined: Callable[[int | None, int | None], IntRange] = values.ordered_range
) -> IntRange | None:
    if element.find(low) is None and element.find(high) is None:
        return None
    return joined(_count(element, low), _count(element, high))


def _span(element: Element, path: str) -> IntRange | None:
    """A field that is a number, ``undef``, text ``a ~ b`` or a nested ``<range>``; None when absent."""
    found = element.find(path)
    if found is None:
        return None
    if found.find("range") is not None:
        return values.ordered_range(_count(found, "range/min"), _count(found, "range/max"))
    try:
        return values.parse_range(found.text or "")
    except MalformedValue as error:
        raise _named(error, path) from None
