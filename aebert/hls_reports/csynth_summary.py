"""``csynth.rpt`` (2020.2 on): one tree of modules and loops, then the bound operators and memories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from aebert.hls_reports import values
from aebert.hls_reports.csynth_rpt import MAX_NESTING, flow_target
from aebert.hls_reports.model import (
    BindNode,
    HlsResources,
    ModuleBindings,
    ReportSource,
    SummaryNode,
    SynthesisSummary,
)
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, key_value, raw_cells, table_after
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^== Synthesis Summary Report of '([^']*)'\s*$", re.MULTILINE)
# "+ module", "  o loop", "|+ top": the marker's column is the level. A dataflow module's name ends in "*".
_TREE_NAME = re.compile(r"^(\s*)([+o])\s+(\S.*?)\s*$")
_COLUMNS = 14


def parse_csynth_summary(report: ReportText) -> SynthesisSummary:
    """Parse the summary report. Raises ReportError naming the table at fault."""
    try:
        return _summary(report)
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _summary(report: ReportText) -> SynthesisSummary:
    title = TITLE.search(report.text)
    if title is None:
        raise MalformedValue("no line == Synthesis Summary Report of '<function>'")
    lines = report.text.splitlines()
    start = find_line(lines, "+ Performance & Resource Estimates")
    if start is None:
        raise MalformedValue("section 'Performance & Resource Estimates' is missing")
    forest = _tree(table_after(lines, start + 1))
    if len(forest) != 1:
        raise MalformedValue(f"the estimates table has {len(forest)} top modules, expected 1")
    return SynthesisSummary(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="Vitis HLS",
            tool_version=(key_value(lines, "Version") or "").partition(" ")[0] or None,
            part=key_value(lines, "Target device"),
            top=title.group(1),
            date=key_value(lines, "Date"),
        ),
        flow_target=flow_target(key_value(lines, "Solution")),
        top=forest[0],
        bindings=_bindings(lines),
    )


def _tree(rows: Sequence[str]) -> tuple[SummaryNode, ...]:
    flat: list[tuple[int, SummaryNode]] = []
    for line in rows:
        marked = _TREE_NAME.match(raw_cells(line)[0])
        if marked is None:
            continue
        row = cells(line)
        if len(row) != _COLUMNS:
            raise MalformedValue(f"estimates row with {len(row)} cells, expected {_COLUMNS}")
        indent, marker, name = marked.groups()
        if len(indent) > 2 * MAX_NESTING:
            raise MalformedValue(f"modules nested deeper than {2 * MAX_NESTING}")
        flat.append((len(indent), _node(name, marker == "o", row)))
    return _nest(flat)


def _node(name: str, is_loop: bool, row: Sequence[str]) -> SummaryNode:
    issue, slack, latency, _, depth, interval, trip, pipeline, bram, dsp, ff, lut, uram = row[1:]
    return SummaryNode(
        name=name.rstrip("*"),
        is_loop=is_loop,
        dataflow=name.endswith("*"),
        issue=None if issue == "-" else issue,
        slack_ns=values.parse_real(slack),
        latency_max_cycles=values.parse_count(latency),
        depth_max_cycles=values.parse_count(depth),
        interval_max_cycles=values.parse_count(interval),
        trip_count_max=values.parse_count(trip),
        pipeline=None if pipeline == "-" else pipeline,
        resources=HlsResources() if is_loop else _resources(lut, ff, dsp, bram, uram),
    )


def _resources(*usages: str) -> HlsResources:
    """A module's "-" means none: every csynth.xml next to such a report shows 0."""
    return HlsResources(*(values.parse_usage(usage) or 0 for usage in usages))


def _nest(flat: Sequence[tuple[int, SummaryNode]]) -> tuple[SummaryNode, ...]:
    done: list[SummaryNode] = []
    index = 0
    while index < len(flat):
        level, node = flat[index]
        end = index + 1
        while end < len(flat) and flat[end][0] > level:
            end += 1
        done.append(replace(node, children=_nest(flat[index + 1 : end])))
        index = end
    return tuple(done)


def _bindings(lines: Sequence[str]) -> tuple[ModuleBindings, ...]:
    """Rows of the Bind Op and Bind Storage reports, grouped by module. A module called twice is listed twice."""
    grouped: dict[str, list[BindNode]] = {}
    for heading, binding in (("== Bind Op Report", "op"), ("== Bind Storage Report", "storage")):
        start = find_line(lines, heading)
        rows = [] if start is None else table_after(lines, start + 2)
        if not rows:
            continue
        column = {name: index for index, name in enumerate(cells(rows[0]))}
        module = ""
        for line in rows[1:]:
            row = cells(line)
            if len(row) != len(column):
                raise MalformedValue(f"bind row with {len(row)} cells, expected {len(column)}")
            if row[0].startswith("+ "):
                module = row[0].removeprefix("+ ").rstrip("*").strip()
            else:
                nodes = grouped.setdefault(module, [])
                nodes.append(_bind_node(binding, row, column))
    return tuple(ModuleBindings(module, tuple(dict.fromkeys(nodes))) for module, nodes in grouped.items())


def _bind_node(binding: str, row: Sequence[str], column: dict[str, int]) -> BindNode:
    def cell(*names: str) -> str:
        return next((row[column[name]] for name in names if name in column), "")

    return BindNode(
        binding=binding,
        operator=cell("Op", "Storage", "Usage"),
        implementation=cell("Impl"),
        latency_cycles=None if cell("Latency") == "-1" else values.parse_count(cell("Latency")),
        dsp=values.parse_count(cell("DSP")) or 0,
        bram_18k=values.parse_count(cell("BRAM")) or 0,
        uram=values.parse_count(cell("URAM")) or 0,
        rtl_name=cell("Name"),
        variable=cell("Variable"),
    )
