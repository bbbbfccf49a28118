"""Fit latency and delay of integer multiplications on a table of operations from schedule reports.

    python -m benchmarks.fit_multiplications --data FOLDER

FOLDER holds operators.tsv and csynth_area.tsv. ln(delay) = ln(factor of the device) + ln(curve of the latency, at the
bits of the wider operand), by least squares over distinct rows; between its knots ln(curve) is straight. What a
device's own rows are off from that is kept beside it, and the delay of its DSP slices. Prints, for each repository left
out of the fit, how often the latency that Vitis chose under its clock is found, and how far its delay is off; and how
often it is found for multipliers of which only csynth's name is known (mul_64ns_66ns_129_5_1 has five states).
benchmarks/fit_operators.py writes the fit.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from benchmarks.tables import Row, read_rows
from codegen.schedule.devices import device_of, nearest, series_of
from codegen.schedule.graph import DesignContext
from codegen.schedule.multiplications import SLICE_BITS, Multiplications, in_slice, interpolate

# Bits of the wider operand at which the delay of each latency has a knot: where there are rows.
KNOTS: Mapping[int, Sequence[int]] = {
    0: (2, 6, 8, 10, 16, 32, 40, 43, 64),
    1: (16, 32, 49, 56, 64),
    2: (8, 18, 34, 65),
    4: (32, 71),
}
REFERENCE = "virtexuplus -2"
SHOWN_BITS = (16, 32, 43, 50, 64)
# How strongly neighbouring knots are drawn to one delay where no row says otherwise.
_SMOOTH = 0.03
# How strongly the speed grades of a series are drawn to one factor.
_SAME_SERIES = 0.5
_WIDTH = re.compile(r"(?P<constant>c?)(?P<bits>\d+)")
_NAME = re.compile(r"^mul_(?P<first>\d+)n?s?_(?P<second>\d+)n?s?_\d+_(?P<states>\d+)_\d+$")

_CLOCK = ("repo", "tool_version", "part", "clock_ns")


@dataclass(frozen=True)
class Multiplication:
    """A distinct multiplication of the data: ``bits`` of its operands in order; ``delay_ns`` of its first state.

    ``slice``: in the states of a DSP slice.
    """

    repository: str
    device: str
    version: str
    budget_ns: float
    bits: tuple[int, int]
    latency: int
    delay_ns: float
    slice: bool = False


def multiplications(rows: Iterable[Row]) -> list[Multiplication]:
    """Of products alone: one that is merged with a sum (dsp_in) has states of its own."""
    found: dict[Multiplication, None] = {}
    for row in rows:
        if row["operation"] != "mul" or row["grouping"] == "dsp_in" or row["stage"] not in ("only", "first"):
            continue
        bits = _operands(row)
        if bits is not None:
            budget = round(float(row["clock_ns"]) - float(row["uncertainty_ns"] or 0), 2)
            where = row["repo"], device_of(row["part"]), row["tool_version"]
            latency, delay = int(row["latency_cycles"] or 0), float(row["delay_ns"])
            found[Multiplication(*where, budget, bits, latency, delay, row["grouping"] == "dsp_root")] = None
    return list(found)


def _operands(row: Row) -> tuple[int, int] | None:
    """Bits of the narrower and the wider operand; None where a constant was printed with its type for its own bits."""
    types = [int(re.sub(r"\D", "", kind)) for kind in row["operand_types"].split(",")]
    own = []
    for text, width in zip(row["variant"].split("x"), types, strict=True):
        match = _WIDTH.match(text)
        if match is not None and match["constant"] and int(match["bits"]) == width:
            return None
        own.append(int(match["bits"]) if match else width)
    return min(own), max(own)


def fit(rows: Sequence[Multiplication]) -> Multiplications:
    """Curves, factors and what is left over, and the slices."""
    curves, factors = _fit_curves([row for row in rows if not row.slice and row.latency in KNOTS])
    model = Multiplications(curves, factors, {}, {})
    left: dict[str, dict[int, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    slices = defaultdict(list)
    for row in rows:
        if row.slice and in_slice(row.version, row.bits):
            slices[row.device].append(row.delay_ns)
        elif not row.slice and row.latency in curves:
            ratio = row.delay_ns / interpolate(curves[row.latency], row.bits[1])[0]
            left[row.device][row.latency][row.bits[1]].append(ratio)
    ratios = {
        device: {
            latency: [[bits, round(statistics.median(found), 3)] for bits, found in sorted(by_bits.items())]
            for latency, by_bits in sorted(by_latency.items())
        }
        for device, by_latency in sorted(left.items())
    }
    middle = {device: round(statistics.median(delays), 3) for device, delays in sorted(slices.items())}
    return replace(model, ratios=ratios, slices=middle)


def _fit_curves(found: Sequence[Multiplication]) -> tuple[dict[int, list[list[float]]], dict[str, float]]:
    """Curves by latency, which never fall with the bits, and factors by device (1 for ``REFERENCE``)."""
    devices = sorted({each.device for each in found} | {REFERENCE})
    unknowns: list[object] = [*devices, *((latency, knot) for latency, knots in KNOTS.items() for knot in knots)]
    place = {key: column for column, key in enumerate(unknowns)}
    # A knot's unknown is what it adds to the knot in front of it, so that a bound of zero keeps the curve from falling.
    least = [-math.inf] * len(unknowns)
    equations: list[tuple[dict[object, float], float]] = [({REFERENCE: 100.0}, 0.0)]
    equations += [
        (_weights(each.latency, each.bits[1]) | {each.device: 1.0}, math.log(each.delay_ns)) for each in found
    ]
    for latency, knots in KNOTS.items():
        for knot in knots[1:]:
            least[place[latency, knot]] = 0.0
            equations.append(({(latency, knot): _SMOOTH}, 0.0))
    for first, second in combinations(devices, 2):
        if series_of(first) == series_of(second):
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
    return curves, factors


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
        bits = sorted((int(match["first"]), int(match["second"]))) if match else [0, 0]
        uncertainties = clocks.get(tuple(row[name] for name in _CLOCK), {""})
        if match is None or bits[1] <= SLICE_BITS[1] or not row["clock_ns"] or len(uncertainties) > 1:
            continue
        uncertainty = next(iter(uncertainties))
        context = DesignContext(
            float(row["clock_ns"]), row["part"], row["tool_version"], float(uncertainty) if uncertainty else None
        )
        where = row["repo"], device_of(row["part"]), row["tool_version"], round(context.budget_ns, 2)
        found[Multiplication(*where, (bits[0], bits[1]), int(match["states"]) - 1, 0.0)] = None
    return list(found)


def _latency(model: Multiplications, each: Multiplication) -> int:
    return model.timing(nearest(each.device), each.version, each.bits, each.budget_ns).latency


def _error(model: Multiplications, each: Multiplication) -> float:
    """Of the delay at the latency that Vitis chose, in percent."""
    device = nearest(each.device)
    known = next((model.slices[name] for name in device if name in model.slices), math.nan)
    ours = known if each.slice else model.delay(device, each.bits[1], each.latency)
    return 100 * abs(ours / each.delay_ns - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data
    operators = read_rows(folder / "operators.tsv")
    found = multiplications(operators)
    model = fit(found)
    print("factors", model.factors)
    print("slices, ns", model.slices)
    print(f"\nns of a state on {REFERENCE}:" + "".join(f"{bits:4d} bits" for bits in SHOWN_BITS))
    for latency in model.curves:
        delays = "".join(f"{model.delay(('',), bits, latency):9.2f}" for bits in SHOWN_BITS)
        print(f"{latency + 1:11d} state(s)  {delays}")
    print(f"\n{'left out':52s} {'rows':>5s} {'latency':>8s} {'median %':>9s} {'worst %':>8s}")
    in_all = 0
    for repository in (*sorted({each.repository for each in found}), ""):
        seen = [each for each in found if repository in ("", each.repository)]
        other = fit([each for each in found if each.repository != repository])
        right = sum(_latency(other, each) == each.latency for each in seen)
        in_all += right if repository else 0
        errors = [_error(other, each) for each in seen if each.slice or each.latency in other.curves]
        print(
            f"{repository or 'none':52s} {len(seen):5d} {right:8d} {statistics.median(errors):9.1f} {max(errors):8.1f}"
        )
    print(f"{'each left out in turn':52s} {len(found):5d} {in_all:8d}")
    named = named_multipliers(read_rows(folder / "csynth_area.tsv"), operators)
    wrong = [each for each in named if _latency(model, each) != each.latency]
    print(f"\nmultipliers wider than a slice, by name: latency right for {len(named) - len(wrong)} of {len(named)}")
    for each in wrong:
        print(f"  {each.repository}, {each.device}: {each.bits} bits in {each.budget_ns} ns take {each.latency} cycles")


if __name__ == "__main__":
    main()
