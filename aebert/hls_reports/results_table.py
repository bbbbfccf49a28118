"""CSV and TSV tables of results, as projects publish them next to their reports. Layouts are told by their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aebert.hls_reports import values
from aebert.hls_reports.model import HlsResources, ReportSource, ResultRow, ResultsTable
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Layout:
    columns: frozenset[str]
    rows: Callable[[Row], tuple[ResultRow, ...]]


def parse_results_table(report: ReportText) -> ResultsTable:
    """Parse a table of a known layout. Raises ReportError for an unknown layout or a malformed cell."""
    lines = [line for line in report.text.splitlines() if line.strip() and not line.startswith("#")]
    layout = table_layout(lines[0]) if lines else None
    if layout is None:
        raise report.error("no table layout we know", "see docs/hls_reports.md for the columns")
    found: list[ResultRow] = []
    try:
        for row in _rows(lines):
            found += layout.rows(row)
    except MalformedValue as error:
        raise report.error(str(error)) from None
    return ResultsTable(ReportSource(report.name, report.sha256), tuple(found))


def table_layout(header: str) -> _Layout | None:
    """The layout whose columns the header line has."""
    columns = set(_cells(header, _delimiter(header)))
    return next((layout for layout in _LAYOUTS if layout.columns <= columns), None)


def _delimiter(line: str) -> str:
    return "\t" if "\t" in line else ","


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise MalformedValue(f"broken line ({error})") from None


def _rows(lines: list[str]) -> Iterator[Row]:
    delimiter = _delimiter(lines[0])
    columns = _cells(lines[0], delimiter)
    for number, line in enumerate(lines[1:], start=2):
        cells = _cells(line, delimiter)
        if len(cells) > len(columns) or len(cells) < len(columns) - 1:  # a trailing empty note may be missing
            raise MalformedValue(f"row {number} has {len(cells)} cells, expected {len(columns)}")
        yield dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=True))


def _measured(text: str) -> int | None:
    """Stream-HLS writes -1 where a tool failed."""
    return None if text.strip() == "-1" else values.parse_count(text)


def _resources(row: Row) -> HlsResources:
    lut, ff, dsp, bram, uram = (_measured(row.get(name, "")) for name in ("LUT", "FF", "DSP", "BRAM", "URAM"))
    return HlsResources(lut, ff, dsp, bram, uram)


def _milliseconds(text: str) -> float | None:
    value = values.parse_real(text)
    return None if value is None or value <= 0 else value


def _period(frequency_mhz: str) -> float | None:
    value = values.parse_positive(frequency_mhz)
    return None if value is None else 1000 / value


def _stream_hls(row: Row) -> tuple[ResultRow, ...]:
    """Stream-HLS (UCLA): RTL cycles of co-simulation and csynth cycles of the same design in one line."""
    design = one_line(f"{row['Kernel']} {row['Framework']}")
    status, resources = row["RTL Status"], _resources(row)
    cosim = ResultRow(design, None, "cosim", status, _measured(row["RTL Cycles"]), None, None, None, HlsResources())
    csynth = ResultRow(design, None, "csynth", None, _measured(row["Vitis Cycles"]), None, None, None, resources)
    return cosim, csynth


def _allo(row: Row) -> tuple[ResultRow, ...]:
    """smolVLA (Cornell): extract of csynth.xml; the period is the estimated one, the ms follow from it."""
    design = one_line(row["Run_ID"])
    cycles, period = values.parse_count(row["Latency_Cycles"]), values.parse_positive(row["Clock_Period_ns"])
    return (ResultRow(design, None, "csynth", None, cycles, None, period, None, _resources(row)),)


def _vitis_libraries(row: Row) -> tuple[ResultRow, ...]:
    """Board measurements of AMD's libraries: block RAM there is in RAMB36 tiles."""
    counts = dict(re.findall(r"\b(LUT|FF|REG|DSP|BRAM|URAM) (\d{1,9})\b", row["resources"].partition(";")[0]))
    whole = ";" not in row["resources"]  # "Adds DSP384 ...; Muls ..." lists parts, not the kernel
    tiles = values.parse_count(counts.get("BRAM", ""))
    resources = HlsResources(
        lut=values.parse_count(counts.get("LUT", "")),
        ff=values.parse_count(counts.get("FF") or counts.get("REG", "")),
        dsp=values.parse_count(counts.get("DSP", "")),
        bram_18k=None if tiles is None else 2 * tiles,
        uram=values.parse_count(counts.get("URAM", "")),
    )
    return (
        ResultRow(
            design=one_line(row["kernel"]),
            workload=_sizes(row, "dtype", "M", "N", "K_or_NNZ"),
            origin="published",
            status=None,
            cycles=values.parse_count(row["kernel_cycles"].partition("(")[0]),
            latency_ms=_milliseconds(row["kernel_time_ms"]),
            clock_ns=_period(row["freq_MHz"]),
            board=one_line(row["board"]) or None,
            resources=resources if whole else HlsResources(),
        ),
    )


def _sextans(row: Row) -> tuple[ResultRow, ...]:
    """Sextans: measured sparse-dense products on cards."""
    workload = _sizes(row, "values", "name", "M", "K", "NNZ", "N")
    latency, board = _milliseconds(row["latency_ms"]), one_line(row["board"])
    return (ResultRow("Sextans", workload, "published", None, None, latency, None, board, HlsResources()),)


def _sizes(row: Row, *names: str) -> str:
    return one_line(" ".join(f"{name}={row[name]}" for name in names if row.get(name)))


_LAYOUTS = (
    _Layout(frozenset({"Framework", "Kernel", "RTL Status", "RTL Cycles", "Vitis Cycles"}), _stream_hls),
    _Layout(frozenset({"Run_ID", "Latency_Cycles", "Clock_Period_ns", "LUT"}), _allo),
    _Layout(
        frozenset(
            {"kernel", "board", "freq_MHz", "M", "N", "K_or_NNZ", "kernel_time_ms", "kernel_cycles", "resources"}
        ),
        _vitis_libraries,
    ),
    _Layout(frozenset({"board", "values", "name", "M", "K", "NNZ", "N", "latency_ms"}), _sextans),
)
