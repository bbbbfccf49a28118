"""Which primitive holds each FIFO, and that it is counted as bound."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from aebert.design.fifos import bind_fifos, kernel_fifos
from aebert.design.hardware_config import HardwareConfig
from aebert.design.operator_resources import fifo
from aebert.design.size_arrays import Sizes

CONFIG = HardwareConfig(tokens=64, out_lanes=4, in_lanes=16, max_hidden=768, max_ffn=3072, max_length=128, max_groups=2)


def test_shallow_fifos_are_shift_registers_however_wide_and_deep_ones_block_ram() -> None:
    bound = {each.name: each.primitive for each in bind_fifos(CONFIG)}
    assert bound["sums"] == bound["addends"] == bound["steps"] == "srl"
    assert bound["matmul_parameters"] == "lutram"
    assert bound["stored_tiles"] == bound["stored_indices"] == "bram"
    deeper = {each.name: each.primitive for each in bind_fifos(replace(CONFIG, sums_fifo=33))}
    assert deeper["sums"] == "lutram"


def test_only_what_is_bound_to_block_ram_is_counted_there() -> None:
    for each in chain(*kernel_fifos(Sizes.of(CONFIG))):
        tiles = float(np.max(fifo(each.width_bits, each.depth).bram36))
        assert (tiles > 0) == (each.name in ("stored_tiles", "stored_indices"))


def test_a_row_of_sums_takes_half_a_lut_a_bit_and_a_deeper_one_a_lut() -> None:
    def luts(depth: int) -> float:
        return float(fifo(2048, depth).lut) - float(fifo(0, depth).lut)

    assert (luts(16), luts(32)) == (1024.0, 2048.0)
