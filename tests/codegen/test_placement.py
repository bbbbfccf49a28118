"""Ports go to the bank with the least traffic, and among equals to one of the compute unit's own SLR."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aebert.design.board import Board, load_board
from aebert.design.hardware_config import MAX_LAYERS
from aebert.support.errors import AebertError
from codegen.placement import place_compute_units, port_traffic
from tests.support.small_project import SMALL_CONFIG


def _with_banks(board: Board, slrs: list[int | None]) -> Board:
    """``board`` with one bank per entry, at that SLR."""
    first = board.memory.banks[0]
    banks = tuple(replace(first, tag=f"BANK[{number}]", slr=slr) for number, slr in enumerate(slrs))
    return replace(board, memory=replace(board.memory, banks=banks))


def _with_dsps(board: Board, dsps: list[int]) -> Board:
    slrs = tuple(
        replace(slr, available=replace(slr.available, dsp=dsp)) for slr, dsp in zip(board.slrs, dsps, strict=True)
    )
    return replace(board, slrs=slrs)


def test_the_heaviest_port_takes_a_bank_of_its_own_slr() -> None:
    board = _with_banks(_with_dsps(load_board("u200"), [1000, 3000, 2000]), [0, 2, 1, 1, 0, 2])
    traffic = port_traffic(SMALL_CONFIG)
    heaviest = sorted(traffic, key=lambda port: -traffic[port])
    (unit,) = place_compute_units(SMALL_CONFIG, board, 1)
    banks = dict(unit.banks)
    # SLR 1 has the most DSPs: its two banks go to the two heaviest ports, the others in order of their tags.
    assert [banks[port] for port in heaviest] == ["BANK[2]", "BANK[3]", "BANK[0]", "BANK[1]", "BANK[4]", "BANK[5]"]
    assert list(banks) == ["pass_table", "weights", "indices", "parameters", "embeddings", "results"]


def test_traffic_outweighs_the_preference() -> None:
    board = _with_banks(_with_dsps(load_board("u200"), [300, 100, 100]), [0, 1])
    traffic = port_traffic(SMALL_CONFIG)
    assert traffic["weights"] == max(traffic.values())
    (unit,) = place_compute_units(SMALL_CONFIG, board, 1)
    banks = dict(unit.banks)
    assert banks["weights"] == "BANK[0]"
    load = {"BANK[0]": 0, "BANK[1]": 0}
    for port in sorted(traffic, key=lambda name: -traffic[name]):
        wanted = min(load, key=lambda tag: (load[tag], tag != "BANK[0]"))
        assert banks[port] == wanted
        load[wanted] += traffic[port]


def test_a_second_unit_goes_on_where_the_first_left_off() -> None:
    board = _with_banks(_with_dsps(load_board("u200"), [300, 300, 100]), [0] * 6 + [1] * 6)
    first, second = place_compute_units(SMALL_CONFIG, board, 2)
    assert {tag for _, tag in first.banks} == {f"BANK[{number}]" for number in range(6)}
    assert {tag for _, tag in second.banks} == {f"BANK[{number}]" for number in range(6, 12)}
    assert (first.name, second.name) == ("aebert_kernel_1", "aebert_kernel_2")


def test_slrs_are_taken_in_turn_the_one_with_most_dsps_first() -> None:
    board = _with_dsps(load_board("u200"), [4000, 5000, 5000])
    units = place_compute_units(SMALL_CONFIG, board, 4)
    assert [unit.slr for unit in units] == ["SLR1", "SLR2", "SLR0", "SLR1"]


def test_a_unit_is_pinned_while_its_array_leaves_the_slr_room() -> None:
    array = SMALL_CONFIG.macs_per_cycle // 2
    enough = -(-array * 10 // 7)  # 70 % of the SLR's DSPs
    for dsps, pinned in ((enough, True), (enough - 1, False)):
        board = _with_dsps(load_board("u200"), [dsps] * 3)
        assert (place_compute_units(SMALL_CONFIG, board, 1)[0].slr == "SLR0") == pinned
    single = load_board("zcu104")
    assert len(single.slrs) == 1
    assert place_compute_units(SMALL_CONFIG, single, 1)[0].slr is None


def test_the_traffic_is_that_of_the_largest_dense_encoder() -> None:
    config, word = SMALL_CONFIG, SMALL_CONFIG.word_bytes
    hidden, ffn, heads = config.max_hidden, config.max_ffn, config.max_hidden // config.in_lanes
    weights = MAX_LAYERS * (4 * hidden * hidden + 2 * hidden * ffn)
    vectors = config.max_groups * hidden * config.words_per_vector
    assert port_traffic(config) == {
        "pass_table": (2 + MAX_LAYERS * (6 + 2 * heads)) * 64 // word,
        "weights": weights // word,
        "indices": weights // config.out_lanes // word,
        "parameters": MAX_LAYERS * (8 * hidden + ffn) * 16 // word,
        "embeddings": vectors,
        "results": vectors,
    }


@pytest.mark.parametrize("count", [0, -1])
def test_no_compute_unit_at_all_is_refused(count: int) -> None:
    with pytest.raises(AebertError, match=f"compute units: {count}, must be at least 1"):
        place_compute_units(SMALL_CONFIG, load_board("u200"), count)
