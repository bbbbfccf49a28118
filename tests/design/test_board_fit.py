"""A design that does not fit is refused with the resource that overflows; the default sizes fit."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest

from aebert.design.board import Board, Resources, board_names, load_board
from aebert.design.board_fit import (
    CEILINGS,
    CROWDED_CLOCK,
    RESOURCES,
    SINGLE_DIE_CEILINGS,
    TITLES,
    Usage,
    achievable_clock_mhz,
    check_fit,
    expected_clock_mhz,
    placements,
    usage,
)
from aebert.design.default_sizes import GivenSizes, default_config
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_resources import KernelResources
from aebert.design.operator_resources import ResourceCount
from aebert.design.size_arrays import Sizes
from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError
from tests.support.random_quantised import random_shape

MINILM = random_shape(6, 384, 12, 1536)
BERT = random_shape(12, 768, 12, 3072)

LARGE = HardwareConfig(
    tokens=64, out_lanes=8, in_lanes=8, max_hidden=768, max_ffn=3072, max_length=128, max_groups=2, engines=2
)


@pytest.mark.parametrize("name", board_names())
@pytest.mark.parametrize("shape", [MINILM, BERT], ids=["MiniLM-L6", "BERT-base"])
def test_the_default_sizes_fit_every_board(name: str, shape: EncoderShape) -> None:
    board = load_board(name)
    config = default_config(board, shape, vector_lanes=4)
    assert config.out_lanes <= 4
    found = check_fit(config, board)
    for resource in RESOURCES:
        used = float(np.max(getattr(found.resources.total, resource)))
        assert used <= getattr(board.available, resource)


def test_a_board_with_more_slices_gets_a_faster_default() -> None:
    small, large = (
        default_config(load_board(name), BERT, vector_lanes=4, max_length=32) for name in ("pynq-z2", "u200")
    )
    assert large.macs_per_cycle >= 8 * small.macs_per_cycle


def test_given_sizes_are_kept() -> None:
    given = GivenSizes(tokens=16, in_lanes=8, max_tokens=256)
    config = default_config(load_board("u200"), BERT, given=given, max_length=64)
    assert (config.tokens, config.in_lanes, config.max_groups, config.max_length) == (16, 8, 16, 64)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (GivenSizes(tokens=24), "tokens = 24"),
        (GivenSizes(tokens=0), "tokens = 0"),
        (GivenSizes(in_lanes=128), "in_lanes"),
        (GivenSizes(tokens=64, max_tokens=64), "max_tokens = 64"),
    ],
)
def test_impossible_sizes_are_refused_by_name(given: GivenSizes, named: str) -> None:
    with pytest.raises(AebertError, match=named) as refusal:
        default_config(load_board("u200"), BERT, given=given, max_length=128)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("board", ["pynq-z2", "kv260", "ultra96-v2"])
def test_an_overflow_names_resource_amount_and_remedy(board: str) -> None:
    loaded = load_board(board)
    with pytest.raises(AebertError) as refusal:
        check_fit(replace(LARGE, dsp=loaded.dsp, in_lanes=8), loaded)
    message = str(refusal.value)
    found = re.search(r"needs (\d+) (LUT|FF|DSP|BRAM36|URAM), (\d+) more than the (\d+) it may use", message)
    assert found is not None, message
    needed, over, limit = (int(found[group]) for group in (1, 3, 4))
    assert needed - over == limit
    assert message.startswith(f"board {board}: ")
    assert "choose" in message
    assert "\n" not in message


def test_a_default_that_cannot_fit_names_the_overflow_too() -> None:
    with pytest.raises(AebertError, match=r"needs \d+ (LUT|BRAM36), \d+ more"):
        default_config(load_board("pynq-z2"), BERT, max_length=512)


def test_a_design_for_other_slices_is_refused() -> None:
    with pytest.raises(AebertError, match="DSP48E2"):
        check_fit(LARGE, load_board("pynq-z2"))


def test_copies_that_fit_alone_may_not_fit_together() -> None:
    board = load_board("u200")
    assert check_fit(LARGE, board).placement.compute_units == 1
    with pytest.raises(AebertError, match="fewer compute units"):
        check_fit(LARGE, board, compute_units=2)
    with pytest.raises(AebertError, match="compute units = 0"):
        check_fit(LARGE, board, compute_units=0)


@pytest.mark.parametrize("name", board_names())
@pytest.mark.parametrize("compute_units", [1, 2, 3, 4, 6, 8])
def test_places_never_add_up_to_more_than_the_board(name: str, compute_units: int) -> None:
    board = load_board(name)
    for place in placements(board, compute_units):
        assert place.compute_units == compute_units
        for resource in RESOURCES:
            assert compute_units * getattr(place.limit, resource) <= getattr(board.available, resource)


def test_copies_go_to_dies_of_their_own() -> None:
    board = load_board("u200")
    dies = [slr.available.lut for slr in board.slrs]  # the shell takes half of the one in the middle
    two, three = placements(board, 2)[0], placements(board, 3)[0]
    assert two.limit.lut == int(CEILINGS["lut"] * sorted(dies)[1])
    assert three.limit.lut == int(CEILINGS["lut"] * min(dies))
    assert [place.slrs for place in placements(board, 1)] == [1, 2, 3]


def test_a_crowded_board_is_assumed_to_clock_lower() -> None:
    board = load_board("kv260")
    config = default_config(board, MINILM, given=GivenSizes(tokens=16, out_lanes=4, in_lanes=8, row_slices=2))
    found = check_fit(config, board)
    free = achievable_clock_mhz(board, found)
    luts = int(float(found.resources.total.lut[0]) / 0.8)
    fewer = replace(board.slrs[0], available=replace(board.available, lut=luts))
    tight = replace(board, slrs=(fewer,))
    crowded = achievable_clock_mhz(tight, check_fit(config, tight))
    assert crowded[0] < board.clock_mhz
    assert crowded[0] < free[0] <= board.clock_mhz


def test_no_clock_is_promised_for_a_design_that_does_not_fit() -> None:
    board = load_board("u200")
    nothing = replace(board, slrs=(replace(board.slrs[0], available=Resources(10, 10, 10, 10, 10)),))
    with pytest.raises(AebertError, match="needs"):
        check_fit(LARGE, nothing)


def _used(board: Board, compute_units: int = 1, **counts: float) -> Usage:
    """A design that takes just ``counts`` of the first placement, and nothing else."""
    found = usage(Sizes.of(LARGE), placements(board, compute_units)[0])
    nothing = {name: np.zeros(1) for name in RESOURCES}
    parts = {field.name: ResourceCount(**nothing) for field in fields(KernelResources)}
    own = ResourceCount(**nothing | {name: np.array([float(count)]) for name, count in counts.items()})
    return replace(found, resources=KernelResources(**parts | {"control": own}))


def test_shares_are_of_the_limit_and_infinite_where_there_is_none() -> None:
    u200, zynq = load_board("u200"), load_board("pynq-z2")
    limit = placements(u200, 1)[0].limit
    shares = _used(u200, lut=limit.lut / 4, uram=limit.uram).shares[:, 0]
    assert dict(zip(RESOURCES, shares.tolist(), strict=True)) == {
        "lut": 0.25,
        "ff": 0,
        "dsp": 0,
        "bram36": 0,
        "uram": 1,
    }
    assert _used(u200, uram=limit.uram).fits.all()
    assert not _used(u200, uram=limit.uram + 1).fits.any()
    assert zynq.available.uram == 0
    assert _used(zynq, lut=1).shares[RESOURCES.index("uram"), 0] == 0
    assert _used(zynq, uram=1).shares[RESOURCES.index("uram"), 0] == np.inf


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_clock_falls_linearly_from_the_guideline_to_095(resource: str) -> None:
    board = load_board("kv260")  # one die, so a design may take more than the guideline
    most, guideline = SINGLE_DIE_CEILINGS[resource], CEILINGS[resource]

    def clock(share: float) -> float:
        """With ``share`` of what is available in use, of which the limit is ``most``."""
        count = share / most * getattr(placements(board, 1)[0].limit, resource)
        return float(achievable_clock_mhz(board, _used(board, **{resource: count}))[0])

    assert clock(guideline) == pytest.approx(board.clock_mhz)
    assert clock(guideline / 2) == board.clock_mhz
    for share in (most, (most + guideline) / 2):
        expected = 1 - (1 - CROWDED_CLOCK) * (share - guideline) / (0.95 - guideline)
        assert clock(share) == pytest.approx(expected * board.clock_mhz)
    assert clock(most + 1e-6) == 0.0


def test_the_most_crowded_resource_decides_the_clock() -> None:
    board = load_board("kv260")
    limit = placements(board, 1)[0].limit

    def clock(**shares: float) -> float:
        counts = {name: share * getattr(limit, name) for name, share in shares.items()}
        return float(achievable_clock_mhz(board, _used(board, **counts))[0])

    assert clock(lut=0.98) < clock(dsp=0.9) < board.clock_mhz
    assert clock(dsp=0.9, lut=0.1) == clock(dsp=0.9)
    assert clock(dsp=0.9, lut=0.98) == clock(lut=0.98)


def test_the_expected_clock_is_in_whole_mhz() -> None:
    board = load_board("kv260")
    config = default_config(board, MINILM, given=GivenSizes(tokens=16, out_lanes=4, in_lanes=8))
    fewer = replace(board.slrs[0], available=replace(board.available, lut=int(0.7 * board.available.lut)))
    tight = replace(board, slrs=(fewer,))
    exact = float(achievable_clock_mhz(tight, check_fit(config, tight))[0])
    assert expected_clock_mhz(config, tight) == int(exact) != exact


def test_the_overflow_of_copies_is_told_per_copy() -> None:
    board = load_board("u200")
    limit = placements(board, 6)[0].limit
    with pytest.raises(AebertError) as refusal:
        check_fit(LARGE, board, compute_units=6)
    message = str(refusal.value)
    found = re.search(
        r"needs (\d+) (\w+), (\d+) more than the (\d+) it may use per compute unit \(6 of them\)", message
    )
    assert found is not None, message
    (resource,) = (name for name in RESOURCES if TITLES[name] == found[2])
    assert int(found[4]) == getattr(limit, resource)
    assert int(found[1]) - int(found[3]) == int(found[4])
    assert f"({CEILINGS[resource]:.0%} of what is available)" in message
    assert message.endswith(" or fewer compute units")
    alone = replace(board, slrs=board.slrs[1:2])
    with pytest.raises(AebertError) as single:
        check_fit(replace(LARGE, tokens=128, max_groups=1), alone)
    assert "compute unit" not in str(single.value)
    assert "(85% of what" in str(single.value) or "(95% of what" in str(single.value)


def test_a_placement_may_use_what_its_dies_have_together() -> None:
    board = load_board("u200")
    first, second, third = (replace(board.slrs[0], available=Resources(*(n,) * 5)) for n in (3009, 2009, 5009))
    one, two, three = (
        placement.limit for placement in placements(replace(board, slrs=(first, second, third)), compute_units=1)
    )
    for limit, together in ((one, 5009), (two, 7018), (three, 10027)):
        expected = [int(CEILINGS[name] * together) for name in RESOURCES]
        assert [getattr(limit, name) for name in RESOURCES] == expected


def test_what_fits_nowhere_is_told_of_the_largest_placement() -> None:
    board = load_board("u200")
    places = placements(board, 1)
    with pytest.raises(AebertError) as refusal:
        check_fit(replace(LARGE, tokens=128), board)
    found = re.search(r"needs \d+ (\w+), \d+ more than the (\d+) it may use", str(refusal.value))
    assert found is not None
    name = next(name for name in RESOURCES if TITLES[name] == found[1])
    limits = [getattr(place.limit, name) for place in places]
    assert int(found[2]) == limits[-1] == max(limits) > limits[0]
