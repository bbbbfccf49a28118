"""csynth's prices of operators, fitted on csynth_area.tsv: constants and slopes per bit, with what is left of them.

Each fit is a line of least absolute residuals over distinct rows (operator, width, price, tool), so that operators that
are priced another way (the first of two adders that become one of three inputs costs its bits alone) do not bend it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from aebert.design.operator_areas import Line
from benchmarks.tables import Row

# Versal's library has other prices for sums and comparisons; one board of ours has such a part, the data one design.
VERSAL = ("xcvc", "xcve", "xcvm", "xcvp")
# Below, sums and comparisons have prices of another kind (no carry chain); above, csynth's no longer rise evenly.
LEAST_BITS, MOST_BITS = 8, 128
# From then on a comparison costs what a subtraction does.
COMPARISONS_FROM = "2023.1"
_EXPRESSIONS = {"add": ("+", "-"), "compare": ("icmp",), "select": ("select",), "logic": ("and", "or", "xor")}
SHIFTS = ("shl", "lshr", "ashr")
WIDEST_SHIFT = 512  # csynth gives one price to all that are wider
_MULTIPLIER = re.compile(r"mul_(\d+)n?s_(\d+)n?s_\d+_(\d+)_\d+")
_DIVIDER = re.compile(r"[su](?:div|rem)_(\d+)n?s_(\d+)n?s")
_BITS_OF_BLOCK_RAM = 36


@dataclass(frozen=True)
class Residuals:
    """``rows`` distinct ones; the share of them that is met within one LUT (or FF), the median and the worst relative
    error; ``left_out``: the median with each row's repository left out of the fit."""

    rows: int
    within_one: float
    median: float
    worst: float
    left_out: float

    @classmethod
    def of(cls, predicted: Sequence[float], found: Sequence[float], left_out: Sequence[float]) -> Residuals:
        truth = np.array(found, np.float64)
        errors = np.abs(np.array(predicted) - truth)
        outside = np.abs(np.array(left_out) - truth) / truth
        relative = errors / truth
        return cls(
            len(truth),
            float(np.mean(errors <= 1.0)),
            float(np.median(relative)),
            float(relative.max()),
            float(np.median(outside)),
        )


@dataclass(frozen=True)
class Priced:
    """What the tool asks for something of ``size``; ``repositories``: those that have such a row."""

    size: float
    price: float
    repositories: frozenset[str]


def whole(text: str) -> int:
    return int(text) if text.isdigit() else 0


def distinct(rows: Iterable[tuple[float, float, str, str]]) -> list[Priced]:
    """Of (size, price, tool version, repository): each size, price and version once."""
    found: dict[tuple[float, float, str], set[str]] = defaultdict(set)
    for size, price, version, repository in rows:
        found[size, price, version].add(repository)
    return [Priced(size, price, frozenset(names)) for (size, price, _), names in sorted(found.items())]


def line_of(points: Sequence[Priced]) -> Line:
    """Least absolute relative residuals of base + per_bit * size, as a linear programme."""
    sizes = np.array([each.size for each in points])
    prices = np.array([each.price for each in points])
    count = len(points)
    design = np.column_stack([np.ones(count), sizes])
    above = np.hstack([design, -np.eye(count)])
    below = np.hstack([-design, -np.eye(count)])
    cost = np.concatenate([np.zeros(2), 1 / prices])
    bounds = [(None, None)] * 2 + [(0, None)] * count
    found = linprog(cost, np.vstack([above, below]), np.concatenate([prices, -prices]), bounds=bounds)
    return Line(round(float(found.x[0]), 2) + 0.0, round(float(found.x[1]), 4))


def fitted(points: Sequence[Priced], fit: Callable[[Sequence[Priced]], Line]) -> tuple[Line, Residuals]:
    """The fit of all points, and how far it is off, also with each repository left out. Rows that several repositories
    have are left out with none of them: the others would give them away."""
    line = fit(points)
    left_out: dict[Priced, float] = {}
    for name in sorted({name for each in points for name in each.repositories}):
        alone = [each for each in points if each.repositories == {name}]
        others = [each for each in points if name not in each.repositories]
        if alone and len({each.size for each in others}) > 1:
            other = fit(others)
            left_out |= {each: other.at(each.size) for each in alone}
    residuals = Residuals.of(
        [line.at(each.size) for each in points],
        [each.price for each in points],
        [left_out.get(each, line.at(each.size)) for each in points],
    )
    return line, residuals


def _operand_bits(row: Row) -> int:
    return max(whole(row[f"bits_P{number}"]) for number in range(3))


def expressions(rows: Sequence[Row]) -> dict[str, tuple[Line, Residuals]]:
    """LUT by bits of the wider operand. Of a selection the table has the condition and the first choice alone, which
    a constant makes narrow; so those of fewer bits are left out."""
    found = {}
    for name, operations in _EXPRESSIONS.items():
        chosen = [
            (float(_operand_bits(row)), float(row["LUT"]), row["tool_version"], row["repo"])
            for row in rows
            if row["table"] == "Expression"
            and row["item"] in operations
            and not row["part"].startswith(VERSAL)
            and whole(row["LUT"]) > 0
            and LEAST_BITS <= _operand_bits(row) <= MOST_BITS
            and (name != "compare" or row["tool_version"] >= COMPARISONS_FROM)
        ]
        found[name] = fitted(distinct(chosen), line_of)
    return found


def shifts(rows: Sequence[Row]) -> tuple[dict[int, float], Residuals]:
    """LUT of a shift by a variable at each width seen; residuals with each width left out."""
    seen: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        bits = whole(row["bits_P1"])
        if row["table"] == "Expression" and row["item"] in SHIFTS and LEAST_BITS <= bits <= WIDEST_SHIFT:
            seen[bits].append(float(row["LUT"]))
    curve = {bits: float(np.median(prices)) for bits, prices in sorted(seen.items())}
    widths, prices = np.array(list(curve)), np.array(list(curve.values()))
    inner = range(1, len(widths) - 1)
    without = [np.interp(widths[at], np.delete(widths, at), np.delete(prices, at)) for at in inner]
    found = [(curve[bits], price) for bits, each in seen.items() for price in each]
    errors = np.array([abs(predicted - price) for predicted, price in found])
    relative = errors / np.array([price for _, price in found])
    outside = float(np.median(np.abs(np.array(without) / prices[1:-1] - 1)))
    within = float(np.mean(errors <= 1.0))
    return curve, Residuals(len(curve), within, float(np.median(relative)), float(relative.max()), outside)


def instance_rows(rows: Iterable[Row], item: str) -> list[Row]:
    return [row for row in rows if row["table"] == "Instance" and row["item"] == item]


def multipliers(rows: Sequence[Row]) -> tuple[dict[str, float], dict[str, int]]:
    """LUT and FF that join the products of several slices, per slice beyond the first: medians of multipliers of two
    and more states. And how many rows the figures rest on."""
    joins: dict[str, list[float]] = {"lut": [], "ff": []}
    for row in instance_rows(rows, "mul"):
        match, slices = _MULTIPLIER.match(row["core"]), whole(row["DSP"])
        if match and int(match[3]) > 1 and slices > 1:
            joins["lut"].append(whole(row["LUT"]) / (slices - 1))
            joins["ff"].append(whole(row["FF"]) / (slices - 1))
    figures = {name: round(float(np.median(found)), 1) for name, found in joins.items()}
    return figures, {name: len(found) for name, found in joins.items()}


def fabric_multipliers(rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """(Narrower width, wider width, LUT) of the multipliers that have no DSP slice."""
    found = set()
    for row in instance_rows(rows, "mul"):
        match = _MULTIPLIER.match(row["core"])
        if match and int(match[3]) == 1 and not whole(row["DSP"]) and not row["part"].startswith(VERSAL):
            left, right = int(match[1]), int(match[2])
            found.add((min(left, right), max(left, right), whole(row["LUT"])))
    return sorted(found)


def dividers(rows: Sequence[Row]) -> dict[str, tuple[Line, Residuals]]:
    """LUT and FF of a stage (one for each bit of the dividend) by that width; the divisor's says nothing."""
    found = {}
    for column in ("LUT", "FF"):
        chosen = [
            (float(match[1]), whole(row[column]) / int(match[1]), "", row["repo"])
            for item in ("udiv", "sdiv", "urem", "srem")
            for row in instance_rows(rows, item)
            if (match := _DIVIDER.match(row["core"])) and whole(row[column])
        ]
        found[column.lower()] = fitted(distinct(chosen), line_of)
    return found


def axi_masters(rows: Sequence[Row]) -> dict[str, tuple[Line, Residuals]]:
    """LUT and FF of an AXI master by its data bits, which follow from its buffer: two halves of block RAM for each 36
    bits. Tools from 2023 on, whose adapters are a third of those before."""
    width = {2 * -(-bits // _BITS_OF_BLOCK_RAM): bits for bits in (32, 64, 128, 256, 512)}
    found = {}
    for column in ("LUT", "FF"):
        chosen = [
            (float(width[whole(row["BRAM18"])]), float(row[column]), row["tool_version"], row["repo"])
            for row in instance_rows(rows, "m_axi")
            if row["tool_version"] >= "2023" and whole(row["BRAM18"]) in width and not row["part"].startswith(VERSAL)
        ]
        found[column.lower()] = fitted(distinct(chosen), line_of)
    return found


def control_registers(rows: Sequence[Row]) -> tuple[dict[str, float], int, int]:
    """Of a control port: LUT and FF without arguments, per word of 32 bits, FF per argument. And in how many rows both
    say so with whole numbers of words and arguments (one or two words each), of how many."""
    price = {"lut_base": 40.0, "lut_per_word": 64.0, "ff_base": 36.0, "ff_per_word": 32.0, "ff_per_argument": 6.0}
    kinds = {(whole(row["LUT"]), whole(row["FF"])) for row in instance_rows(rows, "s_axi")}
    right = 0
    for lut, ff in kinds:
        words = (lut - price["lut_base"]) / price["lut_per_word"]
        arguments = (ff - price["ff_base"] - price["ff_per_word"] * words) / price["ff_per_argument"]
        right += words.is_integer() and arguments.is_integer() and words / 2 <= arguments <= words
    return price, right, len(kinds)
