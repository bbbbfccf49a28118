"""Resources of a kernel, summed over the units it instantiates; see docs/design_space.md for what is fit and what not.

Each unit lists the operators of its C++ (templates/kernel) with the widths that synthesis sees. All functions take
many designs at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from aebert.design import operator_resources as op
from aebert.design.buffers import ENGINE_BUFFERS, BoundBuffers
from aebert.design.data_widths import WIDTH_OF
from aebert.design.fifos import Fifo, kernel_fifos
from aebert.design.hardware_config import BURST_BYTES, NEAR_GROUPS, OUTSTANDING_BURSTS
from aebert.design.kernel_records import PARAMETER_BYTES, PARAMETERS
from aebert.design.kernel_streams import ENGINE_PROCESSES, PORTS, PROCESSES
from aebert.design.operator_resources import ResourceCount, total
from aebert.design.size_arrays import Floats, Ints, Sizes, ceil_divide
from aebert.numerics.integers import EXP_ENTRIES, GELU_ENTRIES, inverse_sqrt_seed_table

ADDEND_BITS, RECIPROCAL_BITS, SUM_BITS = WIDTH_OF["addend"], WIDTH_OF["reciprocal"], WIDTH_OF["sum"]
TOTAL_BITS, VALUE_BITS = WIDTH_OF["total"], WIDTH_OF["value"]
NORM_SUM_BITS, SQUARE_SUM_BITS, VARIANCE_BITS = WIDTH_OF["norm_sum"], WIDTH_OF["square_sum"], WIDTH_OF["variance"]
CENTRED_BITS, NORMAL_BITS, GAIN_BITS = WIDTH_OF["centred"], WIDTH_OF["normal"], WIDTH_OF["gain"]
MULTIPLIER_BITS, CHANNEL_COUNT_BITS = WIDTH_OF["multiplier"], WIDTH_OF["channel_count"]
SCALED_BITS = SUM_BITS + MULTIPLIER_BITS
FACTOR_BITS = WIDTH_OF["mantissa"] + 1  # of the inverse square root, as a signed number
SCALE_BITS = WIDTH_OF["mantissa"] + WIDTH_OF["exponent"]
PARAMETER_BITS = int(PARAMETERS.width({}))
_INDEX_BITS = max(EXP_ENTRIES, GELU_ENTRIES).bit_length() - 1  # of a table
ADDRESS_BITS = 32


@dataclass(frozen=True)
class KernelResources:
    """Resources of one compute unit by part, all engines together.

    ``each_engine``: what one engine takes with the units behind it, their buffers and FIFOs: what is to lie on one die.
    """

    engine_array: ResourceCount
    engine_fetch: ResourceCount
    fetch_tiles: ResourceCount
    buffers: ResourceCount
    requantise: ResourceCount
    softmax: ResourceCount
    layer_norm: ResourceCount
    fifos: ResourceCount
    axi_ports: ResourceCount
    control: ResourceCount
    each_engine: ResourceCount

    @property
    def parts(self) -> Mapping[str, ResourceCount]:
        """What adds up to the total, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "each_engine"}

    @cached_property
    def total(self) -> ResourceCount:
        return total(*self.parts.values())


def count_resources(sizes: Sizes, bound: BoundBuffers) -> KernelResources:
    """One compute unit of each design. ``bound`` says where its buffers lie."""
    engines = sizes.engines
    units = {
        "engine_array": _engine_array(sizes),
        "engine_fetch": _engine_fetch(sizes),
        "requantise": _requantise(sizes),
        "softmax": _softmax(sizes),
        "layer_norm": _layer_norm(sizes),
    }
    shared, own = kernel_fifos(sizes)
    own_buffers = bound.of(ENGINE_BUFFERS)
    own_control = total(_PROCESS.times(len(ENGINE_PROCESSES) - len(_HAND_OVER)), _hand_over(sizes))
    each = total(*units.values(), total(_fifos(own), _memories(own_buffers)).times(1.0 / engines), own_control)
    return KernelResources(
        fetch_tiles=_fetch_tiles(sizes),
        buffers=_memories(bound.cost),
        fifos=_fifos((*shared, *own)),
        axi_ports=_axi_ports(sizes),
        control=total(_control(sizes), own_control.times(engines)),
        each_engine=each,
        **{name: unit.times(engines) for name, unit in units.items()},
    )


def _engine_array(sizes: Sizes) -> ResourceCount:
    """Multipliers, the trees behind them and the accumulators (dsp.h, engine.cpp)."""
    dsp_lanes = sizes.in_lanes - sizes.lut_lanes
    products = sizes.array_dsps // sizes.engines
    multipliers = ResourceCount(*(np.asarray(n, np.float64) for n in (0 * products, 0 * products, products, 0, 0)))
    in_luts = op.multiply_in_luts(9, 8).times(2 * sizes.pairs * sizes.out_lanes * sizes.lut_lanes)
    pack = op.add(sizes.dsp_port_bits).times(dsp_lanes * sizes.pairs)
    chains = ceil_divide(dsp_lanes, sizes.chain)
    field_bits = 20
    summands = chains + sizes.lut_lanes
    trees = total(op.add(field_bits).times(2 * (summands - 1)), op.add(field_bits).times(chains))
    accumulator = total(op.add(SUM_BITS), op.select(SUM_BITS), _group_state(SUM_BITS, sizes.max_groups))
    per_output = total(trees, accumulator.times(2)).times(sizes.out_lanes * sizes.pairs)
    return total(multipliers, in_luts, pack, per_output)


def _group_state(bits: int, groups: Ints) -> ResourceCount:
    """One lane's state of each token group: of a few in registers, of many in LUTRAM beside them (order.h)."""
    near, many = np.minimum(groups, NEAR_GROUPS), (groups > NEAR_GROUPS).astype(np.int64)
    far = total(op.lut_memory(bits, groups), op.select(bits)).times(many)
    return total(op.multiplex(bits, near), op.register(bits * near), far)


def _group_table(bits: int, groups: Ints) -> ResourceCount:
    """What one loop writes and another reads: registers of a few token groups, LUTRAM of many."""
    many = (groups > NEAR_GROUPS).astype(np.int64)
    few = total(op.multiplex(bits, groups), op.register(bits * groups)).times(1 - many)
    return total(few, op.lut_memory(bits, groups).times(many))


def _engine_fetch(sizes: Sizes) -> ResourceCount:
    """Row addresses, operand registers, the write-back's way into the banks."""
    row = 8 * sizes.engine_tokens
    addresses = op.add(ADDRESS_BITS).times(2 * sizes.in_lanes)
    operands = op.register(row).times(2 * sizes.in_lanes)
    tile = op.register(8 * sizes.tile_bytes + VALUE_BITS * sizes.in_lanes).times(2)
    write_back = total(
        op.multiplex(row, 3),
        op.register(row).times(2),
        total(op.compare(8), op.register(16)).times(sizes.in_lanes),
    )
    return total(addresses, operands, tile, write_back)


def _fetch_tiles(sizes: Sizes) -> ResourceCount:
    """Keys and values as tiles, and the way of each engine's write-backs into their banks."""
    row = 8 * sizes.engine_tokens
    tile = op.register(8 * sizes.tile_bytes + VALUE_BITS * sizes.in_lanes)
    heads = total(
        op.multiplex(8, sizes.tokens // sizes.out_lanes),  # of blocks: one selection for all bytes of a block
        op.multiplex(8, sizes.tokens // sizes.in_lanes),
        op.select(8),
        op.register(8).times(2),
    ).times(sizes.tile_bytes)
    write_back = total(
        op.register(row).times(2),
        total(op.compare(8), op.register(16)).times(sizes.in_lanes + sizes.out_lanes),
    ).times(sizes.engines)
    return total(tile, heads, write_back)


def _memories(cost: Floats) -> ResourceCount:
    lutram, bram, uram = cost
    nothing = np.zeros_like(lutram)
    return ResourceCount(lut=lutram, ff=nothing, dsp=nothing, bram36=bram, uram=uram)


def _requantise(sizes: Sizes) -> ResourceCount:
    port = sizes.dsp_port_bits
    lane = total(
        op.add(SUM_BITS),
        _group_table(RECIPROCAL_BITS, sizes.length_groups * sizes.row_slices),
        op.select(RECIPROCAL_BITS + 1),
        op.multiply(SUM_BITS, RECIPROCAL_BITS + 1, port),
        op.rounding_shift(SCALED_BITS),
        op.clamp(SCALED_BITS, VALUE_BITS),
        op.clamp(SCALED_BITS, 8),
        op.clamp(SCALED_BITS, ADDEND_BITS),
        _gelu(),
        op.select(VALUE_BITS),
        op.multiply(VALUE_BITS, MULTIPLIER_BITS, port),
        op.rounding_shift(VALUE_BITS + MULTIPLIER_BITS),
        op.add(VALUE_BITS + MULTIPLIER_BITS),
        op.clamp(VALUE_BITS + MULTIPLIER_BITS, 8).times(2),
        op.select(VALUE_BITS).times(3),
    )
    held = total(op.register(PARAMETER_BITS), op.multiplex(PARAMETER_BITS, 2)).times(sizes.out_lanes)
    arriving = op.multiplex(SUM_BITS * sizes.engine_tokens, sizes.out_lanes)
    return total(arriving, lane.times(sizes.unit_tokens), held, _passing(SUM_BITS + 8 + VALUE_BITS, sizes))


def _passing(bits: int, sizes: Sizes) -> ResourceCount:
    """Shift registers in which a row's tokens pass by a unit that takes a slice of them at a time (order.h)."""
    return total(op.register(bits), op.select(bits)).times(np.where(sizes.row_slices > 1, sizes.engine_tokens, 0))


def _gelu() -> ResourceCount:
    return total(
        op.add(VALUE_BITS).times(3),
        op.shift(VALUE_BITS),
        op.clamp(VALUE_BITS, _INDEX_BITS),
        op.table(GELU_ENTRIES, VALUE_BITS),
        op.rounding_shift(VALUE_BITS),
    )


def _softmax(sizes: Sizes) -> ResourceCount:
    """Row maximum, exponentials, reciprocals."""
    groups = sizes.length_groups * sizes.row_slices
    lane = total(
        _group_state(VALUE_BITS, groups).times(2),
        op.compare(VALUE_BITS),
        op.select(VALUE_BITS),
        op.add(VALUE_BITS + 1),
        op.clamp(VALUE_BITS + 1, _INDEX_BITS),
        op.table(EXP_ENTRIES, 8),
        op.select(8),
        op.add(TOTAL_BITS),
        _group_state(TOTAL_BITS, groups),
    )
    passing = RECIPROCAL_BITS + TOTAL_BITS  # tokens pass by the divider in shift registers
    reciprocal = total(
        op.divide(32, TOTAL_BITS),
        op.select(TOTAL_BITS).times(sizes.unit_tokens),
        op.register(passing * sizes.unit_tokens),
    )
    return total(lane.times(sizes.unit_tokens), reciprocal, _passing(8 + VALUE_BITS, sizes))


def _layer_norm(sizes: Sizes) -> ResourceCount:
    groups, port = sizes.max_groups * sizes.row_slices, sizes.dsp_port_bits
    normal = CENTRED_BITS + FACTOR_BITS
    gained = NORMAL_BITS + GAIN_BITS
    lane = total(
        _group_state(NORM_SUM_BITS, groups),
        _group_state(SQUARE_SUM_BITS, groups),
        _group_table(SCALE_BITS, groups),
        # Add
        op.add(SUM_BITS),
        op.clamp(SUM_BITS, VALUE_BITS),
        op.add(NORM_SUM_BITS),
        op.multiply(VALUE_BITS, VALUE_BITS, port),
        op.add(SQUARE_SUM_BITS),
        # Normalise
        op.multiply_in_luts(VALUE_BITS, CHANNEL_COUNT_BITS + 1),
        op.add(CENTRED_BITS),
        op.multiply(CENTRED_BITS, FACTOR_BITS, port),
        op.rounding_shift(normal),
        op.clamp(normal, NORMAL_BITS),
        op.multiply(NORMAL_BITS, GAIN_BITS, port),
        op.add(gained),
        op.rounding_shift(gained),
        op.clamp(gained, VALUE_BITS),
        # The next operand
        op.multiply(VALUE_BITS, MULTIPLIER_BITS, port),
        op.rounding_shift(VALUE_BITS + MULTIPLIER_BITS),
        op.clamp(VALUE_BITS + MULTIPLIER_BITS, 8),
        op.select(VALUE_BITS),
    )
    return total(lane.times(sizes.unit_tokens), _inverse_sqrt(sizes), _passing(8 + 2 * VALUE_BITS, sizes))


def _inverse_sqrt(sizes: Sizes) -> ResourceCount:
    port = sizes.dsp_port_bits
    newton = total(op.multiply(19, 19, port), op.multiply(33, 19, port), op.add(19), op.multiply(19, 20, port))
    passing = NORM_SUM_BITS + SQUARE_SUM_BITS  # tokens pass by it in shift registers
    return total(
        op.select(passing).times(sizes.unit_tokens),
        op.register((passing + SCALE_BITS) * sizes.unit_tokens),
        op.multiply(SQUARE_SUM_BITS + 1, CHANNEL_COUNT_BITS + 1, port),
        op.multiply(NORM_SUM_BITS, NORM_SUM_BITS, port),
        op.add(VARIANCE_BITS).times(2),
        total(op.compare(VARIANCE_BITS // 2), op.select(VARIANCE_BITS), op.register(VARIANCE_BITS)).times(5),
        op.table(len(inverse_sqrt_seed_table()), 18),
        newton.times(2),
    )


def _fifos(fifos: Sequence[Fifo]) -> ResourceCount:
    return total(*(op.fifo(each.width_bits, each.depth).times(each.copies) for each in fifos))


def _axi_ports(sizes: Sizes) -> ResourceCount:
    return op.axi_port(8 * sizes.word_bytes, BURST_BYTES * OUTSTANDING_BURSTS // sizes.word_bytes).times(len(PORTS))


# Assumption: loop counters, state machines and addresses of one dataflow process.
_PROCESS = total(op.add(ADDRESS_BITS).times(12), op.compare(ADDRESS_BITS).times(8), op.multiply_in_luts(13, 8))


# These count passes and rows, and nothing else.
_HAND_OVER = ("hand_out_passes", "gather_output")


def _hand_over(sizes: Sizes) -> ResourceCount:
    counters = total(op.add(ADDRESS_BITS), op.compare(ADDRESS_BITS)).times(3)
    return total(counters, op.multiply_in_luts(13, 8), op.multiplex(VALUE_BITS * sizes.engine_tokens, 3))


def _control(sizes: Sizes) -> ResourceCount:
    word = sizes.word_bytes
    index_lane_bytes = sizes.in_lanes * sizes.index_bytes
    slices = total(
        op.multiplex(8 * sizes.tile_bytes, word // sizes.tile_bytes),
        op.multiplex(8 * index_lane_bytes, word // index_lane_bytes),
        op.multiplex(PARAMETER_BITS, word // PARAMETER_BYTES),
        op.register(8 * word).times(5),
        op.register(VALUE_BITS * sizes.tokens).times(2),
    )
    return total(op.axi_lite(), slices, _PROCESS.times(len(PROCESSES) - len(ENGINE_PROCESSES)))
