"""Single modules in csynth's price list and after Vivado: multiplexers, multipliers and ports, by name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from aebert.design import operator_resources as op
from benchmarks.area_prices import whole
from benchmarks.tables import Row

# mux_<inputs><bits of the selector>_<bits>_1_1: of two inputs and one bit "21", of four and three "43".
_MULTIPLEXER = re.compile(r"mux_(\d)(\d)_(\d+)_1_1")


def part_lines(prices: Sequence[Row], parts: Sequence[Row]) -> Iterator[str]:
    """One line for each kind of module that a repository has in both tables: quantiles of what was placed."""
    listed: dict[tuple[str, str], tuple[int, int]] = {
        (row["repo"], row["core"]): (whole(row["LUT"]), whole(row["FF"]))
        for row in prices
        if row["table"] == "Instance" and whole(row["LUT"])
    }
    routed = {(row["repo"], row["path"].rsplit("/", 1)[0]) for row in parts if row["stage"] == "post-route"}
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row in parts:
        name = row["repo"], re.sub(r"_U\d+$", "", row["name"])
        folder = row["repo"], row["path"].rsplit("/", 1)[0]
        if name in listed and (row["stage"] == "post-route" or folder not in routed):
            found[name].append((whole(row["LUT"]), whole(row["FF"])))
    for (repository, core), placed in sorted(found.items()):
        lut, ff = listed[repository, core]
        middle = np.median(np.array(placed), axis=0)
        counts = Counter(each for each, _ in placed)
        yield (
            f"{core:34s} {lut:4d} / {ff:3d} -> {middle[0]:4.0f} / {middle[1]:3.0f}  of {len(placed):3d}"
            f" ({min(counts)} to {max(counts)} LUT){_by_structure(core)}"
        )


def _by_structure(core: str) -> str:
    match = _MULTIPLEXER.match(core)
    if match is None:
        return ""
    return f"; by structure {float(op.multiplex(int(match[3]), int(match[1])).lut):.0f}"
