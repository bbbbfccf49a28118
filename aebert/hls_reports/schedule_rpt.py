"""Vitis and Vivado HLS ``*.verbose.sched.rpt`` (solution/.autopilot/db): every operation of a module, by state."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.schedule_model import (
    ReportCore,
    ReportLoop,
    ReportPipeline,
    ScheduledStep,
    ScheduleReport,
)
from aebert.hls_reports.schedule_statement import parse_statement
from aebert.hls_reports.tables import cells, find_line, key_value, table_after
from aebert.hls_reports.values import MalformedValue

_MODULE = re.compile(r"^== (?:Vitis|Vivado) HLS Report for '(.*)'")
_PIPELINE = re.compile(r"^\s+Pipeline-\d+ : II = (\d+), D = (\d+), States = \{([\d ]*)\}")
_STATE = re.compile(r"^State (\d+) (?:<SV = \d+> )?<Delay = ([\d.]+)>")
_STEP = re.compile(
    r"^ST_(?P<state>\d+) : Operation (?P<number>\d+) \[(?P<left>\d+)/(?P<steps>\d+)\] "
    r"\((?:(?P<delay>[\d.]+)ns| I:(?P<input>[\d.]+)ns O:(?P<output>[\d.]+)ns )\)(?P<grouping>[^>\"]*)--->\s+"
    r'"(?P<text>.*?)"(?P<place> \[.*?\])?\s+--->\s+'
    r"Operation \d+ '(?P<opcode>[^']*)'(?: '(?P<name>[^']*)')?(?P<rest>.*)$"
)
_PREDICATE = re.compile(r"<Predicate = (.*?)> <Delay = ([\d.]+)>")
_CORE = re.compile(r"Core \d+ '(?P<name>[^']*)' <Latency = (?P<latency>\d+)> <II = \d+> <Delay = (?P<delay>[\d.]+)>")
_STORAGE = re.compile(r"<Ports = (\d+)> <Width = (\d+)> <Depth = (\d+)> <(\w+)>")
_GROUPINGS = (
    ("grouped into LUT", "lut_in"),
    ("out node of the LUT", "lut_out"),
    ("root node of the DSP", "dsp_root"),
    ("grouped into DSP", "dsp_in"),
    ("root node of TernaryAdder", "ternary_root"),
    ("root node of the TernaryAdder", "ternary_root"),
    ("into TernaryAdder", "ternary_in"),
)


def parse_schedule(report: ReportText) -> ScheduleReport:
    """Parse a schedule report. Raises ReportError when it is none, or is cut off."""
    lines = report.text.splitlines()
    try:
        return _parse(report, lines)
    except MalformedValue as error:
        raise report.error(str(error), "give a complete *.verbose.sched.rpt") from None


def _parse(report: ReportText, lines: Sequence[str]) -> ScheduleReport:
    module = next((match[1] for line in lines if (match := _MODULE.match(line))), None)
    start = find_line(lines, "Verbose Summary: Schedule")
    if module is None or start is None:
        raise MalformedValue("no schedule report of Vitis HLS")
    part = key_value(lines, "Target device")
    version = key_value(lines, "Version")
    if part is None or version is None:
        raise MalformedValue("no target device or version in the heading")
    period, estimate, uncertainty = _clock(lines)
    interval, loops = _performance(lines[:start])
    steps = [_step(line) for line in _operation_lines(lines[start:])]
    delays = {int(m[1]): float(m[2]) for line in lines[start:] if (m := _STATE.match(line))}
    pipelines = tuple(
        ReportPipeline(int(m[1]), int(m[2]), tuple(map(int, m[3].split())))
        for line in lines[start:]
        if (m := _PIPELINE.match(line))
    )
    if any(state not in delays for pipeline in pipelines for state in pipeline.states):
        raise MalformedValue("states of a pipeline are missing")
    return ScheduleReport(
        report.name, report.sha256, module, version.split()[0], part, period, uncertainty, estimate,
        pipelines, loops, interval, delays, tuple(steps),
    )  # fmt: skip


def _clock(lines: Sequence[str]) -> tuple[float, float, float]:
    """Target period, estimate and uncertainty in ns."""
    heading = find_line(lines, "+ Timing")
    table = [] if heading is None else [cells(line) for line in table_after(lines, heading + 2)]
    if len(table) < 2 or len(table[1]) != 4:
        raise MalformedValue("no table of the clock")
    period, estimate, uncertainty = (_nanoseconds(cell) for cell in table[1][1:])
    if period <= 0:
        raise MalformedValue(f"clock row {table[1]!r}")
    return period, estimate, uncertainty


def _nanoseconds(cell: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?: ?(ns|us|ms))?", cell)
    if match is None:
        raise MalformedValue(f"time {cell!r}")
    return float(match[1]) * {"us": 1e3, "ms": 1e6}.get(match[2] or "ns", 1.0)


def _performance(lines: Sequence[str]) -> tuple[int | None, tuple[ReportLoop, ...]]:
    """The function's interval, and the rows of the loop table."""
    heading = find_line(lines, "+ Latency")
    interval = None
    if heading is not None:
        rows = [cells(line) for line in table_after(lines, heading + 2)]
        if len(rows) == 3 and len(rows[2]) >= 6:
            column = 4 if len(rows[2]) >= 7 else 2
            interval = int(rows[2][column]) if rows[2][column].isdigit() else None
    heading = find_line(lines, "* Loop:")
    table = [] if heading is None else [cells(line) for line in table_after(lines, heading + 1)]
    return interval, tuple(_loop(row) for row in table if len(row) == 8 and row[0].startswith(("-", "+")))


def _loop(row: Sequence[str]) -> ReportLoop:
    name = row[0].lstrip("-+ ").strip()
    trips = [int(number) for number in re.findall(r"\d+", row[6])]
    trip_count = (trips[0], trips[-1]) if trips else None
    latency, achieved, target = (int(cell) if cell.isdigit() else None for cell in (row[3], row[4], row[5]))
    return ReportLoop(name, trip_count, latency, achieved, target, row[7] == "yes")


def _operation_lines(lines: Sequence[str]) -> list[str]:
    """Lines of operations, each whole: a switch takes several. Operand multiplexers have lines of their own."""
    whole: list[str] = []
    for line in lines:
        if line.startswith("ST_"):
            whole.append(line)
        elif whole and "--->   Operation" not in whole[-1] and "Input mux for" not in whole[-1] and line.strip():
            whole[-1] += " " + line.strip()
    return [line for line in whole if "Input mux for" not in line]


def _step(line: str) -> ScheduledStep:
    match = _STEP.match(line)
    if match is None:
        raise MalformedValue(f"operation line {line[:80]!r}")
    delay = float(match["delay"] or match["input"])
    rest = match["rest"]
    predicate = _PREDICATE.search(rest)
    grouping = next((short for long, short in _GROUPINGS if long in match["grouping"]), "")
    opcode = match["opcode"]
    return ScheduledStep(
        int(match["state"]), int(match["number"]), int(match["left"]), int(match["steps"]),
        delay, float(match["output"]) if match["output"] else delay,
        grouping, opcode, match["name"] or "", match["text"], (match["place"] or "").strip(" []"),
        predicate[1] if predicate else "true", parse_statement(opcode, match["text"]), _core(rest),
    )  # fmt: skip


def _core(rest: str) -> ReportCore | None:
    match = _CORE.search(rest)
    if match is None:
        return None
    storage = _STORAGE.search(rest)
    ports, width, depth = (int(number) for number in storage.groups()[:3]) if storage else (0, 0, 0)
    return ReportCore(
        match["name"], int(match["latency"]), float(match["delay"]), "<Storage>" in rest,
        ports, width, depth, storage[4] if storage else "",
    )  # fmt: skip
