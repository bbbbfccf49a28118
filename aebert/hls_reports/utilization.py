"""Vivado ``report_utilization``: whole design, and per super logic region with ``-slr``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from aebert.hls_reports import values
from aebert.hls_reports.model import SiteUsage, SlrUsage, UtilizationReport
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import cells, table_after
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.vivado_header import design_state, vivado_source

TITLE = "Utilization Design Information"
# Row names by architecture: 7-series says Slice, UltraScale+ CLB, Versal Registers. A trailing * marks a footnote.
_LUT = ("CLB LUTs", "Slice LUTs")
_FF = ("CLB Registers", "Slice Registers", "Registers")
_DSP = ("DSPs", "DSP Slices")
_TILES = ("Block RAM Tile",)
_URAM = ("URAM",)
_SLR = re.compile(r"^SLR\d+$")


def parse_utilization(report: ReportText) -> UtilizationReport:
    """Parse site type tables. Block RAM is in RAMB36 tiles. Raises ReportError."""
    lines = report.text.splitlines()
    try:
        tables = [[cells(line) for line in rows] for rows in _all_tables(lines)]
        slrs = _slrs(tables)
        used, available = _site_column(tables, "Used"), _site_column(tables, "Available")
        state = design_state(lines)
        boxes = _black_boxes(lines)
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if used.lut is None and not slrs:
        raise report.error("no table with a LUT row")
    usage = used if used.lut is not None else sum_usage([each.usage for each in slrs])
    return UtilizationReport(vivado_source(report, lines), state, usage, available, slrs, boxes)


def _black_boxes(lines: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Rows of the "Black Boxes" section; the table of contents has the heading too."""
    headings = [index for index, line in enumerate(lines) if re.match(r"^\d+\. Black Boxes\s*$", line)]
    if not headings:
        return ()
    rows = [cells(line) for line in table_after(lines, headings[-1] + 1)]
    if not rows or rows[0] != ["Ref Name", "Used"]:
        return ()
    return tuple((name, values.parse_count(count) or 0) for name, count in rows[1:])


def _all_tables(lines: Sequence[str]) -> list[list[str]]:
    starts = [
        index
        for index, line in enumerate(lines)
        if line.lstrip().startswith("+-") and not (index and lines[index - 1].lstrip().startswith(("|", "+")))
    ]
    return [table_after(lines, start) for start in starts]


def _site_rows(table: Sequence[Sequence[str]], column: int) -> dict[str, str]:
    return {row[0].rstrip("*").strip(): row[column] for row in table[1:] if len(row) == len(table[0])}


def _site_column(tables: Sequence[Sequence[Sequence[str]]], name: str) -> SiteUsage:
    """The column ``name`` of all ``Site Type`` tables together; the first table that has a row wins."""
    sites: dict[str, str] = {}
    for table in tables:
        if table and table[0][0] == "Site Type" and name in table[0]:
            for site, cell in _site_rows(table, table[0].index(name)).items():
                sites.setdefault(site, cell)
    return _usage(sites)


def _slrs(tables: Sequence[Sequence[Sequence[str]]]) -> tuple[SlrUsage, ...]:
    for table in tables:
        if table and table[0][0] == "Site Type" and any(map(_SLR.match, table[0])):
            columns = [(index, name) for index, name in enumerate(table[0]) if _SLR.match(name)]
            return tuple(SlrUsage(name, _usage(_site_rows(table, index))) for index, name in columns)
    return ()


def _usage(sites: dict[str, str]) -> SiteUsage:
    def first(names: Sequence[str]) -> str:
        return next((sites[name] for name in names if name in sites), "")

    return SiteUsage(
        lut=values.parse_count(first(_LUT)),
        ff=values.parse_count(first(_FF)),
        dsp=values.parse_count(first(_DSP)),
        bram_36k=values.parse_tiles(first(_TILES)),
        uram=values.parse_count(first(_URAM)),
    )


def sum_usage(usages: Sequence[SiteUsage]) -> SiteUsage:
    """Add up regions or kernels. A resource that no part reports stays None."""

    def total(pick: Callable[[SiteUsage], int | None]) -> int | None:
        known = [value for value in map(pick, usages) if value is not None]
        return sum(known) if known else None

    tiles = [usage.bram_36k for usage in usages if usage.bram_36k is not None]
    return SiteUsage(
        lut=total(lambda usage: usage.lut),
        ff=total(lambda usage: usage.ff),
        dsp=total(lambda usage: usage.dsp),
        bram_36k=sum(tiles) if tiles else None,
        uram=total(lambda usage: usage.uram),
    )
