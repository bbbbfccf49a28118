"""``csynth.rpt`` (2020.2 on): one tree of modules and loops, then the bound operators and memories."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
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
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, key_value, raw_cells, require_whole, table_after
from aebert.hls_reports.values import MalformedValue

# "==" up to 2025.1, "*" from 2025.2 on.
TITLE = re.compile(r"^(?:==|\*) Synthesis Summary Report of '([^']*)'\s*$", re.MULTILINE)
ESTIMATES, LAST_SECTION = "Performance & Resource Estimates", "Storage Report"
# The last section of versions before the bindings came, by how the version begins.
_EARLIER = {"2020.": ESTIMATES, "2021.1": "M_AXI Burst Information"}
# "+ module", "  o loop", "|+ top": the marker's column is the level. A dataflow module's name ends in "*".
_TREE_NAME = re.compile(r"^(\s*)([+o])\s+(\S.*?)\s*$")
# By the words of the two header lines together: 2025.2 puts "Violation Type" in between.
_COLUMNS = {
    "Issue Type": "issue",
    "Slack": "slack",
    "Latency (cycles)": "latency",
    "Iteration Latency": "depth",
    "Interval": "interval",
    "Trip Count": "trip",
    "Pipelined": "pipeline",
    "BRAM": "bram",
    "DSP": "dsp",
    "FF": "ff",
    "LUT": "lut",
    "URAM": "uram",
}


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
    version = (key_value(lines, "Version") or "").partition(" ")[0] or None
    earlier = (section for start, section in _EARLIER.items() if (version or "").startswith(start))
    require_whole(lines, next(earlier, LAST_SECTION))
    start = find_line(lines, ESTIMATES)
    if start is None:
        raise MalformedValue(f"section {ESTIMATES!r} is missing")
    forest = _tree(table_after(lines, start + 1))
    if len(forest) != 1:
        raise MalformedValue(f"the estimates table has {len(forest)} top modules, expected 1")
    return SynthesisSummary(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="Vitis HLS",
            tool_version=version,
            part=part_name(key_value(lines, "Target device")),
            top=title.group(1),
            date=key_value(lines, "Date"),
        ),
        flow_target=flow_target(key_value(lines, "Solution")),
        top=forest[0],
        bindings=_bindings(lines),
    )


def _tree(rows: Sequence[str]) -> tuple[SummaryNode, ...]:
    flat: list[tuple[int, SummaryNode]] = []
    columns, width = _columns(rows)
    for line in rows:
        marked = _TREE_NAME.match(raw_cells(line)[0])
        if marked is None:
            continue
        row = cells(line)
        if len(row) != width:
            raise MalformedValue(f"estimates row with {len(row)} cells, expected {width}")
        indent, marker, name = marked.groups()
        if len(indent) > 2 * MAX_NESTING:
            raise MalformedValue(f"modules nested deeper than {2 * MAX_NESTING}")
        flat.append((len(indent), _node(name, marker == "o", {key: row[at] for key, at in columns.items()})))
    return _nest(flat)


def _columns(rows: Sequence[str]) -> tuple[dict[str, int], int]:
    """Where each column of `_COLUMNS` is, and how many there are."""
    heading = [cells(line) for line in itertools.takewhile(lambda line: not _TREE_NAME.match(raw_cells(line)[0]), rows)]
    if not heading or len({len(row) for row in heading}) != 1:
        raise MalformedValue("the estimates table has no heading")
    titles = [" ".join(filter(None, words)) for words in zip(*heading, strict=True)]
    missing = [title for title in _COLUMNS if title not in titles]
    if missing:
        raise MalformedValue(f"the estimates table has no column {missing[0]!r}")
    return {key: titles.index(title) for title, key in _COLUMNS.items()}, len(titles)


def _node(name: str, is_loop: bool, row: Mapping[str, str]) -> SummaryNode:
    issue, pipeline = row["issue"], row["pipeline"]
    return SummaryNode(
        name=name.rstrip("*"),
        is_loop=is_loop,
        dataflow=name.endswith("*"),
        issue=None if issue == "-" else issue,
        slack_ns=values.parse_real(row["slack"]),
        latency_max_cycles=values.parse_count(row["latency"]),
        depth_max_cycles=values.parse_count(row["depth"]),
        interval_max_cycles=values.parse_count(row["interval"]),
        trip_count_max=values.parse_count(row["trip"]),
        pipeline=None if pipeline == "-" else pipeline,
        resources=HlsResources()
        if is_loop
        else _resources(*(row[name] for name in ("lut", "ff", "dsp", "bram", "uram"))),
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
    for heading, binding in (("Bind Op Report", "op"), ("Storage Report", "storage")):
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
