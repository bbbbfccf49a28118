"""Engines and what they share find room on the dies of a device, or the design is refused with the reason."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from aebert.design.board import Resources, board_names, load_board
from aebert.design.board_fit import WIRES_CEILING, ceilings, check_fit, engine_places, spanned_dies
from aebert.design.default_sizes import default_config
from aebert.design.dies import DieRun, EnginePlaces, KernelBlocks, fits_dies, place_engines
from aebert.support.errors import AebertError
from tests.support.projects import DIES_DESIGN
from tests.support.random_quantised import random_shape

BERT = random_shape(12, 768, 12, 3072)


def _column(*counts: float) -> np.ndarray:
    return np.array([[count] for count in counts], np.float64)


def _blocks(draw: random.Random) -> KernelBlocks:
    shared = _column(*(draw.choice([0, draw.randint(0, 30)]) for _ in range(5)))
    engine = _column(*(draw.choice([0, draw.randint(1, 30)]) for _ in range(5)))
    return KernelBlocks(shared, engine, np.array([draw.choice([1, 2, 3, 4])]), np.array([draw.randint(1, 30)]))


def _taken(blocks: KernelBlocks, places: EnginePlaces, die: int) -> np.ndarray:
    engines = places.engines.count(die)
    return (blocks.shared * (places.shared == die) + blocks.engine * engines)[:, 0]


def _across(places: EnginePlaces, boundary: int) -> int:
    """Engines on the other side of the boundary behind die ``boundary`` than what they share."""
    return sum(min(engine, places.shared) <= boundary < max(engine, places.shared) for engine in places.engines)


def _holds(blocks: KernelBlocks, run: DieRun, places: EnginePlaces) -> bool:
    dies = range(run.first, run.first + len(run.limits))
    wired = run.wires is None or all(_across(places, die) * blocks.wires[0] <= run.wires for die in dies)
    return wired and all(
        (_taken(blocks, places, die) <= [limit.lut, limit.ff, limit.dsp, limit.bram36, limit.uram]).all()
        for die, limit in zip(dies, run.limits, strict=True)
    )


def _runs(draw: random.Random, low: int) -> DieRun:
    limits = tuple(Resources(*(draw.randint(low, 60) for _ in range(5))) for _ in range(draw.choice([2, 3, 4])))
    return DieRun(draw.choice([0, 1]), limits, draw.choice([None, draw.randint(0, 90)]))


@pytest.mark.parametrize("seed", range(300))
def test_engines_are_placed_exactly_where_some_assignment_holds(seed: int) -> None:
    draw = random.Random(seed)
    run = _runs(draw, 0)
    blocks = _blocks(draw)
    dies = range(run.first, run.first + len(run.limits))
    possible = any(
        _holds(blocks, run, EnginePlaces(shared, engines))
        for shared in dies
        for engines in product(dies, repeat=int(blocks.engines[0]))
    )
    places = place_engines(blocks, run)
    assert bool(fits_dies(blocks, run)[0]) == possible == (places is not None)
    if places is not None:
        assert _holds(blocks, run, places)
        assert len(places.engines) == blocks.engines[0]
        assert places.across == max(_across(places, die) for die in dies)


def test_many_designs_are_judged_at_once_as_one_by_one() -> None:
    draw = random.Random(7)
    run = DieRun(0, tuple(Resources(*(draw.randint(20, 60) for _ in range(5))) for _ in range(3)), 70)
    each = [_blocks(draw) for _ in range(40)]
    together = KernelBlocks(
        *(
            np.concatenate([getattr(one, name) for one in each], axis=-1)
            for name in ("shared", "engine", "engines", "wires")
        )
    )
    expected = [bool(fits_dies(one, run)[0]) for one in each]
    assert fits_dies(together, run).tolist() == expected
    assert set(expected) == {False, True}


def test_an_engine_that_is_larger_than_a_die_is_refused_and_cut_ones_are_not() -> None:
    board = load_board("u200")
    assert spanned_dies(DIES_DESIGN, board) == 3
    with pytest.raises(AebertError) as refusal:
        check_fit(replace(DIES_DESIGN, engines=1), board)
    message = str(refusal.value)
    limit = int(ceilings(board)["dsp"] * max(slr.available.dsp for slr in board.slrs))
    assert f"of which a die may give {limit} (80% of what is available)" in message
    assert "no dies for 1 engine(s) of " in message
    assert "choose more engines" in message
    assert "\n" not in message


def test_a_design_with_more_wires_than_go_from_die_to_die_is_refused_and_says_so() -> None:
    board = load_board("u200")
    (places,) = engine_places(DIES_DESIGN, board)
    wires = int(check_fit(DIES_DESIGN, board).wires[0])
    # As many as the most that may be taken of just too few.
    too_few = int(places.across * wires / WIRES_CEILING)
    with pytest.raises(AebertError) as refusal:
        check_fit(DIES_DESIGN, replace(board, wires_between_dies=too_few))
    message = str(refusal.value)
    assert f"8 engine(s) of {wires} wires to what they share, of which {int(WIRES_CEILING * too_few)} may go" in message
    assert "choose fewer engines" in message
    assert "\n" not in message
    check_fit(DIES_DESIGN, replace(board, wires_between_dies=too_few + 2))
    check_fit(DIES_DESIGN, replace(board, wires_between_dies=None))


def test_engines_lie_beside_each_other_as_the_dies_have_room() -> None:
    (places,) = engine_places(DIES_DESIGN, load_board("u200"))
    # Each engine has 456 DSP slices: four take 80 % of an outer die. The shell has two fifths of the one in the middle.
    assert Counter(places.engines) == {0: 4, 1: 1, 2: 3}
    small = replace(DIES_DESIGN, tokens=32, out_lanes=1, in_lanes=4, lut_lanes=0, max_groups=4)
    assert engine_places(small, load_board("u200")) == ()


@pytest.mark.parametrize("name", board_names())
def test_no_process_of_a_default_design_is_larger_than_a_die(name: str) -> None:
    board = load_board(name)
    config = default_config(board, BERT, vector_lanes=4)
    used = check_fit(config, board)
    share = ceilings(board)["dsp"]
    assert float(used.resources.each_engine.dsp[0]) <= share * max(slr.available.dsp for slr in board.slrs)
    assert config.engines == 1 or len(board.slrs) > 1


def test_an_engine_has_as_much_of_everything_as_its_share_of_the_tokens() -> None:
    board = load_board("u250")
    config = replace(DIES_DESIGN, lut_lanes=0, engines=4)
    used = check_fit(config, board)
    blocks = used.blocks
    whole = blocks.shared + 4 * blocks.engine
    for row, name in enumerate(("lut", "ff", "dsp", "bram36", "uram")):
        assert whole[row, 0] == pytest.approx(float(np.max(getattr(used.resources.total, name))))
    # Two engines of twice the tokens need no more slices: what does not grow with tokens is there half as often.
    two = check_fit(replace(config, engines=2, row_slices=4), board).blocks
    assert 2 * two.engine[2, 0] < 4 * blocks.engine[2, 0]
