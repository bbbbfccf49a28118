"""``*_kernel_util_{synthed,placed,routed}.rpt`` of a v++ link: what each kernel takes on the card."""

from __future__ import annotations

from collections.abc import Sequence

from aebert.hls_reports import values
from aebert.hls_reports.model import KernelUtilization, NamedUsage, SiteUsage
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, find_line, raw_cells, table_after
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.vivado_header import design_state, vivado_source

TITLE = "Accelerator Utilization Design Information"
# In an order that depends on the device: UltraScale+ begins with LUT, Versal with REG.
_COLUMNS = ("Name", "LUT", "REG", "BRAM", "URAM", "DSP")
_INDENT = 3


def parse_kernel_utilization(report: ReportText) -> KernelUtilization:
    """Parse the system utilisation table. BRAM is in RAMB36 tiles. Raises ReportError."""
    lines = report.text.splitlines()
    try:
        heading = find_line(lines, TITLE)
        rows = table_after(lines, 0 if heading is None else heading)
        columns = cells(rows[0]) if rows else []
        if not set(_COLUMNS) <= set(columns):
            raise MalformedValue(f"no table with the columns {', '.join(_COLUMNS)}")
        named = [_row(line, columns) for line in rows[1:]]
        state = design_state(lines)
    except MalformedValue as error:
        raise report.error(str(error)) from None
    system = {row.name: row.usage for row in named if row.name in ("Platform", "User Budget", "Used Resources")}
    own = ("Platform", "User Budget", "Used Resources", "Unused Resources")
    kernels = tuple(row for row in named if row.name not in own)
    if not kernels:
        raise report.error("the table lists no kernel")
    return KernelUtilization(
        source=vivado_source(report, lines),
        state=state,
        platform=system.get("Platform"),
        used=system.get("Used Resources"),
        kernels=kernels,
    )


def _row(line: str, columns: Sequence[str]) -> NamedUsage:
    row = cells(line)
    if len(row) != len(columns):
        raise MalformedValue(f"utilisation row with {len(row)} cells, expected {len(columns)}")
    padded = raw_cells(line)[columns.index("Name")]
    depth = (len(padded) - len(padded.lstrip()) - 1) // _INDENT
    name, lut, ff, bram, uram, dsp = (row[columns.index(column)] for column in _COLUMNS)
    usage = SiteUsage(
        lut=values.parse_usage(lut),
        ff=values.parse_usage(ff),
        dsp=values.parse_usage(dsp),
        bram_36k=values.parse_tiles(bram.partition("[")[0]),
        uram=values.parse_usage(uram),
    )
    return NamedUsage(name, depth, usage)
