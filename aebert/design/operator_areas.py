"""Prices of operators as csynth has them, and what Vivado leaves of them: the figures of operator_areas.json.

benchmarks/fit_area.py makes that file from reports of public designs; it names its source, its residuals and what was
never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from aebert.design.size_arrays import Floats, Ints
from aebert.support.checked_files import parse_json

FILE = "operator_areas.json"


@dataclass(frozen=True)
class Line:
    """``base + per_bit * bits``."""

    base: float
    per_bit: float

    def at(self, bits: float) -> float:
        return self.base + self.per_bit * bits

    def of(self, bits: int | Ints | Floats) -> Floats:
        return self.base + self.per_bit * np.asarray(bits, np.float64)


@dataclass(frozen=True)
class Share:
    """Placed per estimated one: in the middle, and the ends that nine of ten designs of other authors lie within."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class ControlPort:
    """Of an AXI-Lite slave: without arguments, for each word of 32 bits, for each argument."""

    lut_base: float
    lut_per_word: float
    ff_base: float
    ff_per_word: float
    ff_per_argument: float


@dataclass(frozen=True)
class OperatorAreas:
    """LUT and FF by bits of the wider operand. ``shift``: bits -> LUT. ``join_*``: per DSP slice of a product beyond
    the first. ``divide_*``: of each of a divider's stages. ``fifo_*``: registers, srl, lutram, bram, by bits; but LUT
    of srl by LUTs that hold the data and its FF by bits of the depth, LUT of lutram by bits for each 32 entries, and
    once more.
    """

    add: Line
    compare: Line
    select: Line
    shift: dict[int, float]
    join_lut: float
    join_ff: float
    divide_lut: Line
    divide_ff: Line
    axi_lut: Line
    axi_ff: Line
    control: ControlPort
    fifo_lut: dict[str, Line]
    fifo_ff: dict[str, Line]
    placed_lut: Share
    placed_ff: Share
    placed_axi_lut: Share
    placed_axi_ff: Share

    def shift_luts(self, bits: int | Ints) -> Floats:
        """Between widths that were seen in a straight line, beyond them in proportion."""
        widths, luts = np.array(list(self.shift), np.float64), np.array(list(self.shift.values()))
        width = np.asarray(bits, np.float64)
        inside = np.clip(width, widths[0], widths[-1])
        found: Floats = np.interp(inside, widths, luts) * width / inside
        return found


@dataclass(frozen=True)
class _Document:
    areas: OperatorAreas


@lru_cache(maxsize=1)
def operator_areas() -> OperatorAreas:
    text = resources.files("aebert.design").joinpath(FILE).read_text(encoding="utf-8")
    return parse_json(_Document, text, FILE, "install aebert again").areas
