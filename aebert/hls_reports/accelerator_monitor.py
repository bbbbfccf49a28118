"""``xbutil`` / ``xbutil examine -r debug-ip-status``: the accelerator monitors' counters.

Column order and number bases from XRT's reportAM (DebugIpStatusCollector.cpp): the first three counts are decimal,
the cycle counts hexadecimal, with 0x or without.
"""

from __future__ import annotations

from aebert.hls_reports import values
from aebert.hls_reports.model import AcceleratorMonitor, MonitoredUnit, ReportSource
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

TITLE = "Accelerator Monitor Counters"
_COLUMNS = 10  # unit, ends, starts, max parallel, execution, memory, pipe, stream stalls, min, max execution
_HEX_DIGITS = 15


def parse_accelerator_monitor(report: ReportText) -> AcceleratorMonitor:
    """Parse the monitor table. Cycles count since the bitstream was loaded. Raises ReportError."""
    lines = report.text.partition(TITLE)[2].splitlines()[1:]
    rows: list[MonitoredUnit] = []
    try:
        for line in lines[1:]:
            if not line.strip():
                break
            rows.append(_unit(line.split()))
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not rows:
        raise report.error("no compute unit under the accelerator monitor counters", "load a profiled bitstream")
    return AcceleratorMonitor(ReportSource(report.name, report.sha256, tool="XRT"), tuple(rows))


def _unit(row: list[str]) -> MonitoredUnit:
    if len(row) != _COLUMNS:
        raise MalformedValue(f"monitor row with {len(row)} cells, expected {_COLUMNS}")
    ends, starts = (values.parse_count(cell) or 0 for cell in row[1:3])
    execution, memory, pipe, stream, shortest, longest = (_hex_cycles(cell) for cell in row[4:])
    return MonitoredUnit(one_line(row[0]), starts, ends, execution, memory, pipe, stream, shortest, longest)


def _hex_cycles(text: str) -> int:
    digits = text.lower().removeprefix("0x")
    if not digits or len(digits) > _HEX_DIGITS or digits.strip("0123456789abcdef"):
        raise MalformedValue(f"{values.quoted(text)} is not a hexadecimal cycle count")
    return int(digits, 16)
