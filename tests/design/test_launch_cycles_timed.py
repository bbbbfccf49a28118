"""The closed form agrees with timed emulation of the very kernel it describes, and so do its memory rates."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from aebert.design.board import board_names, load_board
from aebert.design.hardware_config import HardwareConfig
from aebert.timing.memory_ports import PortTiming, port_timings
from codegen.placement import place_compute_units, port_traffic
from tests.support.closed_form import TimedKernel, board_memory, predicted_cycles
from tests.support.hardware_configs import hardware_configs
from tests.support.random_quantised import random_quantised_encoder, random_shape

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name),
    reason="no C++ compiler here",
)
CONFIG = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=256, max_length=32, max_groups=3)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> TimedKernel:
    return TimedKernel.write(tmp_path_factory.mktemp("timed"), CONFIG)


@needs_compiler
@pytest.mark.parametrize("density", [1.0, 0.5, 0.02], ids=["dense", "half", "nearly-empty"])
@pytest.mark.parametrize("lengths", [(32,), (3,), (20, 9)], ids=str)
def test_predicted_cycles_are_within_two_percent_of_timed_emulation(
    kernel: TimedKernel, density: float, lengths: tuple[int, ...]
) -> None:
    quantised = random_quantised_encoder(random_shape(2, 64, 4, 256), seed=1, density=density)
    assert predicted_cycles(CONFIG, quantised, lengths) == pytest.approx(kernel.cycles(quantised, lengths), rel=0.02)


@needs_compiler
@pytest.mark.parametrize("name", ["zcu102", "u50"])
def test_a_boards_memory_slows_prediction_and_emulation_alike(kernel: TimedKernel, name: str) -> None:
    board = load_board(name)
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 256), seed=1)
    predicted = predicted_cycles(CONFIG, quantised, (16,), board_memory(CONFIG, board))
    assert predicted == pytest.approx(kernel.cycles(quantised, (16,), board), rel=0.02)
    assert predicted > predicted_cycles(CONFIG, quantised, (16,))


@needs_compiler
@pytest.mark.parametrize("row_slices", [2, 4])
def test_narrower_units_slow_prediction_and_emulation_alike(tmp_path: Path, row_slices: int) -> None:
    config = replace(CONFIG, row_slices=row_slices)
    kernel = TimedKernel.write(tmp_path, config)
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 256), seed=1, density=0.5)
    predicted = predicted_cycles(config, quantised, (20, 9))
    assert predicted == pytest.approx(kernel.cycles(quantised, (20, 9)), rel=0.02)
    assert predicted > 1.05 * predicted_cycles(CONFIG, quantised, (20, 9))


@needs_compiler
def test_write_backs_and_exponentials_of_two_slices_alternate(tmp_path: Path) -> None:
    # They need the same memory, each in one of two cycles. Heads of a short sequence wait no longer than they are.
    config = HardwareConfig(
        tokens=16, out_lanes=2, in_lanes=4, max_hidden=32, max_ffn=64, max_length=96, max_groups=12, row_slices=2
    )
    kernel = TimedKernel.write(tmp_path, config)
    quantised = random_quantised_encoder(random_shape(1, 32, 4, 64), seed=1)
    for lengths, tolerance in {(96,): 0.005, (50,): 0.005, (33, 4): 0.015, (4, 33): 0.005}.items():
        cycles = kernel.cycles(quantised, lengths)
        assert predicted_cycles(config, quantised, lengths) == pytest.approx(cycles, rel=tolerance), lengths


@needs_compiler
def test_results_that_wait_for_places_leave_in_blocks(tmp_path: Path) -> None:
    # A FIFO of four sums, a round trip of 19 cycles; as many as 9 token groups, one result of each in a row.
    config = HardwareConfig(
        tokens=8, out_lanes=1, in_lanes=8, max_hidden=32, max_ffn=64, max_length=48, max_groups=12, sums_fifo=4
    )
    kernel = TimedKernel.write(tmp_path, config)
    for density in (1.0, 0.5):
        quantised = random_quantised_encoder(random_shape(1, 32, 2, 64), seed=1, density=density)
        for lengths in ((24,), (40,), (48,), (48, 16), (32, 40)):
            cycles = kernel.cycles(quantised, lengths)
            assert predicted_cycles(config, quantised, lengths) == pytest.approx(cycles, rel=0.02), (density, lengths)


def _average_rate(timing: PortTiming) -> float:
    return timing.burst_words / (timing.burst_words / timing.words_per_cycle + timing.gap)


@settings(max_examples=40, deadline=None)
@given(hardware_configs())
def test_the_rates_are_those_of_the_ports_where_they_are_placed(config: HardwareConfig) -> None:
    for name in board_names():
        board = load_board(name)
        memory = board_memory(config, board)
        traffic = port_traffic(config)
        banks = dict(place_compute_units(config, board, 1)[0].banks)
        ports = port_timings(config, board, board.clock_mhz, banks, traffic)
        assert memory.weights[0] == pytest.approx(_average_rate(ports["weights"]))
        assert memory.indices[0] == pytest.approx(_average_rate(ports["indices"]))
        assert memory.parameters[0] == pytest.approx(_average_rate(ports["parameters"]))
        assert memory.program[0] == pytest.approx(_average_rate(ports["pass_table"]))
        assert memory.vectors[0] == pytest.approx(_average_rate(ports["embeddings"]))
