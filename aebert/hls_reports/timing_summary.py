"""Vivado ``report_timing_summary``: slack of the design and the period of every clock."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aebert.hls_reports import values
from aebert.hls_reports.model import TimedClock, TimingSummary
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import find_line
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.vivado_header import header_state, stage_of_name, vivado_source

TITLE = "Timing Summary Report"
_CLOCK = re.compile(r"^\s*(\S+)\s+\{[^}]*\}\s+(\S+)\s+(\S+)\s*$")


def parse_timing_summary(report: ReportText) -> TimingSummary:
    """Parse the design summary and the clock tables; the path details are not read. Raises ReportError."""
    lines = report.text.splitlines()
    try:
        summary = _first_row(lines, "| Design Timing Summary")
        if len(summary) < 8:
            raise MalformedValue("the Design Timing Summary has no row of numbers")
        wns, tns, failing, _, whs = summary[:5]
        return TimingSummary(
            source=vivado_source(report, lines),
            state=header_state(lines) or stage_of_name(report.stem),
            wns_ns=values.parse_real(wns),
            tns_ns=values.parse_real(tns),
            whs_ns=values.parse_real(whs),
            failing_endpoints=values.parse_count(failing),
            met=_met(report.text),
            clocks=_clocks(lines),
        )
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _met(text: str) -> bool | None:
    if "All user specified timing constraints are met" in text:
        return True
    return False if "Timing constraints are not met" in text else None


def _block(lines: Sequence[str], heading: str) -> Sequence[str]:
    """The lines between the ruled heading and the next one."""
    start = find_line(lines, heading)
    if start is None:
        return ()
    end = find_line(lines, "| ---", start + 2)
    return lines[start + 3 : len(lines) if end is None else end - 2]


def _first_row(lines: Sequence[str], heading: str) -> list[str]:
    """The numbers under the first dashed rule of a block."""
    block = _block(lines, heading)
    rule = next((index for index, line in enumerate(block) if line.strip().startswith("-------")), None)
    return block[rule + 1].split() if rule is not None and rule + 1 < len(block) else []


def _clocks(lines: Sequence[str]) -> tuple[TimedClock, ...]:
    slacks = {row[0]: row[1] for line in _block(lines, "| Intra Clock Table") if len(row := line.split()) >= 9}
    clocks: list[TimedClock] = []
    for line in _block(lines, "| Clock Summary"):
        match = _CLOCK.match(line)
        if match is None:
            continue
        name, period, frequency = match.groups()
        period_ns, frequency_mhz = values.parse_positive(period), values.parse_positive(frequency)
        if period_ns is None or frequency_mhz is None:
            raise MalformedValue(f"clock {values.quoted(name)} has no period")
        clocks.append(TimedClock(name, period_ns, frequency_mhz, values.parse_real(slacks.get(name, ""))))
    return tuple(clocks)
