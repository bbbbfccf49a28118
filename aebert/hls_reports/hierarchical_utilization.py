"""Vivado ``report_utilization -hierarchical``: one row per instance."""

from __future__ import annotations

from collections.abc import Sequence

from aebert.hls_reports import values
from aebert.hls_reports.model import HierarchicalUtilization, HierarchyRow
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, raw_cells, table_after
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.vivado_header import design_state, vivado_source

TITLE = "Utilization by Hierarchy"
_INDENT = 2
_COUNTS = ("Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18")


def parse_hierarchical_utilization(report: ReportText) -> HierarchicalUtilization:
    """Parse the instance tree. RAMB36 and RAMB18 are counts of primitives. Raises ReportError."""
    lines = report.text.splitlines()
    try:
        rows = _rows(lines)
        state = design_state(lines)
    except MalformedValue as error:
        raise report.error(str(error)) from None
    return HierarchicalUtilization(vivado_source(report, lines), state, rows)


def _rows(lines: Sequence[str]) -> tuple[HierarchyRow, ...]:
    contents = find_line(lines, TITLE)
    heading = None if contents is None else find_line(lines, TITLE, contents + 1)
    table = [] if heading is None else table_after(lines, heading)
    if len(table) < 2:
        raise MalformedValue("no table of instances")
    header = {name: index for index, name in enumerate(cells(table[0]))}
    missing = [name for name in ("Instance", "Module", *_COUNTS) if name not in header]
    if missing:
        raise MalformedValue(f"the table of instances has no column {missing[0]!r}")
    return tuple(_row(line, header) for line in table[1:])


def _row(line: str, header: dict[str, int]) -> HierarchyRow:
    row = cells(line)
    if len(row) != len(header):
        raise MalformedValue(f"instance row with {len(row)} cells, expected {len(header)}")

    def count(*names: str) -> int:
        name = next((name for name in names if name in header), None)
        return 0 if name is None else values.parse_count(row[header[name]]) or 0

    padded = raw_cells(line)[header["Instance"]]
    lut, logic, lutram, srl, ff, ramb36, ramb18 = (count(name) for name in _COUNTS)
    return HierarchyRow(
        instance=row[header["Instance"]],
        module=row[header["Module"]],
        depth=(len(padded) - len(padded.lstrip()) - 1) // _INDENT,
        lut=lut,
        logic_lut=logic,
        lutram=lutram,
        srl=srl,
        ff=ff,
        ramb36=ramb36,
        ramb18=ramb18,
        uram=count("URAM"),
        dsp=count("DSP Blocks", "DSP48 Blocks", "DSP Slices"),
    )
