"""``<f>_csynth.rpt``: the text report of one function, Vivado HLS 2018 to Vitis HLS 2025."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from aebert.hls_reports import values
from aebert.hls_reports.model import (
    CsynthReport,
    HlsClock,
    HlsResources,
    ReportedInstance,
    ReportedLoop,
    ReportedModule,
    ReportSource,
)
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, key_value, raw_cells, require_whole, table_after
from aebert.hls_reports.values import IntRange, MalformedValue

TITLE = re.compile(r"^(?:==|\*) (Vivado HLS|Vitis HLS|HLS) Report for '([^']*)'\s*$", re.MULTILINE)
LAST_SECTION = "== Interface"
_LOOP_NAME = re.compile(r"^\s*(-|\++)\s+(\S.*?)\s*$")
MAX_NESTING = 64
# Latency cells after the name(s): 2018 has no absolute times, 2019 on does.
_LATENCY_CELLS_2018, _LATENCY_CELLS = 5, 7


def parse_csynth_rpt(report: ReportText) -> CsynthReport:
    """Parse the text report of one function. Raises ReportError naming the table at fault."""
    try:
        return _csynth(report)
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _csynth(report: ReportText) -> CsynthReport:
    title = TITLE.search(report.text)
    if title is None:
        raise MalformedValue("no line == Vitis HLS Report for '<function>'")
    lines = report.text.splitlines()
    require_whole(lines, LAST_SECTION)
    tool, function = title.groups()
    latency, interval, pipeline = _latency(lines)
    resources = _totals(lines)
    flow = key_value(lines, "Solution")
    return CsynthReport(
        kind="csynth_rpt",
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool=tool,
            tool_version=(key_value(lines, "Version") or "").partition(" ")[0] or None,
            part=part_name(key_value(lines, "Target device")),
            top=function,
            date=key_value(lines, "Date"),
        ),
        module=ReportedModule(
            name=function,
            latency_cycles=latency,
            latency_average_cycles=None,
            interval_cycles=interval,
            pipeline_type=pipeline,
            clock=_clock(lines),
            resources=resources["Total"],
            available=resources.get("Available"),
            available_slr=resources.get("Available SLR"),
            loops=_loops(lines),
            instances=_instances(lines),
        ),
        flow_target=flow_target(flow),
    )


def flow_target(solution: str | None) -> str | None:
    """``Vivado IP`` or ``Vitis Kernel`` from ``solution1 (Vivado IP Flow Target)``; None before 2020."""
    match = re.search(r"\((.*) Flow Target\)", solution or "")
    return match.group(1) if match else None


def _section(lines: Sequence[str], *headings: str) -> int:
    """Index just after the last of several headings that follow each other."""
    index = 0
    for heading in headings:
        found = find_line(lines, heading, index)
        if found is None:
            raise MalformedValue(f"section {heading!r} is missing")
        index = found + 1
    return index


def _clock(lines: Sequence[str]) -> HlsClock:
    rows = table_after(lines, _section(lines, "+ Timing", "* Summary"))
    for row in map(cells, rows):
        if len(row) == 4 and row[0].lower() != "clock":
            target, uncertainty = values.parse_nanoseconds(row[1]), values.parse_delay(row[3])
            return HlsClock(target, values.parse_delay(row[2]), uncertainty)
    raise MalformedValue("the Timing table has no clock row")


def _latency(lines: Sequence[str]) -> tuple[IntRange, IntRange, str]:
    rows = table_after(lines, _section(lines, "+ Latency", "* Summary"))
    if rows and len(cells(rows[-1])) in (_LATENCY_CELLS, _LATENCY_CELLS_2018):
        row = cells(rows[-1])
        if row[0].lower() != "min":
            return _cycles(row)
    raise MalformedValue("the Latency table has no row of 5 or 7 cells")


def _cycles(row: Sequence[str]) -> tuple[IntRange, IntRange, str]:
    """Latency, interval and pipeline type from ``min max [absolute absolute] min max type``."""
    low, high, *_, interval_low, interval_high, pipeline = row
    latency = values.ordered_range(values.parse_count(low), values.parse_count(high))
    interval = values.interval_range(values.parse_count(interval_low), values.parse_count(interval_high))
    return latency, interval, pipeline


def _loops(lines: Sequence[str]) -> tuple[ReportedLoop, ...]:
    rows = table_after(lines, _section(lines, "+ Latency", "* Loop"))
    flat: list[tuple[int, ReportedLoop]] = []
    for line in rows:
        marked = _LOOP_NAME.match(raw_cells(line)[0])
        if marked is None:
            continue
        row = cells(line)
        if len(row) != 8:
            raise MalformedValue(f"loop row with {len(row)} cells, expected 8: {values.quoted(line.strip())}")
        depth = 0 if marked.group(1) == "-" else len(marked.group(1))
        if depth > MAX_NESTING:
            raise MalformedValue(f"loops nested deeper than {MAX_NESTING}")
        flat.append((depth, _loop(marked.group(2), row)))
    return nest_loops(flat)


def _loop(name: str, row: Sequence[str]) -> ReportedLoop:
    return ReportedLoop(
        name=name,
        latency_cycles=values.ordered_range(values.parse_count(row[1]), values.parse_count(row[2])),
        depth_cycles=values.parse_range(row[3]),
        ii_achieved=values.parse_applicable(row[4]),
        ii_target=values.parse_applicable(row[5]),
        trip_count=values.parse_range(row[6]),
        pipelined=values.parse_flag(row[7]),
        slack_ns=None,
    )


def nest_loops(flat: Sequence[tuple[int, ReportedLoop]]) -> tuple[ReportedLoop, ...]:
    """The forest from (nesting level, loop) in report order."""
    done: list[ReportedLoop] = []
    index = 0
    while index < len(flat):
        level, loop = flat[index]
        end = index + 1
        while end < len(flat) and flat[end][0] > level:
            end += 1
        done.append(replace(loop, loops=nest_loops(flat[index + 1 : end])))
        index = end
    return tuple(done)


def _utilization_columns(header: Sequence[str]) -> dict[str, int]:
    names = {"BRAM_18K": "bram_18k", "DSP": "dsp", "DSP48E": "dsp", "FF": "ff", "LUT": "lut", "URAM": "uram"}
    return {names[name]: column for column, name in enumerate(header) if name in names}


def _resource_row(row: Sequence[str], columns: dict[str, int]) -> HlsResources:
    return HlsResources(**{field: values.parse_usage(row[column]) for field, column in columns.items()})


def _totals(lines: Sequence[str]) -> dict[str, HlsResources]:
    """The Total, Available and Available SLR rows of the utilisation summary."""
    rows = [cells(line) for line in table_after(lines, _section(lines, "== Utilization Estimates", "* Summary"))]
    if not rows:
        raise MalformedValue("the Utilization Estimates summary has no table")
    columns = _utilization_columns(rows[0])
    if "lut" not in columns or any(len(row) != len(rows[0]) for row in rows):
        raise MalformedValue("the Utilization Estimates summary is not a table with a LUT column")
    wanted = ("Total", "Available", "Available SLR")
    found = {row[0]: _resource_row(row, columns) for row in rows if row[0] in wanted}
    if "Total" not in found:
        raise MalformedValue("the Utilization Estimates summary has no Total row")
    return found


def _instances(lines: Sequence[str]) -> tuple[ReportedInstance, ...]:
    """Sub-modules: cycles from the latency detail, resources from the utilisation detail, matched by instance name."""
    timed: dict[str, tuple[str, tuple[IntRange, IntRange, str]]] = {}
    for line in table_after(lines, _section(lines, "+ Latency", "* Instance")):
        row = cells(line)
        if len(row) in (_LATENCY_CELLS + 2, _LATENCY_CELLS_2018 + 2) and row[2].lower() != "min":
            timed[row[0]] = (row[1], _cycles(row[2:]))
    found: dict[str, ReportedInstance] = {
        name: ReportedInstance(name, module, latency, interval, pipeline, None)
        for name, (module, (latency, interval, pipeline)) in timed.items()
    }
    start = find_line(lines, "* Instance", _section(lines, "== Utilization Estimates"))
    rows = [cells(line) for line in table_after(lines, start + 1)] if start is not None else []
    columns = _utilization_columns(rows[0]) if rows else {}
    for row in rows[1:]:
        if row[0] == "Total" or len(row) != len(rows[0]):
            continue
        known = found.get(row[0])
        found[row[0]] = ReportedInstance(
            name=row[0],
            module=row[1],
            latency_cycles=known.latency_cycles if known else None,
            interval_cycles=known.interval_cycles if known else None,
            pipeline_type=known.pipeline_type if known else None,
            resources=_resource_row(row, columns),
        )
    return tuple(found.values())
