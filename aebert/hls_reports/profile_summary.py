"""XRT's ``summary.csv``, SDAccel's ``profile_summary.csv`` and hardware emulation's ``profile_kernels.csv``.

Sections are a title line, a header line and rows with a trailing comma. Only "Flow mode: System Run" is hardware.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from aebert.hls_reports import values
from aebert.hls_reports.model import (
    ComputeUnitRun,
    FlowMode,
    HostCall,
    HostTransfer,
    KernelRun,
    ProfileSummary,
    ReportSource,
    Timings,
)
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^(SDAccel |OpenCL )?Profile Summary\s*$|^OpenCL Summary\s*$", re.MULTILINE)
EMULATION_TITLE = "Compute Units: Running Time and Stalls"
# The flow mode is XRT's own word (xdp summary_writer.cpp).
_FLOWS: dict[str, FlowMode] = {"system run": "hw", "hardware emulation": "hw_emu", "software emulation": "sw_emu"}

Row = dict[str, str]


def parse_profile_summary(report: ReportText) -> ProfileSummary:
    """Parse a profile summary. Raises ReportError when no kernel or compute unit ran, or a number is malformed."""
    lines = report.text.splitlines()
    header = _header(lines)
    try:
        sections = _sections(lines)
        kernels = tuple(_kernel(row) for row in sections.get("Kernel Execution", ()))
        units = [_compute_unit(row) for row in sections.get("Compute Unit Utilization", ())]
        units += [_emulated_unit(row) for row in sections.get(EMULATION_TITLE, ())]
        transfers = tuple(_transfer(row) for row in sections.get("Data Transfer: Host to Global Memory", ()))
        calls = tuple(_host_calls(lines))
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not kernels and not units and not calls:
        raise report.error("no kernel execution in the profile", "run the application to its end with profiling on")
    named: list[KernelRun | ComputeUnitRun] = [*kernels, *units]
    # profile_kernels.csv is written by the RTL simulator of hardware emulation and has no header.
    emulated = EMULATION_TITLE in sections and "Flow mode" not in header
    return ProfileSummary(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="XRT",
            tool_version=header.get("XRT build version") or header.get("Tool version"),
            top=named[0].kernel if named else None,
            date=header.get("Generated on"),
        ),
        device=header.get("Target devices"),
        flow="hw_emu" if emulated else _FLOWS.get(header.get("Flow mode", "").lower()),
        kernels=kernels,
        compute_units=tuple(units),
        transfers=transfers,
        calls=calls,
    )


def _header(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines[:20] if ":" in line and "," not in line.partition(":")[0])
    return {key.strip(): one_line(value.strip()) for key, _, value in pairs if value.strip()}


def _sections(lines: Sequence[str]) -> dict[str, list[Row]]:
    """Rows of every table by title; a title's parenthesis ("includes estimated device time") is dropped."""
    found: dict[str, list[Row]] = {}
    title, columns = "", list[str]()
    for cells in _csv_rows(lines):
        if not cells:
            title, columns = "", []
        elif not title:
            title = cells[0].partition(" (")[0].strip()
        elif not columns:
            columns = cells
            found.setdefault(title, [])
        elif len(cells) == len(columns):
            found[title].append(dict(zip(columns, cells, strict=True)))
        elif title in ("Kernel Execution", "Compute Unit Utilization", EMULATION_TITLE):
            raise MalformedValue(f"{title}: row with {len(cells)} cells, expected {len(columns)}")
    return found


def _host_calls(lines: Iterable[str]) -> Iterator[HostCall]:
    """XRT writes the native calls in a form of their own: TITLE, SECTION and COLUMN lines, then ENTRY lines."""
    inside = False
    for line in lines:
        if line.startswith("TITLE:"):
            inside = line.strip() == "TITLE:Native API Calls"
        elif inside and line.startswith("ENTRY:"):
            cells = next(iter(_csv_rows([line.removeprefix("ENTRY:")])))
            if len(cells) != 6:
                raise MalformedValue(f"native call with {len(cells)} cells, expected 6")
            times = [values.parse_real(cell) for cell in cells[2:]]
            count = values.parse_count(cells[1])
            if count is None or any(time is None for time in times):
                raise MalformedValue(f"native call {values.quoted(cells[0])} without its times")
            yield HostCall(one_line(cells[0]), Timings(count, *(time or 0.0 for time in times)))


def _csv_rows(lines: Iterable[str]) -> Iterable[list[str]]:
    for line in lines:
        try:
            row = next(csv.reader([line], strict=False), [])
        except csv.Error as error:
            raise MalformedValue(f"broken CSV line ({error})") from None
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _number(row: Row, column: str) -> float:
    value = _optional(row, column)
    if value is None or value < 0:
        raise MalformedValue(f"column {column!r} is missing or not a number")
    return value


def _optional(row: Row, column: str) -> float | None:
    try:
        return values.parse_real(row.get(column, ""))
    except MalformedValue as error:
        raise MalformedValue(f"{column}: {error}") from None


def _calls(row: Row, column: str) -> int:
    count = values.parse_count(row.get(column, ""))
    if count is None:
        raise MalformedValue(f"column {column!r} is missing or not a count")
    return count


def _timings(row: Row, calls: str) -> Timings:
    times = (_number(row, f"{which} Time (ms)") for which in ("Total", "Minimum", "Average", "Maximum"))
    return Timings(_calls(row, calls), *times)


def _kernel(row: Row) -> KernelRun:
    return KernelRun(one_line(row.get("Kernel", "")), _timings(row, "Number Of Enqueues"))


def _compute_unit(row: Row) -> ComputeUnitRun:
    return ComputeUnitRun(
        device=one_line(row.get("Device", "")),
        compute_unit=one_line(row.get("Compute Unit", "")),
        kernel=one_line(row.get("Kernel", "")),
        timings=_timings(row, "Number Of Calls"),
        clock_mhz=_optional(row, "Clock Frequency (MHz)"),
    )


def _emulated_unit(row: Row) -> ComputeUnitRun:
    name = one_line(row.get("Compute Unit", ""))
    time_ms = _number(row, "Running Time (us)") / 1000
    return ComputeUnitRun("", name, name.rpartition("_")[0], Timings(1, time_ms, time_ms, time_ms, time_ms), None)


def _transfer(row: Row) -> HostTransfer:
    direction = row.get("Transfer Type", "")
    if direction not in ("READ", "WRITE"):
        raise MalformedValue(f"transfer type {values.quoted(direction)} is not READ or WRITE")
    return HostTransfer(
        direction="READ" if direction == "READ" else "WRITE",
        transfers=_calls(row, "Number Of Buffer Transfers"),
        rate_mb_per_s=_optional(row, "Transfer Rate (MB/s)"),
        average_size_kb=_number(row, "Average Buffer Size (KB)"),
        total_ms=_optional(row, "Total Time (ms)"),
    )
