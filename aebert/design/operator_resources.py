"""LUTs, flip-flops, DSP slices and memories of the operators a kernel is made of.

Two kinds of figures, kept apart by their comments. *Fit*: what csynth asks for an operator of a width, and what Vivado
leaves of it (operator_areas.json, made by benchmarks/fit_area.py, which prints the residuals; docs/design_space.md has
them). *Structure*: what a primitive holds, from the device's user guide, where csynth's prices ignore the width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.design.operator_areas import operator_areas
from aebert.design.size_arrays import Floats, Ints, ceil_divide

Width = int | Ints

# Structure.
MUX_LUT_PER_BIT_AND_WAY = 0.25  # a LUT6 is a 4:1 multiplexer, MUXF7 and MUXF8 are free (UG574, UG474)
SRL_DEPTH = 32  # SRLC32E: one LUT holds 32 entries of one bit, or 16 entries of two (UG574, UG474)
LUTRAM_DEPTH, LUTRAM_LUTS_PER_BIT = 64, 8 / 7  # RAM64M8: seven bits of 64 entries in eight LUTs (UG574)
LUTRAM_FIFO_DEPTH = 2 * LUTRAM_DEPTH  # deeper FIFOs go to block RAM
REGISTER_FIFO_DEPTH = 2  # csynth's flip-flops of such FIFOs are two entries; Vivado makes no shift register of two
BRAM_WIDTH, BRAM_DEPTH = 72, 512  # widest aspect ratio of a block RAM tile
DSP_NARROW_PORT = 18

# Arguments of the kernel: six addresses of two words of 32 bits, three counts (docs/register_map.md).
CONTROL_ARGUMENTS, CONTROL_WORDS = 9, 15

# Fit to our own schedules, python -m benchmarks.pipeline_registers: flip-flops per bit of what sums, shifts, products
# and limits give, of the boards' default designs, such that these with the registers that are counted one by one are
# as many as the schedules of the kernel's loops need. The median of twelve boards, 1.34 to 2.37.
REGISTERS_PER_BIT = 1.7


@dataclass(frozen=True)
class ResourceCount:
    """Counts [designs] of LUTs, flip-flops, DSP slices, 36 Kb block RAM tiles and UltraRAM blocks.

    ``registers``: of the flip-flops, those that hold what a loop's stages and iterations leave to the next, which a
    schedule of the loop knows better.
    """

    lut: Floats
    ff: Floats
    dsp: Floats
    bram36: Floats
    uram: Floats
    registers: Floats | float = 0.0

    def __add__(self, other: ResourceCount) -> ResourceCount:
        return ResourceCount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, copies: Width | float | Floats) -> ResourceCount:
        """``copies`` of the same."""
        return ResourceCount(*(getattr(self, f.name) * np.asarray(copies, np.float64) for f in fields(self)))


Number = float | Ints | Floats


def _count(
    lut: Number = 0, ff: Number = 0, dsp: Number = 0, bram36: Number = 0, registers: Number = 0
) -> ResourceCount:
    """``ff`` without ``registers``."""
    counts = (lut, np.asarray(ff) + np.asarray(registers), dsp, bram36, 0, registers)
    return ResourceCount(*(np.asarray(value, np.float64) for value in counts))


NOTHING = _count()


def _estimated(lut: Number, ff: Number = 0, dsp: Number = 0) -> ResourceCount:
    """From LUTs and flip-flops as csynth counts them."""
    areas = operator_areas()
    placed_lut = areas.placed_lut.middle * np.asarray(lut, np.float64)
    return _count(lut=placed_lut, ff=areas.placed_ff.middle * np.asarray(ff, np.float64), dsp=dsp)


def total(*counts: ResourceCount) -> ResourceCount:
    """The sum of all of them."""
    return sum(counts, NOTHING)


def register(width: Width) -> ResourceCount:
    return _count(registers=np.asarray(width, np.float64))


def _pipelined(lut: Number, width: Width) -> ResourceCount:
    registers = operator_areas().placed_ff.middle * REGISTERS_PER_BIT * np.asarray(width, np.float64)
    return total(_estimated(lut), _count(registers=registers))


def add(width: Width) -> ResourceCount:
    """An adder or subtracter."""
    return _pipelined(operator_areas().add.of(width), width)


def compare(width: Width) -> ResourceCount:
    return _estimated(operator_areas().compare.of(width))


def clamp(width: Width, result: Width) -> ResourceCount:
    """Two comparisons and two selections."""
    return total(compare(width).times(2), _pipelined(2 * operator_areas().select.of(result), result))


def select(width: Width) -> ResourceCount:
    return _estimated(operator_areas().select.of(width))


def multiplex(width: Width, ways: Width) -> ResourceCount:
    """One of ``ways`` inputs of ``width`` bits."""
    luts = MUX_LUT_PER_BIT_AND_WAY * np.asarray(width) * np.asarray(ways)
    return _count(lut=np.where(np.asarray(ways) > 1, luts, 0.0))


def shift(width: Width) -> ResourceCount:
    """A shift by a variable distance."""
    return _pipelined(operator_areas().shift_luts(width), width)


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
    extra, areas = slices - 1, operator_areas()
    joined = _estimated(lut=areas.join_lut * extra, ff=areas.join_ff * extra, dsp=slices)
    return total(joined, _pipelined(0, left + right))


def partial_product_luts(left: int, right: int) -> int:
    """One row of partial products for each bit of the narrower factor, of which two are formed and added in one carry
    chain of the wider one's length."""
    narrow, wide = min(left, right), max(left, right)
    return -(-narrow // 2) * (wide + 2)


def multiply_in_luts(left: int, right: int) -> ResourceCount:
    """A multiplication of these widths that is bound to LUTs."""
    return _pipelined(partial_product_luts(left, right), left + right)


def divide(dividend: int, divisor: int) -> ResourceCount:
    """A fully pipelined unsigned divider: a stage for each bit of the dividend. csynth's price ignores the divisor."""
    areas = operator_areas()
    return _estimated(
        lut=float(dividend * areas.divide_lut.at(dividend)), ff=float(dividend * areas.divide_ff.at(dividend))
    )


def table(entries: int, width: int) -> ResourceCount:
    """One reader's share of a read-only table in block RAM: both ports of an 18 Kb half read, so a quarter tile."""
    halves = np.ceil(entries * width / (18 * 1024))
    return total(_pipelined(0, width), _count(bram36=halves / 4))


def block_memory(width: Width, depth: Width) -> Ints:
    """36 Kb tiles of a memory written and read at full width."""
    return ceil_divide(np.asarray(width), BRAM_WIDTH) * ceil_divide(np.asarray(depth), BRAM_DEPTH)


def lut_memory(width: Width, depth: Width) -> ResourceCount:
    """Simple dual-port LUTRAM, written and read at full width."""
    deep = ceil_divide(np.asarray(depth), LUTRAM_DEPTH)
    return _count(lut=LUTRAM_LUTS_PER_BIT * np.asarray(width) * deep, ff=np.asarray(width, np.float64))


def fifo(width: Width, depth: Width) -> ResourceCount:
    """Registers, shift registers, LUTRAM or block RAM by depth (aebert.design.fifos binds them so).

    Of shift registers, two of 16 entries in a LUT, csynth's price of what is around them; of the others all of it.
    """
    areas, bits = operator_areas(), np.asarray(width, np.float64)
    steps = np.ceil(np.log2(np.maximum(np.asarray(depth), 2)))
    lut, ff = areas.fifo_lut, areas.fifo_ff
    shifted = np.where(np.asarray(depth) <= SRL_DEPTH // 2, 0.5, 1.0) * bits
    stored = bits * (np.ceil(np.asarray(depth) / SRL_DEPTH) + 1)
    kinds = (
        (REGISTER_FIFO_DEPTH, lut["registers"].of(bits), ff["registers"].of(bits)),
        (SRL_DEPTH, lut["srl"].base + shifted, ff["srl"].of(steps)),
        (LUTRAM_FIFO_DEPTH, lut["lutram"].of(stored), ff["lutram"].of(bits)),
    )
    fits = [np.asarray(depth) <= deepest for deepest, _, _ in kinds]
    return _count(
        lut=np.select(fits, [luts for _, luts, _ in kinds], lut["bram"].of(bits)),
        ff=np.select(fits, [ffs for _, _, ffs in kinds], ff["bram"].of(bits)),
        bram36=np.where(np.asarray(depth) > LUTRAM_FIFO_DEPTH, block_memory(width, depth), 0),
    )


def axi_port(width: Width, buffered_words: Width) -> ResourceCount:
    """An AXI master of tools from 2023 on, with a buffer of ``buffered_words`` for the data of the bursts under way."""
    areas = operator_areas()
    return _count(
        lut=areas.placed_axi_lut.middle * areas.axi_lut.of(width),
        ff=areas.placed_axi_ff.middle * areas.axi_ff.of(width),
        bram36=block_memory(width, buffered_words),
    )


def axi_lite() -> ResourceCount:
    areas = operator_areas()
    price = areas.control
    lut = price.lut_base + price.lut_per_word * CONTROL_WORDS
    ff = price.ff_base + price.ff_per_word * CONTROL_WORDS + price.ff_per_argument * CONTROL_ARGUMENTS
    return _count(lut=areas.placed_axi_lut.middle * lut, ff=areas.placed_axi_ff.middle * ff)
