"""On-chip buffers of a design: their shapes, and which memory primitive holds each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from aebert.design.data_widths import WIDTH_OF
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import stream_depths
from aebert.design.size_arrays import Floats, Ints, Sizes, ceil_divide

Primitive = Literal["lutram", "bram", "uram"]
# Of these each engine has its own.
ENGINE_BUFFERS = ("operands", "residual", "scores")
PRIMITIVES: tuple[Primitive, ...] = get_args(Primitive)

# Simple dual-port aspect ratios of a 36 Kb block RAM: bits x entries (UG573 table 1-7; UG473 has the same).
BRAM36_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096))
URAM_BITS, URAM_ENTRIES = 72, 4096  # UG573: fixed aspect ratio
LUTRAM_ENTRIES = 64  # RAM64M8: seven bits of 64 entries, simple dual-port, in eight LUTs (UG574)
LUTRAM_LUTS_PER_BIT = 8 / 7
# Slices whose LUTs can be memory are a quarter to a half of a device's (SLICEM: UG574, UG474).
LUTRAM_SHARE = 0.25


@dataclass(frozen=True)
class OnChipBuffer:
    """``banks`` memories of ``depth`` entries x ``width_bits``, one read and one write port each.

    The numbers are int64 arrays [designs].
    """

    name: str
    banks: Ints
    depth: Ints
    width_bits: Ints

    @property
    def bits(self) -> Ints:
        return self.banks * self.depth * self.width_bits

    @property
    def bram36(self) -> Ints:
        """36 Kb block RAM tiles."""
        shapes = [ceil_divide(self.width_bits, w) * ceil_divide(self.depth, d) for w, d in BRAM36_SHAPES]
        smallest: Ints = np.minimum.reduce(shapes)
        return self.banks * smallest

    @property
    def uram(self) -> Ints:
        return self.banks * ceil_divide(self.width_bits, URAM_BITS) * ceil_divide(self.depth, URAM_ENTRIES)

    @property
    def lutram_luts(self) -> Ints:
        luts = self.banks * self.width_bits * ceil_divide(self.depth, LUTRAM_ENTRIES) * LUTRAM_LUTS_PER_BIT
        rounded: Ints = np.rint(luts).astype(np.int64)
        return rounded


@dataclass(frozen=True)
class BoundBuffer:
    """A buffer and the primitive it is bound to."""

    buffer: OnChipBuffer
    primitive: Primitive


@dataclass(frozen=True)
class BoundBuffers:
    """Buffers of many designs: ``choice`` [buffers, designs] indexes `PRIMITIVES`; ``costs`` of the chosen ones
    [buffers, primitives, designs]."""

    buffers: tuple[OnChipBuffer, ...]
    choice: Ints
    costs: Floats

    @property
    def cost(self) -> Floats:
        """Of all of them, [primitives, designs]."""
        total: Floats = self.costs.sum(axis=0)
        return total

    def of(self, names: Collection[str]) -> Floats:
        """Of those of these names, [primitives, designs]."""
        total: Floats = self.costs[[buffer.name in names for buffer in self.buffers]].sum(axis=0)
        return total


def on_chip_buffers(sizes: Sizes) -> tuple[OnChipBuffer, ...]:
    """The arrays that the kernel declares, of all engines; names as in templates/kernel."""
    row, slice_bits = 8 * sizes.engine_tokens, WIDTH_OF["value"] * sizes.unit_tokens
    groups, hidden, engines = sizes.max_groups, sizes.max_hidden, sizes.engines
    return (
        OnChipBuffer("operands", engines * sizes.in_lanes, groups * sizes.operand_rows, row),
        OnChipBuffer("keys", engines * sizes.in_lanes, groups * hidden // sizes.in_lanes, row),
        OnChipBuffer("values", engines * sizes.out_lanes, groups * hidden // sizes.out_lanes, row),
        OnChipBuffer("residual", engines, groups * hidden * sizes.row_slices, slice_bits),
        OnChipBuffer("scores", engines, stream_depths(sizes)["held"], slice_bits),
    )


def bind_many(sizes: Sizes, *, luts: Floats, bram36: Floats, uram: Floats) -> BoundBuffers:
    """Binds each buffer, largest first, to the primitive of which it takes the smallest share of what is left.

    ``luts``, ``bram36`` and ``uram`` [designs] are what one compute unit may use. A buffer that fits nowhere is bound
    to block RAM: the resource count then says by how much it overflows.
    """
    buffers = on_chip_buffers(sizes)
    # Shape [buffers, primitives, designs].
    costs = np.array([[item.lutram_luts, item.bram36, item.uram] for item in buffers], np.float64)
    left = np.array(np.broadcast_arrays(LUTRAM_SHARE * luts, bram36, uram, sizes.tokens)[:3], np.float64)
    order = np.argsort([-item.bits for item in buffers], axis=0, kind="stable")
    choice = np.zeros(order.shape, np.int64)
    designs = np.arange(order.shape[1])
    bram = PRIMITIVES.index("bram")
    for buffer in order:
        cost = costs[buffer, :, designs].T
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(cost <= left, cost / left, np.inf)
        primitive = np.where(np.isfinite(share).any(axis=0), np.argmin(share, axis=0), bram)
        choice[buffer, designs] = primitive
        left[primitive, designs] -= cost[primitive, designs]
    chosen = choice[:, None, :] == np.arange(len(PRIMITIVES))[None, :, None]
    return BoundBuffers(buffers, choice, costs * chosen)


def bind_buffers(config: HardwareConfig, *, luts: int, bram36: int, uram: int) -> tuple[BoundBuffer, ...]:
    """`bind_many` for one config."""
    sizes = Sizes.of(config)
    bound = bind_many(sizes, luts=np.array([luts]), bram36=np.array([bram36]), uram=np.array([uram]))
    return tuple(
        BoundBuffer(buffer, PRIMITIVES[choice])
        for buffer, choice in zip(bound.buffers, bound.choice[:, 0], strict=True)
    )
