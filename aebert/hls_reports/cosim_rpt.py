"""``<f>_cosim.rpt``: RTL co-simulation cycles, the layout up to 2019.2 and the one from Vitis HLS 2020.1 on."""

from __future__ import annotations

import re
from typing import Literal

from aebert.hls_reports import values
from aebert.hls_reports.model import CosimReport, CosimRun, ReportSource
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^\+\s+RTL\s+\+\s+Status\s+\+", re.MULTILINE)
_OLD_CELLS, _NEW_CELLS = 8, 9  # RTL, Status, 6 numbers; the new layout adds the total execution time in cycles
_STATUSES: dict[str, Literal["Pass", "Fail", "NA"]] = {"pass": "Pass", "fail": "Fail", "na": "NA"}


def parse_cosim(report: ReportText) -> CosimReport:
    """Parse a co-simulation report. The function's name is only in the file name, ``<f>_cosim*.rpt``."""
    lines = [line for line in report.text.splitlines() if line.strip().startswith("|")]
    try:
        runs = tuple(_run(row) for row in map(cells, lines) if row[0] in ("VHDL", "Verilog", "SystemC"))
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not runs:
        raise report.error("no Verilog or VHDL row")
    date = re.search(r"^Report time\s*:\s*(.*?)\.?\s*$", report.text, re.MULTILINE)
    return CosimReport(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="Vitis HLS" if "Total Execution Time" in report.text else "Vivado HLS",
            top=report.stem.partition("_cosim")[0] or None,
            date=date.group(1) if date else None,
        ),
        runs=runs,
    )


def _run(row: list[str]) -> CosimRun:
    if len(row) not in (_OLD_CELLS, _NEW_CELLS):
        raise MalformedValue(f"{row[0]} row with {len(row)} cells, expected {_OLD_CELLS} or {_NEW_CELLS}")
    status = _STATUSES.get(row[1].lower())
    if status is None:
        raise MalformedValue(f"status {values.quoted(row[1])} is not Pass, Fail or NA")
    latency_min, latency, latency_max, interval_min, interval, interval_max = map(values.parse_count, row[2:8])
    values.ordered_range(latency_min, latency_max)
    values.ordered_range(interval_min, interval_max)
    total = values.parse_count(row[8]) if len(row) == _NEW_CELLS else None
    return CosimRun(row[0], status, latency_min, latency, latency_max, interval_min, interval, interval_max, total)
