"""Fit latency and delay of integer multiplications on a table of operations from schedule reports.

    python -m benchmarks.fit_multiplications --data FOLDER

FOLDER holds operators.tsv and csynth_area.tsv. ln(delay) = ln(factor of the device) + ln(curve of the latency, at the
bits of the wider operand), by least squares over distinct rows; between its knots ln(curve) is straight. Prints, for
each repository left out of the fit, how often the latency that Vitis chose under its clock is found, and how far its
delay is off; and how often it is found for multipliers of which only csynth's name is known (mul_64ns_66ns_129_5_1 has
five states).
benchmarks/fit_operators.py writes the fit.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from benchmarks.tables import Row, read_rows
from codegen.schedule.devices import device_of, nearest
from codegen.schedule.graph import DesignContext
from codegen.schedule.multiplications import Multiplications

# Bits of the wider operand at which the delay of each latency has a knot: where there are rows.
KNOTS: Mapping[int, Sequence[int]] = {
    0: (2, 6, 8, 10, 16, 32, 43, 64),
    1: (16, 32, 49, 56, 64),
    2: (8, 18, 34, 65),
    4: (32, 71),
}
REFERENCE = "us+ -2L"
# The wider input of a DSP slice (UltraScale's; a 7-series one takes 25).
SLICE_BITS = 27
# How strongly neighbouring knots are drawn to one delay where no row says otherwise.
_SMOOTH = 0.03
# How strongly the speed grades of a series are drawn to one factor.
_SAME_SERIES = 0.5
_WIDTH = re.compile(r"(?P<constant>c?)(?P<bits>\d+)")
_NAME = re.compile(r"^mul_(?P<first>\d+)n?s?_(?P<second>\d+)n?s?_\d+_(?P<states>\d+)_\d+$")

_CLOCK = ("repo", "tool_version", "part", "clock_ns")


@dataclass(frozen=True)
class Multiplication:
    """A distinct multiplication of the data: ``bits`` of its wider operand; ``delay_ns`` of its first state."""

    repository: str
    device: str
    budget_ns: float
    bits: int
    latency: int
    delay_ns: float


def multiplications(rows: Iterable[Row]) -> list[Multiplication]:
    """Of products alone: what is merged with a sum into a DSP slice (core DSP48) has other states."""
    found: dict[Multiplication, None] = {}
    for row in rows:
        fused = row["core"].startswith("DSP")
        if row["operation"] != "mul" or fused or row["stage"] not in ("only", "first"):
            continue
        budget = float(row["clock_ns"]) - float(row["uncertainty_ns"] or 0)
        bits, latency, delay = _wider(row), int(row["latency_cycles"] or 0), float(row["delay_ns"])
        if bits is None:
            continue
        found[Multiplication(row["repo"], device_of(row["part"]), round(budget, 2), bits, latency, delay)] = None
    return list(found)


def _wider(row: Row) -> int | None:
    """Bits of the wider operand; None where that is a constant which was printed with its type and not its own bits."""
    types = [int(re.sub(r"\D", "", kind)) for kind in row["operand_types"].split(",")]
    own = []
    for text, width in zip(row["variant"].split("x"), types, strict=True):
        match = _WIDTH.match(text)
        if match is not None and match["constant"] and int(match["bits"]) == width:
            return None
        own.append(int(match["bits"]) if match else width)
    return max(own)


def fit(found: Sequence[Multiplication]) -> tuple[dict[str, float], dict[int, list[list[float]]]]:
    """Factors by device (1 for ``REFERENCE``) and curves by latency, which never fall with the bits."""
    devices = sorted({each.device for each in found} | {REFERENCE})
    unknowns: list[object] = [*devices, *((latency, knot) for latency, knots in KNOTS.items() for knot in knots)]
    place = {key: column for column, key in enumerate(unknowns)}
    # A knot's unknown is what it adds to the knot in front of it, so that a bound of zero keeps the curve from falling.
    least = [-math.inf] * len(unknowns)
    equations: list[tuple[dict[object, float], float]] = [({REFERENCE: 100.0}, 0.0)]
    equations += [
        (_weights(each.latency, each.bits) | {each.device: 1.0}, math.log(each.delay_ns))
        for each in found
        if each.latency in KNOTS
    ]
    for latency, knots in KNOTS.items():
        for knot in knots[1:]:
            least[place[latency, knot]] = 0.0
            equations.append(({(latency, knot): _SMOOTH}, 0.0))
    for first, second in pairwise(devices):
        if first.split()[0] == second.split()[0]:
            equations.append(({first: _SAME_SERIES, second: -_SAME_SERIES}, 0.0))
    matrix = np.zeros((len(equations), len(unknowns)))
    for row, (weights, _) in enumerate(equations):
        for key, weight in weights.items():
            matrix[row, place[key]] = weight
    solution = lsq_linear(matrix, [value for _, value in equations], (least, math.inf), method="bvls").x
    factors = {device: round(math.exp(solution[place[device]]), 3) for device in devices}
    curves = {
        latency: [[knot, round(math.exp(sum(solution[place[latency, low]] for low in knots[: index + 1])), 3)]
                  for index, knot in enumerate(knots)]
        for latency, knots in KNOTS.items()
    }  # fmt: skip
    return factors, curves


def _weights(latency: int, bits: int) -> dict[object, float]:
    """How much of each knot's step there is in the delay at ``bits``."""
    knots = KNOTS[latency]
    weights: dict[object, float] = {(latency, knots[0]): 1.0}
    for low, high in pairwise(knots):
        weights[latency, high] = min(max((bits - low) / (high - low), 0.0), 1.0)
    return weights


def named_multipliers(areas: Iterable[Row], operators: Iterable[Row]) -> list[Multiplication]:
    """Multipliers wider than a DSP slice by csynth's names, which say states but no delay (here 0).

    The clock's uncertainty is that of the repository's schedule reports, else the tool's default.
    """
    clocks: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in operators:
        clocks[tuple(row[name] for name in _CLOCK)].add(row["uncertainty_ns"])
    found: dict[Multiplication, None] = {}
    for row in areas:
        match = _NAME.match(row["core"])
        bits = max(int(match["first"]), int(match["second"])) if match else 0
        if match is None or bits <= SLICE_BITS or not row["clock_ns"]:
            continue
        uncertainties = clocks.get(tuple(row[name] for name in _CLOCK), {""})
        if len(uncertainties) > 1:
            continue
        uncertainty = next(iter(uncertainties))
        context = DesignContext(
            float(row["clock_ns"]), row["part"], row["tool_version"], float(uncertainty) if uncertainty else None
        )
        each = Multiplication(
            row["repo"], device_of(row["part"]), round(context.budget_ns, 2), bits, int(match["states"]) - 1, 0.0
        )
        found[each] = None
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data
    found = multiplications(read_rows(folder / "operators.tsv"))
    factors, curves = fit(found)
    print("factors", factors)
    for latency, curve in curves.items():
        print(f"latency {latency}:", ", ".join(f"{bits:g} bits {delay:g} ns" for bits, delay in curve))
    print(f"\n{'left out':44s} {'rows':>5s} {'latency':>8s} {'median %':>9s} {'worst %':>8s}")
    for repository in (*sorted({each.repository for each in found}), ""):
        seen = [each for each in found if repository in ("", each.repository)]
        kept = [each for each in found if each.repository != repository]
        model = Multiplications(*fit(kept))
        right = sum(
            model.timing(nearest(each.device), each.bits, each.budget_ns).latency == each.latency for each in seen
        )
        errors = [
            100 * abs(model.delay(nearest(each.device), each.bits, each.latency) / each.delay_ns - 1)
            for each in seen
            if each.latency in curves
        ]
        print(
            f"{repository or 'none':44s} {len(seen):5d} {right:8d} {statistics.median(errors):9.1f} {max(errors):8.1f}"
        )
    model = Multiplications(factors, curves)
    named = named_multipliers(read_rows(folder / "csynth_area.tsv"), read_rows(folder / "operators.tsv"))
    wrong = [
        each for each in named if model.timing(nearest(each.device), each.bits, each.budget_ns).latency != each.latency
    ]
    print(f"\nnames of multipliers wider than a DSP slice: latency right for {len(named) - len(wrong)} of {len(named)}")
    for each in wrong:
        print(f"  {each.repository}, {each.device}: {each.bits} bits in {each.budget_ns} ns take {each.latency} cycles")


if __name__ == "__main__":
    main()
