"""The closed-form resource count follows what the kernel instantiates, for one design and for many at once."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.design import operator_resources as op
from aebert.design.board_fit import RESOURCES
from aebert.design.buffers import PRIMITIVES, OnChipBuffer, bind_buffers, bind_many
from aebert.design.hardware_config import HardwareConfig, operand_layout
from aebert.design.kernel_resources import KernelResources, count_resources
from aebert.design.operator_resources import ResourceCount
from aebert.design.size_arrays import Sizes
from tests.support.hardware_configs import hardware_configs

COUNTS = tuple(field.name for field in fields(ResourceCount))
SMALL_BOARD = {"luts": 20_000, "bram36": 40, "uram": 12}

MIDDLE = HardwareConfig(
    tokens=32, out_lanes=8, in_lanes=8, max_hidden=768, max_ffn=3072, max_length=128, max_groups=4, sums_fifo=16
)


def _count(*configs: HardwareConfig) -> KernelResources:
    sizes = Sizes.of_all(configs)
    each = np.ones(len(configs))
    bound = bind_many(sizes, luts=2e5 * each, bram36=700 * each, uram=100 * each)
    return count_resources(sizes, bound)


def _numbers(count: ResourceCount) -> list[float]:
    return [float(np.max(getattr(count, name))) for name in COUNTS]


def _buffer(depth: int, width: int) -> OnChipBuffer:
    return OnChipBuffer("any", *(np.array([n]) for n in (1, depth, width)))


@settings(max_examples=30, deadline=None)
@given(hardware_configs())
def test_the_operand_buffer_is_as_deep_as_the_layout_says(config: HardwareConfig) -> None:
    assert int(Sizes.of(config).operand_rows[0]) == operand_layout(config).group_depth


@pytest.mark.parametrize(
    ("depth", "width", "tiles"),
    [(512, 72, 1), (513, 72, 2), (512, 73, 2), (1024, 36, 1), (4096, 9, 1), (512, 512, 8), (2048, 512, 29)],
)
def test_block_ram_takes_the_best_aspect_ratio(depth: int, width: int, tiles: int) -> None:
    assert _buffer(depth, width).bram36.tolist() == [tiles]


@pytest.mark.parametrize(("depth", "width", "blocks"), [(4096, 72, 1), (4097, 72, 2), (1, 73, 2), (4096, 512, 8)])
def test_ultra_ram_has_one_aspect_ratio(depth: int, width: int, blocks: int) -> None:
    assert _buffer(depth, width).uram.tolist() == [blocks]


# DSP slices of the module in real csynth reports: mul_<left>_<right> on UltraScale+ (27 x 18) and 7 series (25 x 18).
@pytest.mark.parametrize(
    ("left", "right", "port", "slices"),
    [
        (16, 17, 27, 1),
        (18, 27, 27, 1),
        (32, 17, 27, 2),
        (30, 34, 27, 4),
        (32, 32, 27, 4),
        (32, 32, 25, 4),
        (40, 40, 25, 6),
    ],
)
def test_a_multiplication_takes_as_many_slices_as_its_widths_need(
    left: int, right: int, port: int, slices: int
) -> None:
    assert float(op.multiply(left, right, port).dsp) == slices
    assert float(op.multiply(right, left, port).dsp) == slices


@settings(max_examples=30, deadline=None)
@given(hardware_configs())
def test_two_multiply_accumulates_share_a_slice_of_the_array(config: HardwareConfig) -> None:
    lanes = config.tokens * config.out_lanes * (config.in_lanes - config.lut_lanes)
    assert float(_count(config).engine_array.dsp[0]) == lanes / 2


@settings(max_examples=30, deadline=None)
@given(hardware_configs())
def test_the_total_is_the_sum_of_the_parts(config: HardwareConfig) -> None:
    count = _count(config)
    parts = [_numbers(part) for part in count.parts.values()]
    assert np.sum(parts, axis=0) == pytest.approx(_numbers(count.total))


@settings(max_examples=30, deadline=None)
@given(st.lists(hardware_configs(), min_size=1, max_size=8))
def test_many_designs_at_once_count_as_each_alone(configs: list[HardwareConfig]) -> None:
    together = _count(*configs).total
    for number, config in enumerate(configs):
        alone = _count(config).total
        for name in COUNTS:
            many = np.broadcast_to(getattr(together, name), len(configs))[number]
            assert float(many) == float(np.max(getattr(alone, name)))


@settings(max_examples=30, deadline=None)
@given(hardware_configs())
def test_every_buffer_is_bound_within_what_is_left(config: HardwareConfig) -> None:
    bound = bind_buffers(config, **SMALL_BOARD)
    used = dict.fromkeys(PRIMITIVES, 0)
    for entry in bound:
        costs = {"lutram": entry.buffer.lutram_luts, "bram": entry.buffer.bram36, "uram": entry.buffer.uram}
        used[entry.primitive] += int(costs[entry.primitive][0])
    assert used["uram"] <= SMALL_BOARD["uram"]
    assert used["lutram"] <= 0.25 * SMALL_BOARD["luts"]


def test_without_uram_nothing_is_bound_to_it() -> None:
    assert {entry.primitive for entry in bind_buffers(MIDDLE, luts=50_000, bram36=2000, uram=0)} <= {"bram", "lutram"}


@pytest.mark.parametrize(
    ("larger", "grows"),
    [
        (replace(MIDDLE, tokens=64), ("lut", "ff", "dsp")),
        (replace(MIDDLE, sums_fifo=32), ("lut",)),
        (replace(MIDDLE, tile_fifo=2048), ("bram36",)),
        (replace(MIDDLE, max_groups=8), ("lut", "ff")),
        (replace(MIDDLE, out_lanes=4), ()),
    ],
)
def test_a_larger_design_takes_more(larger: HardwareConfig, grows: tuple[str, ...]) -> None:
    # Which flip-flops are registers of loops may change: state of many token groups lies in LUTRAM.
    before, after = (_numbers(_count(each).total)[: len(RESOURCES)] for each in (MIDDLE, larger))
    if larger.macs_per_cycle < MIDDLE.macs_per_cycle:
        before, after, grows = after, before, ("lut", "ff", "dsp")
    assert all(second >= first for first, second in zip(before, after, strict=True))
    for name in grows:
        assert after[COUNTS.index(name)] > before[COUNTS.index(name)]


def test_without_a_cascade_the_array_takes_more_logic_but_no_more_slices() -> None:
    cascaded, plain = _count(MIDDLE), _count(replace(MIDDLE, dsp="DSP48E1"))
    assert float(plain.engine_array.lut[0]) > 1.5 * float(cascaded.engine_array.lut[0])
    assert float(plain.engine_array.dsp[0]) == float(cascaded.engine_array.dsp[0])


def test_the_array_with_plain_adder_trees_agrees_with_a_synthesised_sketch() -> None:
    # A Verilog sketch of the array through Yosys synth_xilinx: about 54 LUTs per multiply-accumulate with plain trees.
    plain = replace(MIDDLE, dsp="DSP48E1")
    per_mac = float(_count(plain).engine_array.lut[0]) / plain.macs_per_cycle
    assert 54 / 2 < per_mac < 54 * 2
