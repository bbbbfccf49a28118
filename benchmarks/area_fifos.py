"""csynth's prices of FIFOs by primitive: flip-flops from csynth_area.tsv, LUT from the totals of modules.

The table of single FIFOs has no LUTs from 2019 on; the module's summary has those of all of them together. Tools before
2022.1.2, and others where they know nothing of the FIFO, print one figure for all widths (99 flip-flops and 67 LUTs for
a shallow one): these say nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import nnls

from aebert.design.operator_areas import Line
from aebert.design.size_arrays import Floats
from benchmarks.area_prices import VERSAL, Residuals, distinct, fitted, line_of, whole
from benchmarks.csynth_modules import CsynthModule
from benchmarks.tables import Row

PLACEHOLDERS = (99, 147, 151, 153, 155, 157, 163)
CHARACTERISED_FROM = "2022.1.2"
PRIMITIVES = ("registers", "srl", "lutram", "bram")
# Left to itself the tool puts a FIFO of more bits into a memory, unless it is narrow and deep.
_LARGEST_SHIFT_REGISTER = 1024
_DEEPEST_LUTRAM = 128
_WIDEST = 1024


def next_power(bits: int) -> int:
    """The width that the tool's price list has: powers of two up to 1024."""
    return min(1 << max(bits - 1, 0).bit_length(), _WIDEST)


def primitive(depth: int, bits: int, ff: int) -> str:
    """What the tool's own choice holds, by its rules for size; a memory is told by its registers."""
    if depth <= 2:
        return "registers"
    if depth * bits <= _LARGEST_SHIFT_REGISTER or ff < 16:
        return "srl"
    return "lutram" if depth <= _DEEPEST_LUTRAM else "bram"


def flip_flops(rows: Iterable[Row]) -> dict[str, tuple[Line, Residuals]]:
    """By bits; of shift registers by the bits of a counter of the depth, since the data takes none."""
    points: dict[str, list[tuple[float, float, str, str]]] = {name: [] for name in PRIMITIVES}
    for row in rows:
        depth, bits, ff = whole(row["words_or_depth"]), whole(row["width"]), whole(row["FF"])
        if row["table"] != "FIFO" or ff in PLACEHOLDERS or row["tool_version"] < CHARACTERISED_FROM:
            continue
        if row["part"].startswith(VERSAL):
            continue
        kind = primitive(depth, bits, ff)
        size = float((depth - 1).bit_length()) if kind == "srl" else float(next_power(bits))
        points[kind].append((size, float(ff), row["tool_version"], row["repo"]))
    return {name: fitted(distinct(found), line_of) for name, found in points.items()}


def stored_luts(kind: str, depth: int, bits: int) -> float:
    """What the price of a FIFO follows beside a constant: of shift registers the LUT that hold the data, of LUTRAM
    those and a multiplexer in front of the output, of registers and block RAM the bits."""
    if kind == "srl":
        return 0.5 * next_power(bits) * -(-depth // 16)
    if kind == "lutram":
        return float(next_power(bits) * (-(-depth // 32) + 1))
    return float(next_power(bits))


def luts(reports: Iterable[CsynthModule]) -> tuple[dict[str, Line], Residuals]:
    """Base and LUT per `stored_luts` of each primitive: least squares with weights, none below 0, over the distinct
    sums of FIFOs that modules have."""
    sums: dict[tuple[float, ...], set[float]] = {}
    for module in reports:
        fifos, total = module.fifos, module.summary.get("FIFO", (0, 0))[0]
        if not fifos or not total or module.tool_version < CHARACTERISED_FROM:
            continue
        if any(each.ff in PLACEHOLDERS for each in fifos):
            continue
        parts = np.zeros(2 * len(PRIMITIVES))
        for each in fifos:
            kind = primitive(each.depth, each.bits, each.ff)
            at = 2 * PRIMITIVES.index(kind)
            parts[at : at + 2] += 1.0, stored_luts(kind, each.depth, each.bits)
        sums.setdefault(tuple(parts), set()).add(float(total))
    amounts = np.array([parts for parts, totals in sums.items() for _ in totals])
    found = np.array([total for totals in sums.values() for total in totals])
    solution, _ = nnls(amounts / found[:, None], np.ones(len(found)))
    lines = {
        name: Line(round(float(solution[2 * at]), 2), round(float(solution[2 * at + 1]), 4))
        for at, name in enumerate(PRIMITIVES)
    }
    predicted: Sequence[float] = (amounts @ solution).tolist()
    return lines, Residuals.of(predicted, found.tolist(), _left_out(amounts, found))


def _left_out(amounts: Floats, found: Floats) -> list[float]:
    """Each sum by a fit to the others."""
    predicted = []
    for at in range(len(found)):
        others = np.delete(np.arange(len(found)), at)
        solution, _ = nnls(amounts[others] / found[others, None], np.ones(len(others)))
        predicted.append(float(amounts[at] @ solution))
    return predicted
