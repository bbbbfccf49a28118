"""LUTs, flip-flops, DSP slices and memories of the operators a kernel is made of.

Two kinds of figures, kept apart by their comments. *Fit*: what Vitis HLS's reports say for an operator of a width, by
least squares over real reports (benchmarks/operator_resources.py prints table and residuals; docs/design_space.md
quotes it). *Structure*: what a primitive holds, from the device's user guide, where the reports ignore the width
(multiplexers, FIFOs) and would be far too low.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.design.size_arrays import Floats, Ints, ceil_divide

Width = int | Ints

# Fit, "Expression" tables of *_csynth.rpt (Vitis HLS 2020.1 to 2024.1).
ADD_LUT_BASE, ADD_LUT_PER_BIT = 7, 1.0  # + and -: exact for every two-input adder of 8 bits and more
COMPARE_LUT_BASE, COMPARE_LUT_PER_BIT = 11.7, 0.32  # icmp
SELECT_LUT_PER_BIT = 1.0
SHIFT_LUT_PER_BIT = 2.95  # barrel shift by a variable: 163 for 55 bits, 182 for 64, 210 for 71
# Fit, modules udiv_<a>s_<b>ns (24 / 13 bits: 1097 LUT, 1459 FF): one stage per bit of the dividend.
DIVIDE_LUT_PER_STAGE_BASE, DIVIDE_FF_PER_STAGE_BASE = 9, 24
# Fit, modules mul_*: what joins the partial products of a wide multiplication.
MULTIPLY_LUT_PER_EXTRA_DSP, MULTIPLY_FF_PER_EXTRA_DSP = 20, 55
# Fit, m_axi of 32 to 512 bits; the widest from a routed kernel that does nothing else (2986 LUT, 3548 FF), because
# csynth's own figure for it (8001 LUT, 4567 FF) is not what came out.
AXI_LUT_BASE, AXI_LUT_PER_BIT = 800, 4.3
AXI_FF_BASE, AXI_FF_PER_BIT = 500, 6.0
AXI_LITE_LUT, AXI_LITE_FF = 808, 456  # s_axi of a kernel with pointers and scalars, Vitis HLS 2022.2

# Structure.
MUX_LUT_PER_BIT_AND_WAY = 0.25  # a LUT6 is a 4:1 multiplexer, MUXF7 and MUXF8 are free (UG574, UG474)
SRL_DEPTH = 32  # SRLC32E: one LUT holds 32 entries of one bit, or 16 entries of two (UG574, UG474)
LUTRAM_DEPTH, LUTRAM_LUTS_PER_BIT = 64, 8 / 7  # RAM64M8: seven bits of 64 entries in eight LUTs (UG574)
LUTRAM_FIFO_DEPTH = 2 * LUTRAM_DEPTH  # deeper FIFOs go to block RAM
FIFO_CONTROL_LUT, FIFO_CONTROL_FF = 40, 99  # control of a FIFO: the reports' FF figure, the same for all widths
BRAM_WIDTH, BRAM_DEPTH = 72, 512  # widest aspect ratio of a block RAM tile
DSP_NARROW_PORT = 18

# Fit: LUTs after placement per LUT that csynth estimates, for whole kernels. Three routed BERT kernels on a U280
# (Vitis 2022.1) have 0.48, 0.48 and 0.63; the highest, rounded up, is used for everything that is a csynth figure. It
# is no bound: 23 other public kernels have 0.80 at the median, nine of ten 0.44 to 1.25 (benchmarks/fit_area.py), which
# the interval of aebert.cost_model.uncertainty takes in.
PLACED_PER_ESTIMATED_LUT = 0.65

# Assumption: an II=1 pipeline keeps each operator's result for one and a half stages on average. It gives 1.2 to 1.4
# flip-flops per LUT on the designs counted here; the routed kernels have 1.1 to 1.2.
PIPELINE_STAGES = 1.5


@dataclass(frozen=True)
class ResourceCount:
    """Counts [designs] of LUTs, flip-flops, DSP slices, 36 Kb block RAM tiles and UltraRAM blocks."""

    lut: Floats
    ff: Floats
    dsp: Floats
    bram36: Floats
    uram: Floats

    def __add__(self, other: ResourceCount) -> ResourceCount:
        return ResourceCount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, copies: Width | float) -> ResourceCount:
        """``copies`` of the same."""
        return ResourceCount(*(getattr(self, f.name) * np.asarray(copies, np.float64) for f in fields(self)))


Number = float | Ints | Floats


def _count(lut: Number = 0, ff: Number = 0, dsp: Number = 0, bram36: Number = 0, uram: Number = 0) -> ResourceCount:
    return ResourceCount(*(np.asarray(value, np.float64) for value in (lut, ff, dsp, bram36, uram)))


NOTHING = _count()


def _estimated(lut: Number, ff: Number = 0, dsp: Number = 0) -> ResourceCount:
    """From LUTs as csynth counts them."""
    return _count(lut=PLACED_PER_ESTIMATED_LUT * np.asarray(lut, np.float64), ff=ff, dsp=dsp)


def total(*counts: ResourceCount) -> ResourceCount:
    """The sum of all of them."""
    return sum(counts, NOTHING)


def register(width: Width) -> ResourceCount:
    return _count(ff=np.asarray(width, np.float64))


def _pipelined(lut: Number, width: Width) -> ResourceCount:
    return _estimated(lut, PIPELINE_STAGES * np.asarray(width, np.float64))


def add(width: Width) -> ResourceCount:
    """An adder or subtracter."""
    return _pipelined(ADD_LUT_BASE + ADD_LUT_PER_BIT * np.asarray(width), width)


def compare(width: Width) -> ResourceCount:
    return _estimated(COMPARE_LUT_BASE + COMPARE_LUT_PER_BIT * np.asarray(width))


def clamp(width: Width, result: Width) -> ResourceCount:
    """Two comparisons and two selections."""
    return total(compare(width).times(2), _pipelined(2 * SELECT_LUT_PER_BIT * np.asarray(result), result))


def select(width: Width) -> ResourceCount:
    return _estimated(SELECT_LUT_PER_BIT * np.asarray(width))


def multiplex(width: Width, ways: Width) -> ResourceCount:
    """One of ``ways`` inputs of ``width`` bits."""
    luts = MUX_LUT_PER_BIT_AND_WAY * np.asarray(width) * np.asarray(ways)
    return _count(lut=np.where(np.asarray(ways) > 1, luts, 0.0))


def shift(width: Width) -> ResourceCount:
    """A shift by a variable distance."""
    return _pipelined(SHIFT_LUT_PER_BIT * np.asarray(width), width)


def rounding_shift(width: Width) -> ResourceCount:
    """Half a unit at a variable position, an addition, a shift."""
    return total(shift(width).times(2), add(width))


def multiply(left: int, right: int, wide_port: Width) -> ResourceCount:
    """A signed multiplication of these widths on slices with ``wide_port`` x 18 bit multipliers, whichever way round
    takes fewer: tiles of all but the sign bit (UG579)."""

    def tiles(width: int, port: Width) -> Width:
        return ceil_divide(np.asarray(max(width - 1, 1)), np.asarray(port) - 1)

    slices = np.minimum(
        tiles(left, wide_port) * tiles(right, DSP_NARROW_PORT), tiles(right, wide_port) * tiles(left, DSP_NARROW_PORT)
    )
    extra = slices - 1
    return _estimated(
        lut=MULTIPLY_LUT_PER_EXTRA_DSP * extra,
        ff=MULTIPLY_FF_PER_EXTRA_DSP * extra + left + right,
        dsp=slices,
    )


def multiply_in_luts(left: int, right: int) -> ResourceCount:
    """A multiplication of these widths that is bound to LUTs: one row of partial products for each bit of the narrower
    factor, of which two are formed and added in one carry chain of the wider one's length."""
    narrow, wide = min(left, right), max(left, right)
    return _pipelined(-(-narrow // 2) * (wide + 2), left + right)


def divide(dividend: int, divisor: int) -> ResourceCount:
    """A fully pipelined unsigned divider."""
    return _estimated(
        lut=float(dividend * (dividend + divisor + DIVIDE_LUT_PER_STAGE_BASE)),
        ff=float(dividend * (dividend + divisor + DIVIDE_FF_PER_STAGE_BASE)),
    )


def table(entries: int, width: int) -> ResourceCount:
    """One reader's share of a read-only table in block RAM: both ports of an 18 Kb half read, so a quarter tile."""
    halves = np.ceil(entries * width / (18 * 1024))
    return _count(ff=float(PIPELINE_STAGES * width), bram36=halves / 4)


def block_memory(width: Width, depth: Width) -> Ints:
    """36 Kb tiles of a memory written and read at full width."""
    return ceil_divide(np.asarray(width), BRAM_WIDTH) * ceil_divide(np.asarray(depth), BRAM_DEPTH)


def lut_memory(width: Width, depth: Width) -> ResourceCount:
    """Simple dual-port LUTRAM, written and read at full width."""
    deep = ceil_divide(np.asarray(depth), LUTRAM_DEPTH)
    return _count(lut=LUTRAM_LUTS_PER_BIT * np.asarray(width) * deep, ff=np.asarray(width, np.float64))


def fifo(width: Width, depth: Width) -> ResourceCount:
    """Shift registers, LUTRAM or block RAM by depth (aebert.design.fifos binds them so); the output is registered."""
    shallow = np.asarray(depth) <= SRL_DEPTH
    deep = np.asarray(depth) > LUTRAM_FIFO_DEPTH
    shifted = np.where(np.asarray(depth) <= SRL_DEPTH // 2, 0.5, 1.0) * np.asarray(width)
    stored = lut_memory(width, depth).lut
    return _count(
        lut=FIFO_CONTROL_LUT + np.where(shallow, shifted, np.where(deep, 0.0, stored)),
        ff=FIFO_CONTROL_FF + np.asarray(width, np.float64),
        bram36=np.where(deep, block_memory(width, depth), 0),
    )


def axi_port(width: Width, buffered_words: Width) -> ResourceCount:
    """An AXI master with a buffer of ``buffered_words`` for the data of the bursts under way."""
    bits = np.asarray(width)
    return _count(
        lut=AXI_LUT_BASE + AXI_LUT_PER_BIT * bits,
        ff=AXI_FF_BASE + AXI_FF_PER_BIT * bits,
        bram36=block_memory(bits, buffered_words),
    )


def axi_lite() -> ResourceCount:
    return _estimated(lut=AXI_LITE_LUT, ff=AXI_LITE_FF)
