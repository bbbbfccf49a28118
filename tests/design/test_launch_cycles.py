"""The closed-form cycle count does the program's work, and its bounds and trends are those of the kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.design.bandwidth import MemoryRates, memory_rates
from aebert.design.board import load_board
from aebert.design.default_sizes import legal_configs
from aebert.design.hardware_config import HardwareConfig
from aebert.design.launch_clock import CycleCount
from aebert.design.launch_cycles import count_cycles, time_passes
from aebert.design.pass_work import program_work
from aebert.design.program import build_program
from aebert.design.size_arrays import Sizes
from aebert.design.workload import TileCounts, Workload, pattern_tiles, weight_tiles
from aebert.explore.shapes import NAMED_SHAPES
from aebert.models.encoder import MATRIX_NAMES
from aebert.numerics.quantised import QuantisedEncoder
from aebert.pruning.zero_patterns import Block, Vector
from aebert.support.errors import AebertError
from codegen.packing import pack_matrix
from tests.support.random_quantised import random_quantised_encoder, random_shape

BERT = random_shape(12, 768, 12, 3072)
U200 = HardwareConfig(tokens=64, out_lanes=8, in_lanes=8, max_hidden=768, max_ffn=3072, max_length=128, max_groups=2)


def _quantised_tiles(quantised: QuantisedEncoder) -> list[list[npt.NDArray[np.int8]]]:
    return [[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in quantised.layers]


def _cycles(
    config: HardwareConfig, ratio: float = 0.0, length: int = 128, *, slowness: float = 1.0, extrapolate: bool = False
) -> CycleCount:
    """``slowness``: cycles that memory takes for the weights of a tile, which fill a word."""
    workload = Workload(BERT, pattern_tiles(BERT, ratio, 8, banks=8), (length,))
    memory = replace(MemoryRates.full(), weights=np.array([1 / slowness]))
    return count_cycles(Sizes.of(config), workload, memory=memory, extrapolate=extrapolate)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1.0), st.lists(st.integers(1, 32), min_size=1, max_size=3))
def test_the_lanes_work_as_many_steps_as_the_program_asks_for(seed: int, density: float, lengths: list[int]) -> None:
    shape = random_shape(2, 32, 2, 64)
    quantised = random_quantised_encoder(shape, seed, density)
    config = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=32, max_ffn=64, max_length=32, max_groups=6)
    packed = {
        (number, name): pack_matrix(layer.matrix(name).weight, 4, 8).tiles
        for number, layer in enumerate(quantised.layers)
        for name in MATRIX_NAMES
    }
    work = program_work(config, build_program(config, quantised, lengths), shape, packed)
    workload = Workload(shape, weight_tiles(shape, _quantised_tiles(quantised)), tuple(lengths))
    found = count_cycles(Sizes.of(config), workload)
    assert found.lane_cycles.tolist() == [sum(step.engine_steps for step in work)]
    assert found.total[0] > found.lane_cycles[0]


def test_repeating_layers_and_heads_changes_next_to_nothing() -> None:
    for ratio in (0.0, 0.5):
        walked, repeated = _cycles(U200, ratio), _cycles(U200, ratio, extrapolate=True)
        assert repeated.total == pytest.approx(walked.total, rel=1e-3)
        assert repeated.lane_cycles == pytest.approx(walked.lane_cycles)


@pytest.mark.parametrize("length", [128, 32])
@pytest.mark.parametrize("name", NAMED_SHAPES)
def test_repeating_heads_changes_next_to_nothing_on_any_design(name: str, length: int) -> None:
    # Small heads are paced by their parameters, which run ahead first and then come with the heads.
    shape, board = NAMED_SHAPES[name], load_board("u200")
    sizes = Sizes.of_all(legal_configs(board, shape, length, vector_lanes=4))
    ones = np.ones(len(sizes.tokens))
    memory = memory_rates(sizes, board, 200.0 * ones, ones.astype(np.int64))
    workload = Workload(shape, pattern_tiles(shape, 0.8, 4), (length,))
    walked = count_cycles(sizes, workload, memory=memory)
    repeated = count_cycles(sizes, workload, memory=memory, extrapolate=True)
    assert repeated.total == pytest.approx(walked.total, rel=3e-3)


def test_a_large_encoder_keeps_the_lanes_full() -> None:
    assert _cycles(U200, 0.0).lane_utilisation[0] > 0.9
    assert _cycles(U200, 0.5).lane_utilisation[0] > 0.9


def test_short_sequences_are_not_padded_to_the_maximum() -> None:
    assert _cycles(U200, length=64).total[0] < 0.55 * _cycles(U200, length=128).total[0]
    assert _cycles(U200, length=65).total[0] == pytest.approx(_cycles(U200, length=128).total[0], rel=0.05)


def test_pruning_saves_cycles_in_proportion_to_the_weights() -> None:
    dense, half = _cycles(U200, 0.0), _cycles(U200, 0.5)
    # Attention's own matmuls and the fill of the pipelines stay.
    assert 0.5 < half.total[0] / dense.total[0] < 0.56


def test_a_slow_memory_bounds_the_cycles_from_below() -> None:
    tiles = float(pattern_tiles(BERT, 0.0, 8)(Sizes.of(U200)).sum())
    assert _cycles(U200, slowness=10.0).total[0] > 0.99 * 10 * tiles
    # Two token groups per tile: a memory that takes two cycles per tile is fast enough.
    assert _cycles(U200, slowness=2.0).total[0] == pytest.approx(_cycles(U200).total[0], rel=0.01)


def test_many_designs_at_once_count_as_each_alone() -> None:
    configs = [U200, replace(U200, tokens=32, max_groups=4), replace(U200, out_lanes=4, in_lanes=16, tile_fifo=64)]
    workload = Workload(BERT, pattern_tiles(BERT, 0.5, 4, banks=16), (100,))
    together = count_cycles(Sizes.of_all(configs), workload)
    alone = [count_cycles(Sizes.of(config), workload).total[0] for config in configs]
    assert together.total.tolist() == alone


def _cycles_per_tile(config: HardwareConfig, board: str, clock_mhz: float, compute_units: int = 1) -> float:
    sizes = Sizes.of(config)
    memory = memory_rates(sizes, load_board(board), np.array([clock_mhz]), np.array([compute_units]))
    return float(np.maximum(*memory.cycles_per_tile(sizes))[0])


def test_one_tile_per_cycle_is_the_fastest_a_memory_can_be() -> None:
    assert _cycles_per_tile(replace(U200, out_lanes=1), "u200", 300.0) == 1.0
    # 64 bytes at 300 MHz ask for 19.2 GB/s, all of one DDR4 channel's peak; four cycles are lost with each burst of 64.
    assert _cycles_per_tile(U200, "u200", 300.0) == pytest.approx(68 / 64)
    narrow = replace(U200, out_lanes=1, in_lanes=16, tokens=16, max_groups=8, word_bytes=16, dsp="DSP48E1")
    # Weights and indices together need 32 bytes and a little for parameters, of the 21 per cycle that the memory gives.
    assert 1.5 < _cycles_per_tile(narrow, "pynq-z2", 100.0) < 1.8


def test_compute_units_that_share_a_memory_slow_each_other_down() -> None:
    alone, together = (_cycles_per_tile(U200, "u200", 300.0, units) for units in (1, 4))
    assert together > 1.2 * alone


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 1.0), st.lists(st.integers(1, 128), min_size=1, max_size=2), st.sampled_from([1.0, 3.0]))
def test_the_passes_take_all_of_the_launchs_time_and_steps(density: float, lengths: list[int], slowness: float) -> None:
    shape = random_shape(2, 64, 2, 128)
    config = replace(U200, max_groups=4)
    workload = Workload(shape, pattern_tiles(shape, 1 - density, 8), tuple(lengths))
    memory = replace(MemoryRates.full(), weights=np.array([1 / slowness]))
    counted = count_cycles(Sizes.of(config), workload, memory=memory)
    passes = time_passes(Sizes.of(config), workload, memory=memory)
    assert sum(step.cycles for step in passes) == pytest.approx(counted.total)
    assert sum(step.lane_cycles for step in passes) == pytest.approx(counted.lane_cycles)
    assert all(step.cycles[0] >= 0 for step in passes)
    # Load, store; per layer six matrices, scores and context of every head, two LayerNorms.
    assert len(passes) == 2 + shape.layers * (8 + 2 * len(lengths) * shape.heads)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.02, 1.0), min_size=12, max_size=12), st.integers(0, 11), st.floats(1.0, 2.0))
def test_more_tiles_do_not_take_fewer_cycles(densities: list[float], matrix: int, more: float) -> None:
    shape = random_shape(2, 64, 2, 128)
    dense = pattern_tiles(shape, 0.0, 1)(Sizes.of(U200))
    few = np.maximum(dense * np.array(densities).reshape(2, 6, 1), 8.0)
    many = few.copy()
    many[np.unravel_index(matrix, (2, 6))] *= more

    def total(tiles: npt.NDArray[np.float64]) -> float:
        return float(count_cycles(Sizes.of(U200), Workload(shape, TileCounts(lambda _: tiles), (100,))).total[0])

    # But for one drain of the engine's pipeline: a pass that ends later may hold up no write-back any more.
    assert total(many) >= total(few) - 30


@pytest.mark.parametrize(
    ("pattern", "rows", "columns", "banks"),
    [
        (Vector(4, 16), 4, 1, 16),
        (Vector(1, 16), 1, 1, 16),
        (Block(1, 1), 1, 1, None),
        (Block(8, 8), 8, 8, None),
    ],
    ids=str,
)
@pytest.mark.parametrize(("out_lanes", "in_lanes"), [(1, 8), (4, 16), (8, 8)])
def test_a_patterns_tiles_are_close_to_those_of_a_pruned_matrix(
    pattern: Vector | Block, rows: int, columns: int, banks: int | None, out_lanes: int, in_lanes: int
) -> None:
    shape = random_shape(1, 256, 4, 512)
    generator = np.random.default_rng(3)
    matrices: list[npt.NDArray[np.int8]] = []
    for name in MATRIX_NAMES:
        outputs, inputs = {"ffn_in": (512, 256), "ffn_out": (256, 512)}.get(name, (256, 256))
        scores = generator.random((outputs // rows, inputs // columns))
        mask = pattern.select(scores, scores.size // 2)
        matrices.append(np.kron(mask, np.ones((rows, columns))).astype(np.int8))
    config = HardwareConfig(
        tokens=16, out_lanes=out_lanes, in_lanes=in_lanes, max_hidden=256, max_ffn=512, max_length=16, max_groups=1
    )
    counted = weight_tiles(shape, [matrices])(Sizes.of(config))
    packed = [pack_matrix(matrix, out_lanes, in_lanes).tiles for matrix in matrices]
    assert counted[0, :, 0].tolist() == packed
    predicted = pattern_tiles(shape, 0.5, rows, columns=columns, banks=banks)(Sizes.of(config))
    assert predicted.sum() == pytest.approx(counted.sum(), rel=0.07)


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 2.0])
def test_an_impossible_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(AebertError, match="ratio"):
        pattern_tiles(BERT, ratio, 4)
