"""Delays of operators: where a device was seen, between and beyond its sizes, and where it was not."""

from __future__ import annotations

import pytest

from codegen.schedule.delay_table import LUTRAM_BITS, DelayTable

FAST, SLOW, UNSEEN = "virtexuplus -2", "artix7 -1", "zynquplus -2"

TABLE = DelayTable(
    curves={
        "add": {0: [[8, 1.0, 1.0], [16, 2.0, 2.0], [64, 4.0, 4.0]], 1: [[64, 1.5, 1.2]]},
        "sum_in_slice": {0: [[1, 0.9, 0.9]], 1: [[1, 0.6, 0.6]]},
    },
    ratios={
        FAST: {"add": {0: [[8, 1.0, 1.0]]}, "sum_in_slice": {1: [[1, 1.0, 1.0]]}},
        SLOW: {"add": {0: [[8, 3.0, 3.0], [64, 2.0, 2.0]]}},
    },
    factors={FAST: 1.0, SLOW: 2.5, UNSEEN: 1.1},
    memories={FAST: [[8, 64, 0.7], [8, 128, 0.7], [8, 8, 1.2], [32, 1024, 1.2], [32, 4096, 1.6]], SLOW: [[8, 8, 2.3]]},
    fifos={FAST: [[32, 2, 1.4], [32, 512, 1.1], [8, 512, 1.0]]},
)


def delay(device: str, size: int, budget: float = 99.0) -> float:
    found = TABLE.timing(device, "add", size, budget)
    assert found is not None
    return found.delay_ns


def test_a_device_has_its_own_delay_where_it_was_seen() -> None:
    assert (delay(SLOW, 8), delay(SLOW, 64)) == (3.0, 8.0)


def test_between_and_beyond_its_sizes_it_has_the_shape_of_the_curve() -> None:
    # Halfway between 16 and 64 bits on the curve is 3; the ratio there is 3 - 32/56.
    assert delay(SLOW, 40) == pytest.approx(3.0 * (3 - 32 / 56), abs=0.001)
    assert delay(FAST, 64) == 4.0


def test_a_device_that_was_never_seen_is_the_nearest_one_times_its_factor() -> None:
    assert delay(UNSEEN, 16) == pytest.approx(2.2)


def test_the_fewest_cycles_that_fit_are_taken() -> None:
    assert [TABLE.timing(FAST, "add", 64, budget) for budget in (4.0, 1.6, 0.5)] == [
        TABLE.at(FAST, "add", latency, 64) for latency in (0, 1, 1)
    ]
    assert TABLE.at(FAST, "add", 1, 64).output_delay_ns == 1.2


def test_a_latency_that_the_device_itself_shows_comes_first() -> None:
    found = TABLE.timing(FAST, "sum_in_slice", 1, 99.0)
    assert found is not None
    assert (found.latency, found.delay_ns) == (1, 0.6)


def test_a_comparison_of_2023_is_a_subtraction_where_none_was_seen() -> None:
    assert TABLE.timing(SLOW, "icmp 2023.1", 8, 99.0) == TABLE.timing(SLOW, "add", 8, 99.0)
    assert TABLE.timing(SLOW, "never", 8, 99.0) is None


def test_small_arrays_cost_what_luts_do_and_large_ones_what_the_most_alike_does() -> None:
    assert LUTRAM_BITS == 2048
    assert TABLE.memory(FAST, 16, 128) == 0.7
    assert (TABLE.memory(FAST, 32, 900), TABLE.memory(FAST, 32, 3000)) == (1.2, 1.6)
    # The slow device's block RAM was never seen.
    assert TABLE.memory(SLOW, 32, 1024) == pytest.approx(1.2 * 2.5)


def test_a_fifo_costs_what_the_most_alike_does() -> None:
    assert (TABLE.fifo(FAST, 32, 4), TABLE.fifo(FAST, 32, 256), TABLE.fifo(FAST, 16, 512)) == (1.4, 1.1, 1.05)
    assert TABLE.fifo(UNSEEN, 32, 2) == pytest.approx(1.54)
