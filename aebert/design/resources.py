"""Resources of a kernel, summed over the units it instantiates; see docs/design_space.md for what is fit and what not.

Each unit lists the operators of its C++ (templates/kernel) with the widths that synthesis sees. All functions take
many designs at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.design import operators as op
from aebert.design.buffers import BoundBuffers
from aebert.design.config import BURST_BYTES, OUTSTANDING_BURSTS
from aebert.design.operators import ResourceCount, total
from aebert.design.sizes import Sizes

SUM_BITS, VALUE_BITS, RECIPROCAL_BITS = 32, 16, 32
SCALED_BITS = 49  # int32 x uint16
VECTOR_FIFO, COUNT_FIFO, PASS_FIFO, HEADER_FIFO = 16, 32, 4, 2  # depths in templates/kernel/config.h.j2
PARAMETER_BITS, PASS_BITS = 112, 512
ADDRESS_BITS = 32


@dataclass(frozen=True)
class KernelResources:
    """Resources of one compute unit by part."""

    engine_array: ResourceCount
    engine_fetch: ResourceCount
    buffers: ResourceCount
    requantise: ResourceCount
    softmax: ResourceCount
    layer_norm: ResourceCount
    fifos: ResourceCount
    axi_ports: ResourceCount
    control: ResourceCount

    @property
    def total(self) -> ResourceCount:
        return total(*(getattr(self, field.name) for field in fields(self)))


def count_resources(sizes: Sizes, bound: BoundBuffers) -> KernelResources:
    """One compute unit of each design. ``bound`` says where its buffers lie."""
    return KernelResources(
        engine_array=_engine_array(sizes),
        engine_fetch=_engine_fetch(sizes),
        buffers=_buffers(bound),
        requantise=_requantise(sizes),
        softmax=_softmax(sizes),
        layer_norm=_layer_norm(sizes),
        fifos=_fifos(sizes),
        axi_ports=_axi_ports(sizes),
        control=_control(sizes),
    )


def _engine_array(sizes: Sizes) -> ResourceCount:
    """Multipliers, the trees behind them and the accumulators (dsp.h, engine.cpp)."""
    products = sizes.pairs * sizes.out_lanes * sizes.in_lanes
    multipliers = ResourceCount(*(np.asarray(n, np.float64) for n in (0 * products, 0 * products, products, 0, 0)))
    pack = op.add(sizes.dsp_port_bits).times(sizes.in_lanes * sizes.pairs)
    chains = sizes.in_lanes // sizes.chain
    field_bits = 20
    trees = total(op.add(field_bits).times(2 * (chains - 1)), op.add(field_bits).times(chains))
    accumulator = total(
        op.add(SUM_BITS),
        op.select(SUM_BITS),
        op.multiplex(SUM_BITS, sizes.max_groups),
        op.register(SUM_BITS * sizes.max_groups),
    )
    per_output = total(trees, accumulator.times(2)).times(sizes.out_lanes * sizes.pairs)
    return total(multipliers, pack, per_output)


def _engine_fetch(sizes: Sizes) -> ResourceCount:
    """Row addresses, operand registers, keys and values as tiles, the write-back's way into the banks."""
    row = 8 * sizes.tokens
    addresses = op.add(ADDRESS_BITS).times(2 * sizes.in_lanes)
    operands = op.register(row).times(2 * sizes.in_lanes)
    tile = op.register(8 * sizes.tile_bytes + VALUE_BITS * sizes.in_lanes).times(2)
    heads = total(
        op.multiplex(8, sizes.tokens // sizes.out_lanes),
        op.multiplex(8, sizes.tokens // sizes.in_lanes),
        op.select(8),
        op.register(8).times(2),
    ).times(sizes.tile_bytes)
    write_back = total(
        op.multiplex(row, 3),
        op.register(row).times(2),
        total(op.compare(8), op.register(16)).times(2 * sizes.in_lanes + sizes.out_lanes),
    )
    return total(addresses, operands, tile, heads, write_back)


def _buffers(bound: BoundBuffers) -> ResourceCount:
    lutram, bram, uram = bound.cost
    nothing = np.zeros_like(lutram)
    return ResourceCount(lut=lutram, ff=nothing, dsp=nothing, bram36=bram, uram=uram)


def _requantise(sizes: Sizes) -> ResourceCount:
    port = sizes.dsp_port_bits
    lane = total(
        op.multiplex(SUM_BITS, sizes.out_lanes),
        op.add(SUM_BITS),
        op.multiply(SUM_BITS, RECIPROCAL_BITS, port),
        op.add(SUM_BITS + RECIPROCAL_BITS),
        op.multiplex(RECIPROCAL_BITS, sizes.length_groups),
        op.register(RECIPROCAL_BITS * sizes.length_groups),
        op.select(SUM_BITS),
        op.multiply(SUM_BITS, 17, port),
        op.rounding_shift(SCALED_BITS),
        op.clamp(SCALED_BITS, VALUE_BITS),
        op.clamp(SCALED_BITS, 8),
        op.clamp(SCALED_BITS, 18),
        _gelu(sizes),
        op.select(VALUE_BITS).times(3),
    )
    held = total(op.register(PARAMETER_BITS), op.multiplex(PARAMETER_BITS, 2)).times(sizes.out_lanes)
    return total(lane.times(sizes.tokens), held)


def _gelu(sizes: Sizes) -> ResourceCount:
    return total(
        op.add(VALUE_BITS).times(3),
        op.shift(VALUE_BITS),
        op.clamp(VALUE_BITS, 9),
        op.table(512, VALUE_BITS),
        op.rounding_shift(VALUE_BITS),
        op.multiply(VALUE_BITS, 17, sizes.dsp_port_bits),
        op.rounding_shift(VALUE_BITS + 17),
        op.add(VALUE_BITS + 17),
        op.clamp(VALUE_BITS + 17, 8),
    )


def _softmax(sizes: Sizes) -> ResourceCount:
    """Row maximum, exponentials, reciprocals."""
    groups = sizes.length_groups
    maximum = total(op.multiplex(VALUE_BITS, groups), op.register(VALUE_BITS * groups))
    lane = total(
        maximum.times(2),
        op.compare(VALUE_BITS),
        op.select(VALUE_BITS),
        op.add(VALUE_BITS + 1),
        op.clamp(VALUE_BITS + 1, 9),
        op.table(512, 8),
        op.select(8),
        op.add(SUM_BITS),
        op.multiplex(SUM_BITS, groups),
        op.register(SUM_BITS * groups),
    )
    reciprocal = total(
        op.divide(RECIPROCAL_BITS, SUM_BITS),
        op.multiplex(SUM_BITS, sizes.tokens),
        op.register((RECIPROCAL_BITS + SUM_BITS) * sizes.tokens),
    )
    return total(lane.times(sizes.tokens), reciprocal)


def _layer_norm(sizes: Sizes) -> ResourceCount:
    groups, port = sizes.max_groups, sizes.dsp_port_bits
    state = SUM_BITS + 64 + SUM_BITS + 8  # sum, sum of squares, scale (mantissa, exponent)
    lane = total(
        op.multiplex(state, groups),
        op.register(state * groups),
        # Add
        op.add(SUM_BITS + 1),
        op.clamp(SUM_BITS + 1, VALUE_BITS),
        op.add(SUM_BITS),
        op.multiply(VALUE_BITS, VALUE_BITS, port),
        op.add(64),
        # Normalise
        op.multiply(SUM_BITS, VALUE_BITS, port),
        op.add(SUM_BITS),
        op.multiply(SUM_BITS, SUM_BITS, port),
        op.rounding_shift(64),
        op.clamp(64, 18),
        op.multiply(18, SUM_BITS, port),
        op.add(64),
        op.rounding_shift(64),
        op.clamp(64, VALUE_BITS),
        # The next operand
        op.multiply(VALUE_BITS, 17, port),
        op.rounding_shift(VALUE_BITS + 17),
        op.clamp(VALUE_BITS + 17, 8),
        op.select(VALUE_BITS),
    )
    return total(lane.times(sizes.tokens), _inverse_sqrt(sizes))


def _inverse_sqrt(sizes: Sizes) -> ResourceCount:
    port = sizes.dsp_port_bits
    newton = total(op.multiply(18, 18, port), op.multiply(33, 20, port), op.add(20), op.multiply(18, 20, port))
    return total(
        op.multiplex(SUM_BITS + 64, sizes.max_groups * sizes.tokens),
        op.multiply(64, SUM_BITS, port),
        op.multiply(SUM_BITS, SUM_BITS, port),
        op.add(64).times(2),
        op.compare(52),
        op.shift(64).times(2),
        op.table(96, 18),
        newton.times(2),
    )


def _fifos(sizes: Sizes) -> ResourceCount:
    sums, values, row = SUM_BITS * sizes.tokens, VALUE_BITS * sizes.tokens, 8 * sizes.tokens
    return total(
        op.fifo(PASS_BITS, PASS_FIFO).times(9),
        op.fifo(8 * sizes.tile_bytes, sizes.tile_fifo),
        op.fifo(VALUE_BITS * sizes.in_lanes, sizes.tile_fifo),
        op.fifo(8 * sizes.word_bytes, HEADER_FIFO),
        op.fifo(VALUE_BITS, COUNT_FIFO),
        op.fifo(PARAMETER_BITS, sizes.parameter_fifo).times(2),
        op.fifo(sums, sizes.sums_fifo).times(sizes.out_lanes),
        op.fifo(1, sizes.sums_fifo),
        op.fifo(values, VECTOR_FIFO).times(5),  # scores, embeddings, three outputs
        op.fifo(sums, VECTOR_FIFO),  # addends
        op.fifo(values, 2 * sizes.length_groups),  # maxima
        op.fifo(RECIPROCAL_BITS * sizes.tokens, 2 * sizes.length_groups),  # totals
        op.fifo(RECIPROCAL_BITS * sizes.tokens, 4 * sizes.length_groups),  # quotients
        op.fifo(row + 32, VECTOR_FIFO).times(3),  # write-backs
    )


def _axi_ports(sizes: Sizes) -> ResourceCount:
    return op.axi_port(8 * sizes.word_bytes, BURST_BYTES * OUTSTANDING_BURSTS // sizes.word_bytes).times(6)


# Assumption: loop counters, state machines and addresses of one dataflow process.
PROCESSES = 13
_PROCESS = total(op.add(ADDRESS_BITS).times(12), op.compare(ADDRESS_BITS).times(8), op.multiply(32, 17, 27))


def _control(sizes: Sizes) -> ResourceCount:
    word = sizes.word_bytes
    index_lane_bytes = sizes.in_lanes * sizes.index_bytes
    slices = total(
        op.multiplex(8 * sizes.tile_bytes, word // sizes.tile_bytes),
        op.multiplex(8 * index_lane_bytes, word // index_lane_bytes),
        op.multiplex(PARAMETER_BITS, word // 16),
        op.register(8 * word).times(5),
        op.register(VALUE_BITS * sizes.tokens).times(2),
    )
    return total(op.axi_lite(), slices, _PROCESS.times(PROCESSES))
