"""The prices of aebert/design/operator_resources.py against real Vitis HLS reports, and what structure is used instead.

    python -m benchmarks.operator_resources --data FOLDER

FOLDER holds ``*_csynth.rpt`` and ``*kernel_util*.rpt`` files, at any depth.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from aebert.design import operator_resources as op
from aebert.design.operator_areas import operator_areas
from aebert.design.size_arrays import Floats
from aebert.hls_reports.model import CsynthReport, KernelUtilization
from aebert.hls_reports.parse import parse_report
from aebert.support.errors import AebertError
from benchmarks.machine import machine_line

SECTIONS = ("Expression", "Multiplexer", "FIFO", "Instance")


@dataclass(frozen=True)
class Row:
    """One row of a utilisation detail table: column name -> cell, and the report it is from."""

    section: str
    report: str
    cells: dict[str, str]

    def number(self, column: str) -> int:
        """0 where the table has a dash or no such column."""
        text = self.cells.get(column, "0")
        return int(text) if text.isdigit() else 0


def detail_rows(path: Path) -> Iterator[Row]:
    """The rows of the tables under "+ Detail" of one report."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines):
        section = line.strip().removeprefix("* ").removesuffix(":")
        if section not in SECTIONS or not line.strip().startswith("* "):
            continue
        header: list[str] | None = None
        for table_line in lines[number + 1 :]:
            text = table_line.strip()
            if text.startswith("|"):
                cells = [cell.strip() for cell in text.strip("|").split("|")]
                if header is None:
                    header = cells
                elif len(cells) == len(header) and cells[0] != "Total":
                    yield Row(section, path.name, dict(zip(header, cells, strict=True)))
            elif not text.startswith("+--"):
                break


def print_expressions(rows: list[Row]) -> None:
    """The prices that are used against the reports' own, per operation; DSP and pipelined ones left out."""
    points: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        width = max(row.number("Bitwidth P0"), row.number("Bitwidth P1"))
        plain = row.number("FF") == 0 and row.number("DSP") + row.number("DSP48E") == 0
        if row.section == "Expression" and plain and 8 <= width <= 128 and row.number("LUT"):
            points[row.cells["Operation"]].append((width, row.number("LUT")))
    areas = operator_areas()
    used: dict[str, Callable[[int], Floats]] = {
        "+": areas.add.of,
        "-": areas.add.of,
        "icmp": areas.compare.of,
        "select": areas.select.of,
        **dict.fromkeys(("shl", "ashr", "lshr"), areas.shift_luts),
    }
    print("operator     rows  widths     within 1 LUT   median / report   worst")
    for name, price in used.items():
        if not points[name]:
            print(f"{name:10} not seen")
            continue
        widths = [width for width, _ in points[name]]
        errors = np.array([float(price(width)) - lut for width, lut in points[name]])
        relative = 1 + errors / np.array([lut for _, lut in points[name]])
        print(
            f"{name:10} {len(widths):6}  {min(widths):3}..{max(widths):3}   {np.mean(np.abs(errors) <= 1):12.0%}"
            f"   {np.median(relative):15.2f}   {relative[np.argmax(np.abs(np.log(relative)))]:.2f}"
        )


def print_modules(rows: list[Row]) -> None:
    """Multipliers, dividers and interface adapters with their resources."""
    names = re.compile(r"(mul_\d+n?s_\d+n?s|[us]div_\d+n?s_\d+n?s|m_axi|s_axi)[a-z_\d]*")
    found: dict[tuple[str, int, int, int], int] = defaultdict(int)
    for row in rows:
        match = names.search(row.cells.get("Module", "")) if row.section == "Instance" else None
        if match and "LUT" in row.cells:
            found[match[0], row.number("DSP") + row.number("DSP48E"), row.number("FF"), row.number("LUT")] += 1
    print("\nmodule                              DSP     FF    LUT   seen   DSP by the tile rule (27 x 18)")
    for (name, dsp, ff, lut), count in sorted(found.items()):
        widths = re.match(r"mul_(\d+)n?s_(\d+)n?s", name)
        rule = f"{float(op.multiply(int(widths[1]), int(widths[2]), 27).dsp):.0f}" if widths else ""
        print(f"{name:34} {dsp:4} {ff:6} {lut:6} {count:6}   {rule}")


def print_fifos_and_multiplexers(rows: list[Row]) -> None:
    """That these estimates do not follow the width, which is why structure is used for them instead."""
    for section, keys in (("FIFO", ("Depth", "Bits", "LUT", "FF")), ("Multiplexer", ("Input Size", "Bits", "LUT"))):
        cells = sorted({tuple(row.number(key) for key in keys) for row in rows if row.section == section})
        widest = max(cells, key=lambda cell: cell[1])
        narrowest = min((cell for cell in cells if cell[0] == widest[0]), key=lambda cell: cell[1])
        print(f"\n{section}: {len(cells)} kinds. {', '.join(keys)}: widest {widest}, as deep but narrow {narrowest}")


def print_placed_against_estimated(folder: Path) -> None:
    """Whole kernels that have both a csynth estimate and a routed utilisation in one project folder (``*.prj``)."""
    print("\nkernel after routing / csynth estimate      LUT     FF    FF per LUT routed")
    counted: list[float] = []
    for project in sorted(path for path in folder.rglob("*.prj") if path.is_dir()):
        routed = next((parse_report(path) for path in project.rglob("*kernel_util_routed.rpt")), None)
        if not isinstance(routed, KernelUtilization) or not routed.kernels:
            continue
        kernel = routed.kernels[0]
        estimate = next((parse_report(path) for path in project.rglob(f"{kernel.name}_csynth.rpt")), None)
        if not isinstance(estimate, CsynthReport):
            continue
        lut, ff = kernel.usage.lut, kernel.usage.ff
        estimated_lut, estimated_ff = estimate.module.resources.lut, estimate.module.resources.ff
        if not (lut and ff and estimated_lut and estimated_ff):
            continue
        if kernel.usage.dsp:  # not the kernel that only moves data
            counted.append(lut / estimated_lut / operator_areas().placed_lut.middle)
        print(f"{project.name[:40]:40} {lut / estimated_lut:6.2f} {ff / estimated_ff:6.2f}    {ff / lut:6.2f}")

    if len(counted) > 1:
        logs = np.log(counted)
        reach = student.ppf(0.95, len(logs) - 1) * logs.std(ddof=1) * np.sqrt(1 + 1 / len(logs))
        low, high = np.exp(logs.mean() - reach), np.exp(logs.mean() + reach)
        middle = operator_areas().placed_lut.middle
        print(f"LUT / as counted here ({middle} csynth), nine of ten others: {low:.2f} to {high:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with tool reports")
    folder: Path = parser.parse_args().data
    paths = sorted(folder.rglob("*_csynth.rpt"))
    if not paths:
        raise AebertError(f"{folder}: holds no *_csynth.rpt; give a folder with reports")
    rows = [row for path in paths for row in detail_rows(path)]
    print(machine_line())
    print(f"{len(paths)} reports, {len(rows)} rows\n")
    print_expressions(rows)
    print_modules(rows)
    print_fifos_and_multiplexers(rows)
    print_placed_against_estimated(folder)


if __name__ == "__main__":
    main()
