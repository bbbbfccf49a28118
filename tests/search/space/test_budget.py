"""Candidates meet the overall ratio exactly, whatever was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.pruning.candidate import Candidate
from aebert.pruning.unit_counts import zeroed_units
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.space.budget import RatioBudget, make_budget, uniform_candidate
from aebert.search.space.grid import Granularity, make_grid
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=3, hidden=48, heads=4, ffn=96, epsilon=1e-12, max_positions=64)
MINILM = EncoderShape(layers=6, hidden=384, heads=12, ffn=1536, epsilon=1e-12, max_positions=512)
ONE_SIZE = ("unstructured", "block:4x4", "column-block:4x4", "row-block:8x4", "vector:1x1", "vector:4x1", "neuron")
SPELLINGS = (*ONE_SIZE, "head", "head+neuron")
GRANULARITIES: tuple[Granularity, ...] = ("layer", "matrix")

budgets = st.tuples(st.sampled_from(SPELLINGS), st.sampled_from(GRANULARITIES), st.floats(0, 0.98))


def budget_of(spelling: str, granularity: Granularity, ratio: float, shape: EncoderShape = SHAPE) -> RatioBudget:
    """``ratio`` is the share of what the pattern can zero."""
    pattern = parse_pattern(spelling)
    grid = make_grid(shape, pattern)
    return make_budget(shape, pattern, ratio * float(grid.gene_weights.sum()) / grid.total_weights, granularity)


def drawn_rows(budget: RatioBudget, seed: int, rows: int, spread: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(budget.ratio, spread, (rows, budget.grid.genes))


@settings(max_examples=50)
@example(("head+neuron", "matrix", 0.1875), 3, 1.0)  # all neurons are kept where half a head too much is zeroed
@given(budgets, st.integers(0, 2**31), st.sampled_from([0.05, 0.3, 1.0, 30.0]))
def test_drawn_ratios_end_within_half_a_unit_of_the_budget(
    case: tuple[str, Granularity, float], seed: int, spread: float
) -> None:
    budget = budget_of(*case)
    grid = budget.grid
    kept = budget.meet(drawn_rows(budget, seed, 4, spread))
    assert (kept >= 0).all()
    assert (kept <= grid.units).all()
    missed = np.abs((grid.units - kept) @ grid.unit_weights - budget.zeroed_weights)
    assert missed.max() <= grid.unit_weights.min() / 2 + 1e-6


@settings(max_examples=50)
@given(st.sampled_from(ONE_SIZE), st.sampled_from(GRANULARITIES), st.floats(0, 0.98), st.integers(0, 2**31))
def test_all_genes_but_one_lie_on_the_grid(spelling: str, granularity: Granularity, ratio: float, seed: int) -> None:
    budget = budget_of(spelling, granularity, ratio)
    grid = budget.grid
    for row in budget.meet(drawn_rows(budget, seed, 4, 0.4)):
        off = {
            int(gene)
            for gene, count, allowed in zip(grid.gene_of, row, grid.counts, strict=True)
            if count not in allowed
        }
        assert len(off) <= 1


@settings(max_examples=50)
@given(st.sampled_from(["unstructured", "vector:4x1", "block:4x4"]), st.floats(0.05, 0.95), st.integers(0, 2**31))
def test_the_sites_of_a_layer_share_its_ratio(spelling: str, ratio: float, seed: int) -> None:
    budget = budget_of(spelling, "layer", ratio)
    grid = budget.grid
    (row,) = budget.meet(drawn_rows(budget, seed, 1, 0.3))
    tile = 16 if spelling.startswith("vector") else 1
    for layer in range(SHAPE.layers):
        chosen = grid.gene_of == layer
        ratios = 1 - row[chosen] / grid.units[chosen]
        assert np.ptp(ratios) <= (tile + 1) / grid.units[chosen].min()


def test_what_clipping_took_is_made_up_for() -> None:
    # Drawn, clipped and not re-normalised, these would give 0.646 instead of 0.7.
    budget = make_budget(MINILM, parse_pattern("unstructured"), 0.7, "layer")
    drawn = np.array([[1.4, 1.2, 0.9, 0.4, 0.2, 0.1]])
    (candidate,) = budget.grid.candidates(budget.meet(drawn))
    assert candidate.overall_ratio(MINILM) == pytest.approx(0.7, abs=1e-6)
    ratios = budget.grid.gene_ratios(np.array([candidate.kept]))[0]
    assert list(ratios) == sorted(ratios, reverse=True)


def test_ratios_that_meet_the_budget_stay_as_drawn() -> None:
    budget = make_budget(MINILM, parse_pattern("vector:4x1"), 0.5, "layer")
    drawn = np.array([[0.25, 0.75, 0.5, 0.5, 0.375, 0.625]])
    ratios = budget.grid.gene_ratios(budget.meet(drawn))
    np.testing.assert_allclose(ratios, drawn)


@pytest.mark.parametrize("shift", [-0.95, -0.5, 0.5, 0.95])
def test_a_draw_that_is_off_by_one_number_comes_to_the_same(shift: float) -> None:
    """The nearest ratios within the grid are clip(drawn + shift): what lies beyond 0 or 1 keeps its distances."""
    budget = make_budget(MINILM, parse_pattern("vector:4x1"), 0.5, "layer")
    wanted = np.array([[0.25, 0.75, 0.5, 0.125, 0.5, 0.875]])
    ratios = budget.grid.gene_ratios(budget.meet(wanted + shift))
    np.testing.assert_allclose(ratios, wanted)


def test_draws_beyond_minus_one_and_two_count_as_these() -> None:
    budget = make_budget(MINILM, parse_pattern("vector:4x1"), 0.5, "layer")
    for far, near in ((9.0, 2.0), (-9.0, -1.0)):
        first, second = budget.meet(np.array([[far, *[near] * 5], [near] * 6]))
        assert np.array_equal(first, second)


def test_all_genes_but_one_end_within_half_a_level_of_what_was_drawn() -> None:
    """Rounding goes to the nearest level, and what that leaves is repaired at one gene."""
    budget = budget_of("row-block:8x4", "layer", 0.5)
    grid = budget.grid
    moves = np.random.default_rng(4).uniform(-0.2, 0.2, (200, grid.genes))
    # As drawn they meet the budget already.
    drawn = budget.ratio + moves - (moves @ grid.gene_weights / grid.gene_weights.sum())[:, None]
    levels_off = np.abs(grid.gene_ratios(budget.meet(drawn)) - drawn) * grid.levels
    assert np.sort(levels_off, axis=1)[:, :-1].max() <= 0.5 + 1e-9


@pytest.mark.parametrize("spelling", ["row-block:8x4", "unstructured"])
def test_what_rounding_leaves_is_less_than_a_level_of_one_gene(spelling: str) -> None:
    """With many genes much is left; whole levels are spread over the genes first."""
    budget = budget_of(spelling, "matrix", 0.5)
    grid = budget.grid
    moves = np.random.default_rng(4).uniform(-0.2, 0.2, (200, grid.genes))
    drawn = budget.ratio + moves - (moves @ grid.gene_weights / grid.gene_weights.sum())[:, None]
    assert (np.abs(grid.gene_ratios(budget.meet(drawn)) - drawn) * grid.levels).max() < 1.0


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("ratio", [0.003, 0.02, 0.1875, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("ffn", [96, 24])
def test_heads_and_neurons_together_come_within_half_a_neuron(ratio: float, granularity: Granularity, ffn: int) -> None:
    """Where neurons are used up on either side, a head goes past the budget and neurons make up for it; 24 neurons of
    a layer weigh as much as one head."""
    budget = budget_of("head+neuron", granularity, ratio, replace(SHAPE, ffn=ffn))
    grid = budget.grid
    heads = grid.unit_weights == grid.unit_weights.max()
    for low, high in ((0.0, 1.0), (1.0, 0.0), (0.5, 0.5)):
        centres = np.where(heads, low, high)[np.unique(grid.gene_of, return_index=True)[1]]
        drawn = centres + np.random.default_rng(5).normal(0, 0.3, (40, grid.genes))
        kept = budget.meet(drawn)
        missed = np.abs((grid.units - kept) @ grid.unit_weights - budget.zeroed_weights)
        assert missed.max() <= grid.unit_weights.min() / 2 + 1e-6
        assert ((kept >= 0) & (kept <= grid.units)).all()


@pytest.mark.parametrize("short", [0.6, 0.9, 1.6, 1.9])
def test_a_head_is_kept_again_where_no_neuron_is_zeroed(short: float) -> None:
    """One head zeroes ``short`` neurons too much, and none is zeroed that could be kept: neurons go for the head."""
    grid = make_grid(SHAPE, parse_pattern("head+neuron"))
    head, neuron = int(grid.unit_weights.max()), int(grid.unit_weights.min())
    budget = RatioBudget(grid, (head - short * neuron) / grid.total_weights)
    levels = np.zeros((1, grid.genes), np.int64)
    levels[0, grid.unit_weights.argmax()] = 4  # of 16: one of four heads
    (kept,) = budget.settle(levels)
    zeroed = grid.units - kept
    assert zeroed[grid.unit_weights == head].sum() == 0
    assert zeroed.sum() == round(head / neuron - short)


@settings(max_examples=50)
@given(budgets, st.integers(0, 2**31))
def test_pruning_by_a_candidates_ratios_gives_its_counts(case: tuple[str, Granularity, float], seed: int) -> None:
    budget = budget_of(*case)
    (candidate,) = budget.grid.candidates(budget.meet(drawn_rows(budget, seed, 1, 0.4)))
    counts = zeroed_units(SHAPE, parse_pattern(candidate.pattern), candidate.ratios(SHAPE))
    assert tuple(site.units - counts[site] for site in budget.grid.sites) == candidate.kept


@settings(max_examples=50)
@given(budgets, st.integers(0, 2**31))
def test_a_candidate_survives_json(case: tuple[str, Granularity, float], seed: int) -> None:
    budget = budget_of(*case)
    (candidate,) = budget.grid.candidates(budget.meet(drawn_rows(budget, seed, 1, 0.4)))
    assert Candidate.from_json(candidate.to_json()) == candidate


def test_vectors_on_the_grid_are_whole_tiles_of_the_engine() -> None:
    grid = make_grid(MINILM, parse_pattern("vector:4x1"), levels=13)
    assert (grid.counts % 16 == 0).all()
    assert (np.diff(grid.counts, axis=1) < 0).all()
    np.testing.assert_allclose(
        1 - grid.counts / grid.units[:, None], np.arange(13)[None] / 13 * np.ones((36, 1)), atol=0.001
    )


def test_vectors_whose_banks_do_not_divide_the_inputs_are_rounded_one_by_one() -> None:
    grid = make_grid(SHAPE, parse_pattern("vector:4x1/32"), levels=5)  # 48 inputs
    units = 12 * 48
    assert grid.counts[0].tolist() == [
        units,
        round(0.8 * units),
        round(0.6 * units),
        round(0.4 * units),
        round(0.2 * units),
    ]


def test_the_uniform_candidate_has_one_ratio() -> None:
    candidate = uniform_candidate(make_budget(MINILM, parse_pattern("unstructured"), 0.7, "matrix"))
    ratios = candidate.ratios(MINILM)
    assert len(ratios) == MINILM.layers * len(MATRIX_NAMES)
    # 0.7 lies between two levels of the grid, 0.6875 and 0.75.
    assert list(ratios.values()) == pytest.approx([0.7] * len(ratios), abs=1e-5)
    assert candidate.overall_ratio(MINILM) == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize(
    ("spelling", "ratio", "levels", "words"),
    [
        ("unstructured", 1.0, None, r"overall ratio is 1\.0; a pruning ratio lies in"),
        ("unstructured", -0.1, None, "a pruning ratio lies in"),
        ("unstructured", float("nan"), None, "a pruning ratio lies in"),
        ("head", 0.4, None, "'head' can zero at most 0.3333"),
        ("unstructured", 0.95, 16, "16 levels of pruning can be at most 0.9375"),
        ("block:5x5", 0.5, None, "does not divide"),
        ("unstructured", 0.5, 1, "choose 2 to"),
    ],
)
def test_impossible_budgets_are_refused_in_one_line(
    spelling: str, ratio: float, levels: int | None, words: str
) -> None:
    with pytest.raises(AebertError, match=words) as refused:
        make_budget(MINILM, parse_pattern(spelling), ratio, levels=levels)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", '{"pattern": "vector:4x1"}', '{"pattern": "vector:4x1", "kept": [-1]}'])
def test_a_damaged_candidate_is_refused(text: str) -> None:
    with pytest.raises(AebertError, match="candidate"):
        Candidate.from_json(text)


def test_a_candidate_of_another_encoder_is_refused() -> None:
    candidate = uniform_candidate(make_budget(MINILM, parse_pattern("vector:4x1"), 0.5))
    with pytest.raises(AebertError, match="give the model"):
        candidate.ratios(SHAPE)


def test_the_overall_ratio_is_the_share_of_the_weights_that_is_zeroed() -> None:
    grid = make_grid(SHAPE, parse_pattern("vector:4x1"))
    none, all_of_them = np.zeros_like(grid.units), grid.units
    half = grid.units // 2
    assert grid.overall_ratios(np.array([all_of_them, half, none])) == pytest.approx([0.0, 0.5, 1.0])
