"""Fit csynth's prices of operators, FIFOs and ports, and what Vivado leaves of csynth's counts.

    python -m benchmarks.fit_area --data FOLDER --reports FOLDER [FOLDER ...] [--write FILE]

``--data`` holds csynth_area.tsv, implementation.tsv and implementation_parts.tsv, ``--reports`` trees of csynth and
Vivado reports (REPOSITORY/COMMIT/PATH, or a folder of such). ``--write`` makes aebert/design/operator_areas.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aebert.design.operator_areas import ControlPort, Line, OperatorAreas, Share
from aebert.design.operator_resources import partial_product_luts
from benchmarks import area_fifos, area_placed, area_prices
from benchmarks.area_parts import part_lines
from benchmarks.area_prices import Residuals
from benchmarks.csynth_modules import modules
from benchmarks.machine import machine_line
from benchmarks.tables import Row, read_rows

NOT_SEEN = (
    "FIFOs in UltraRAM",
    "multiplications in LUTs of more than 10 bits: csynth takes a DSP slice",
    "widths of multiplexers: csynth's price ignores them",
    "Versal: one design, whose sums csynth prices twice",
)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _line(name: str, line: Line, left: Residuals) -> str:
    return (
        f"{name:22s} {line.base:8.2f} + {line.per_bit:7.4f} x {left.rows:6d} {_percent(left.within_one):>10s}"
        f" {_percent(left.median):>8s} {_percent(left.worst):>8s} {_percent(left.left_out):>10s}"
    )


class Fitted:
    """All fits, and what is said of each. ``areas`` is what the package takes."""

    def __init__(self, prices: Sequence[Row], built: Sequence[Row], roots: Sequence[Path]) -> None:
        self.expressions = area_prices.expressions(prices)
        self.curve, self.curve_left = area_prices.shifts(prices)
        self.joins, self.join_rows = area_prices.multipliers(prices)
        self.fabric = area_prices.fabric_multipliers(prices)
        self.dividers = area_prices.dividers(prices)
        self.masters = area_prices.axi_masters(prices)
        self.control = area_prices.control_registers(prices)
        self.fifo_ff = area_fifos.flip_flops(prices)
        reports = [module for root in roots for module in modules(root)]
        self.reports = len(reports)
        self.fifo_lut, self.fifo_left = area_fifos.luts(reports)
        self.kernels = area_placed.built_kernels(built, roots)
        self.placed = {name: area_placed.whole_kernels(self.kernels, name) for name in area_placed.RESOURCES}
        self.kinds = {name: area_placed.by_kind(self.kernels, name) for name in area_placed.RESOURCES}

    @property
    def areas(self) -> OperatorAreas:
        return OperatorAreas(
            add=self.expressions["add"][0],
            compare=self.expressions["compare"][0],
            select=self.expressions["select"][0],
            shift=self.curve,
            join_lut=self.joins["lut"],
            join_ff=self.joins["ff"],
            divide_lut=self.dividers["lut"][0],
            divide_ff=self.dividers["ff"][0],
            axi_lut=self.masters["lut"][0],
            axi_ff=self.masters["ff"][0],
            control=ControlPort(**self.control[0]),
            fifo_lut=self.fifo_lut,
            fifo_ff={name: line for name, (line, _) in self.fifo_ff.items()},
            placed_lut=self.placed["LUT"].share,
            placed_ff=self.placed["FF"].share,
            placed_axi_lut=self.kinds["LUT"].shares["AXI"],
            placed_axi_ff=self.kinds["FF"].shares["AXI"],
        )

    def residuals(self) -> dict[str, Any]:
        """Of each price, as they stand in the file."""
        found: dict[str, Residuals] = {name: left for name, (_, left) in self.expressions.items()}
        found |= {"shift": self.curve_left, "fifo_lut": self.fifo_left}
        found |= {f"divide_{name}": left for name, (_, left) in self.dividers.items()}
        found |= {f"axi_{name}": left for name, (_, left) in self.masters.items()}
        found |= {f"fifo_ff_{name}": left for name, (_, left) in self.fifo_ff.items()}
        return {name: {key: round(value, 3) for key, value in asdict(left).items()} for name, left in found.items()}

    def lines(self) -> Iterator[str]:
        yield "csynth's prices: base + slope x bits         rows   within 1   median    worst   left out"
        for name, (line, left) in self.expressions.items():
            yield _line(f"{name}, LUT", line, left)
        yield _line("shift, LUT, by curve", Line(0.0, 0.0), self.curve_left)
        yield f"    {', '.join(f'{bits}: {lut:.0f}' for bits, lut in self.curve.items())}"
        yield f"a product's join per further DSP slice: {self.joins} of {self.join_rows['lut']} rows"
        worst = max(self.fabric, key=lambda each: abs(partial_product_luts(*each[:2]) / each[2] - 1))
        errors = [abs(partial_product_luts(narrow, wide) / lut - 1) for narrow, wide, lut in self.fabric]
        square = [error for error, (narrow, wide, _) in zip(errors, self.fabric, strict=True) if wide - narrow < 2]
        yield (
            f"product in LUTs, rows of partial products: median {_percent(float(np.median(errors)))} off over "
            f"{len(errors)}, {_percent(float(np.median(square)))} over {len(square)} of equal factors; worst {worst}"
        )
        for name, (line, left) in self.dividers.items():
            yield _line(f"divider's stage, {name.upper()}", line, left)
        for name, (line, left) in self.masters.items():
            yield _line(f"AXI master, {name.upper()}", line, left)
        price, right, kinds = self.control
        yield f"AXI-Lite slave: {price}; {right} of {kinds} kinds are whole words and arguments of these"
        for name, (line, left) in self.fifo_ff.items():
            yield _line(f"FIFO, {name}, FF", line, left)
        for name, line in self.fifo_lut.items():
            yield f"FIFO, {name}, LUT: {line.base:.1f} + {line.per_bit:.3f} x LUTs of the data by structure"
        yield (
            f"    {self.fifo_left.rows} sums of modules: median {_percent(self.fifo_left.median)}, "
            f"worst {_percent(self.fifo_left.worst)}, sum left out {_percent(self.fifo_left.left_out)}"
        )
        yield from self._placed_lines()

    def _placed_lines(self) -> Iterator[str]:
        for resource, found in self.placed.items():
            yield (
                f"\n{resource} placed per csynth's, {found.kernels} kernels over {area_placed.LARGE_LUTS} LUT: "
                f"{_share(found.share)}, {found.inside} of them inside"
            )
            yield f"    repository left out, found / predicted: {_pairs(found.left_out)}"
            kinds = self.kinds[resource]
            yield f"    by kind, {kinds.kernels} kernels: " + "; ".join(
                f"{kind} {_share(share)}" for kind, share in kinds.shares.items()
            )
            yield f"    repository left out, found / predicted: {_pairs(kinds.left_out)}"


def _share(share: Share) -> str:
    return f"{share.middle:.2f} ({share.low:.2f} to {share.high:.2f})"


def _pairs(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reports", type=Path, nargs="+", required=True)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    prices, built = (read_rows(arguments.data / name) for name in ("csynth_area.tsv", "implementation.tsv"))
    found = Fitted(prices, built, arguments.reports)
    print(machine_line())
    print(f"{len(prices)} rows of prices, {len(built)} of implementations, {found.reports} csynth reports\n")
    for line in found.lines():
        print(line)
    print("\nsingle modules: csynth's LUT / FF -> placed, and what the structure says of multiplexers")
    for line in part_lines(prices, read_rows(arguments.data / "implementation_parts.tsv")):
        print(line)
    if arguments.write is not None:
        document = {
            "source": "benchmarks/fit_area.py: csynth_area.tsv, implementation.tsv and csynth reports of public "
            "repositories, Vitis HLS 2018.3 to 2025.2; facts only",
            "not_seen": NOT_SEEN,
            "residuals": found.residuals(),
            "areas": asdict(found.areas),
        }
        arguments.write.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
