"""Vivado ``report_clock_utilization``: the global clocks and their loads."""

from __future__ import annotations

from aebert.hls_reports import values
from aebert.hls_reports.model import ClockUtilization, UsedClock
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, table_after
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.vivado_header import header_state, vivado_source

TITLE = "Clock Utilization Report"


def parse_clock_utilization(report: ReportText) -> ClockUtilization:
    """Parse the Global Clock Resources table; it is empty for an out-of-context design. Raises ReportError."""
    lines = report.text.splitlines()
    try:
        contents = find_line(lines, "Global Clock Resources")
        heading = None if contents is None else find_line(lines, "Global Clock Resources", contents + 1)
        table = [] if heading is None else [cells(line) for line in table_after(lines, heading)]
        if not table or not {"Clock", "Clock Period", "Clock Loads"} <= set(table[0]):
            raise MalformedValue("no Global Clock Resources table")
        name, period, loads = (table[0].index(column) for column in ("Clock", "Clock Period", "Clock Loads"))
        clocks = []
        for row in table[1:]:
            if len(row) != len(table[0]):
                raise MalformedValue(f"clock row with {len(row)} cells, expected {len(table[0])}")
            period_ns = values.parse_positive(row[period])
            clocks.append(UsedClock(row[name], period_ns, values.parse_count(row[loads]) or 0))
        return ClockUtilization(vivado_source(report, lines), header_state(lines), tuple(clocks))
    except MalformedValue as error:
        raise report.error(str(error)) from None
