"""Patterns: where zeros may fall, exact counts, balance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.pruning.unit_counts import (
    apportion,
    layer_ratios,
    list_sites,
    prunable_weights,
    uniform_ratios,
    zeroed_units,
)
from aebert.pruning.zero_patterns import Block, ColumnBlock, Float64Array, RowBlock, Structured, Vector, parse_pattern
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=3, hidden=48, heads=4, ffn=96, epsilon=1e-12, max_positions=64)
SPELLINGS = (
    "unstructured", "block:4x4", "block:2x8", "column-block:4x4",
    "row-block:8x4", "vector:1x1", "vector:4x1", "vector:8x1/32",
    "head", "neuron", "head+neuron",
)  # fmt: skip


def scores_of(seed: int, groups: int, inputs: int) -> Float64Array:
    # Few distinct values: ties are where balanced selection goes wrong.
    return np.random.default_rng(seed).integers(0, 5, (groups, inputs)).astype(np.float64)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_survives_parsing(spelling: str) -> None:
    assert str(parse_pattern(spelling)) == spelling


@pytest.mark.parametrize("wrong", ["", "vector", "vector:4x2", "block:0x4", "block:4x4/16", "vector:4x1/0", "heads"])
def test_an_unknown_spelling_is_refused_with_the_known_ones(wrong: str) -> None:
    with pytest.raises(AebertError, match="vector:BNx1"):
        parse_pattern(wrong)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 40), st.integers(1, 16), st.data())
def test_vectors_meet_the_count_exactly_and_keep_banks_balanced(
    seed: int, groups: int, inputs: int, banks: int, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, groups * inputs))
    mask = Vector(4, banks).select(scores_of(seed, groups, inputs), kept)
    assert mask.sum() == kept
    held = np.stack([mask[:, bank::banks].sum(axis=1) for bank in range(banks)], axis=1)
    sizes = np.array([len(range(bank, inputs, banks)) for bank in range(banks)])
    rounds = held.max(axis=1)
    # In every row group each bank works in every round, until its channels run out, but for one last round.
    full = np.minimum(rounds[:, None], sizes)
    short = (held < full).any(axis=1)
    assert short.sum() <= 1
    assert (full - held).max(initial=0) <= 1
    assert rounds.max() - rounds.min() <= 1


@given(st.integers(0, 2**31), st.integers(1, 5), st.data())
def test_vectors_keep_the_best_of_each_bank(seed: int, groups: int, data: st.DataObject) -> None:
    banks = 4
    scores = scores_of(seed, groups, 24)
    mask = Vector(2, banks).select(scores, data.draw(st.integers(0, groups * 24)))
    for group in range(groups):
        for bank in range(banks):
            chosen, values = mask[group, bank::banks], scores[group, bank::banks]
            if chosen.any() and not chosen.all():
                assert values[chosen].min() >= values[~chosen].max()


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 12), st.data())
def test_block_columns_or_rows_keep_equal_counts(seed: int, rows: int, columns: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, rows * columns))
    mask = ColumnBlock(4, 4).select(scores_of(seed, rows, columns), kept)
    held = mask.sum(axis=0)
    assert held.sum() == kept
    assert held.max() - held.min() <= 1
    turned = RowBlock(4, 4).select(scores_of(seed, rows, columns).T, kept)
    np.testing.assert_array_equal(turned, mask.T)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 12), st.data())
def test_free_blocks_keep_the_best_wherever_they_are(seed: int, rows: int, columns: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, rows * columns))
    scores = scores_of(seed, rows, columns)
    mask = Block(2, 2).select(scores, kept)
    assert mask.sum() == kept
    assert np.sort(scores[mask]).tolist() == np.sort(scores.ravel())[rows * columns - kept :].tolist()


@given(st.sampled_from(SPELLINGS), st.floats(0, 0.99))
def test_counts_meet_the_overall_ratio_to_within_half_a_unit(spelling: str, ratio: float) -> None:
    pattern = parse_pattern(spelling)
    total = prunable_weights(SHAPE)
    try:
        ratios = uniform_ratios(SHAPE, pattern, ratio)
    except AebertError:
        reachable = sum(site.units * site.unit_weights for site in list_sites(SHAPE, pattern)) / total
        assert ratio > reachable
        return
    counts = zeroed_units(SHAPE, pattern, ratios)
    assert all(0 <= count <= site.units for site, count in counts.items())
    zeroed = sum(count * site.unit_weights for site, count in counts.items())
    finest = min(site.unit_weights for site in counts)
    assert abs(zeroed - ratio * total) <= finest / 2 + 1e-6 * total


@given(
    st.lists(st.floats(0, 0.95), min_size=3, max_size=3), st.sampled_from(["unstructured", "vector:4x1", "block:4x4"])
)
def test_per_layer_ratios_meet_their_mean_exactly(ratios: list[float], spelling: str) -> None:
    pattern = parse_pattern(spelling)
    counts = zeroed_units(SHAPE, pattern, layer_ratios(SHAPE, pattern, ratios))
    total = prunable_weights(SHAPE)
    zeroed = sum(count * site.unit_weights for site, count in counts.items())
    unit = max(site.unit_weights for site in counts)
    assert abs(zeroed - sum(ratios) / 3 * total) <= unit / 2 + 1e-6 * total
    for layer, ratio in enumerate(ratios):
        share = sum(count * site.unit_weights for site, count in counts.items() if site.layer == layer)
        assert abs(share - ratio * total / 3) <= unit * len(MATRIX_NAMES)


def test_the_row_group_that_gains_most_in_all_its_banks_gets_the_round_more() -> None:
    # Two banks, two rounds. Group 0 has the largest single vector, group 1 the largest sums.
    scores = np.array([[9.0, 1.0, 0.5, 0.5], [6.0, 6.0, 3.0, 3.0]])
    vector = Vector(1, 2)
    np.testing.assert_array_equal(vector.rank(scores), [[2, 3, 6, 7], [0, 1, 4, 5]])
    assert vector.select(scores, 2).tolist() == [[False] * 4, [True, True, False, False]]
    # Within a round that is not full, the banks whose vectors score best.
    np.testing.assert_array_equal(Vector(1, 2).rank(np.array([[1.0, 2.0, 3.0, 0.5]])), [[2, 1, 0, 3]])


def test_a_bank_that_has_run_out_adds_nothing_to_a_rounds_gain() -> None:
    # Three channels in two banks: bank 1 has one channel, so the second round is bank 0's alone.
    scores = np.array([[1.0, 1.0, 0.9], [2.0, 2.0, 0.1]])
    np.testing.assert_array_equal(Vector(1, 2).rank(scores), [[2, 3, 4], [0, 1, 5]])


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=1, max_size=12), st.data())
def test_apportioned_numbers_have_the_sum_and_respect_the_capacities(
    places: list[tuple[int, float]], data: st.DataObject
) -> None:
    capacities = [capacity for capacity, _ in places]
    shares = [capacity * part for capacity, part in places]
    total = data.draw(st.integers(0, sum(capacities)))
    counts = apportion(shares, capacities, total)
    assert sum(counts) == total
    assert all(0 <= count <= capacity for count, capacity in zip(counts, capacities, strict=True))


def test_impossible_requests_name_what_is_wrong() -> None:
    with pytest.raises(AebertError, match="does not divide matrix"):
        list_sites(SHAPE, parse_pattern("block:5x5"))
    with pytest.raises(AebertError, match=r"can zero at most 0\.5"):
        uniform_ratios(SHAPE, parse_pattern("head"), 0.7)
    with pytest.raises(AebertError, match="lies in"):
        uniform_ratios(SHAPE, parse_pattern("unstructured"), 1.0)
    with pytest.raises(AebertError, match="2 per-layer ratios for 3 layers"):
        layer_ratios(SHAPE, parse_pattern("unstructured"), [0.1, 0.2])
    uneven = {(layer, name): 0.5 if name == "query" else 0.0 for layer in range(3) for name in MATRIX_NAMES}
    with pytest.raises(AebertError, match="same ratio"):
        zeroed_units(SHAPE, parse_pattern("head"), uneven)


@given(st.integers(0, 2**31), st.sampled_from(SPELLINGS), st.integers(1, 6), st.integers(1, 40), st.data())
def test_one_ranking_holds_the_masks_of_all_counts(
    seed: int, spelling: str, rows: int, columns: int, data: st.DataObject
) -> None:
    pattern = parse_pattern(spelling)
    scores = scores_of(seed, rows, columns)
    if isinstance(pattern, Structured):
        scores = scores.ravel()
    kept = data.draw(st.integers(0, scores.size))
    rank = pattern.rank(scores)
    np.testing.assert_array_equal(np.sort(rank.ravel()), np.arange(scores.size))
    np.testing.assert_array_equal(rank < kept, pattern.select(scores, kept))
