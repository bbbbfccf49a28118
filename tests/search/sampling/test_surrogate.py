"""The additive surrogate, its exact optimum under budgets, and races between candidates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cost_model.protocols import LatencyPrediction
from aebert.models.encoder import EncoderShape
from aebert.pruning import parse_pattern
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.sampling.knapsack import LatencyBudget, additive_latency, best_levels
from aebert.search.sampling.sensitivity import Surrogate, rank_correlation
from aebert.search.scoring.racing import Race, RaceResult
from aebert.search.scoring.scores import Score
from aebert.search.space.grid import Grid, IntArray, make_grid
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=2, hidden=32, heads=4, ffn=64, epsilon=1e-12, max_positions=48)


def small_grid(levels: int = 8) -> Grid:
    return make_grid(SHAPE, parse_pattern("vector:4x1"), levels=levels)


def convex_table(grid: Grid, seed: int) -> Float64Array:
    """Losses that rise with the level, more in some sites than in others."""
    sensitivity = np.random.default_rng(seed).lognormal(sigma=1.0, size=(len(grid.sites), 1))
    return sensitivity * np.square(np.arange(grid.levels) / grid.levels)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 4), st.floats(0, 1))
def test_no_choice_of_levels_beats_the_optimum(seed: int, genes: int, levels: int, share: float) -> None:
    random = np.random.default_rng(seed)
    costs = random.normal(size=(genes, levels))
    zeroed = np.cumsum(random.integers(0, 5, (genes, levels)), axis=1) * 12
    target = share * float(zeroed[:, -1].sum())
    optimum = best_levels(costs, zeroed, target)
    every = [np.array(choice) for choice in itertools.product(range(levels), repeat=genes)]
    totals = np.array([zeroed[np.arange(genes), choice].sum() for choice in every])
    nearest = np.abs(totals - target).min()
    values = [costs[np.arange(genes), choice].sum() for choice in every]
    found = float(np.abs(zeroed[np.arange(genes), optimum.levels].sum() - target))
    assert found == pytest.approx(nearest)
    same_total = totals == zeroed[np.arange(genes), optimum.levels].sum()
    assert optimum.cost == pytest.approx(min(np.array(values)[same_total]))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.booleans(), st.floats(0.1, 1.0))
def test_under_a_latency_budget_the_bound_holds_and_the_limit_is_kept(
    seed: int, with_ratio: bool, share: float
) -> None:
    random = np.random.default_rng(seed)
    genes, levels = 4, 4
    costs = np.cumsum(random.random((genes, levels)), axis=1)
    zeroed = np.arange(levels) * random.integers(1, 4, (genes, 1)) * 8
    table = -np.cumsum(random.random((genes, levels)), axis=1)
    target = float(zeroed[:, 2].sum()) if with_ratio else None
    every = [np.array(choice) for choice in itertools.product(range(levels), repeat=genes)]
    if target is not None:
        every = [choice for choice in every if zeroed[np.arange(genes), choice].sum() == target]
    free = LatencyBudget(10.0, table, 0.0)
    latencies = np.array([free.latency_ms(choice) for choice in every])
    limit = float(latencies.min() + share * (latencies.max() - latencies.min())) + 1e-9
    budget = LatencyBudget(10.0, table, limit)
    optimum = best_levels(costs, zeroed, target, budget)
    true_best = min(
        costs[np.arange(genes), choice].sum() for choice, ms in zip(every, latencies, strict=True) if ms <= limit
    )
    assert budget.latency_ms(optimum.levels) <= limit
    assert optimum.bound <= true_best + 1e-9 <= optimum.cost + 2e-9
    if target is not None:
        assert zeroed[np.arange(genes), optimum.levels].sum() == target


def test_a_latency_out_of_reach_is_refused_with_what_can_be_reached() -> None:
    budget = LatencyBudget(10.0, np.array([[0.0, -1.0], [0.0, -2.0]]), 5.0)
    with pytest.raises(AebertError, match="predicted to take 7 ms"):
        best_levels(np.zeros((2, 2)), np.array([[0, 1], [0, 1]]), None, budget)


def test_the_optimum_of_a_real_grid_meets_the_ratio_and_beats_uniform() -> None:
    grid = small_grid()
    table = convex_table(grid, 0)
    surrogate = Surrogate(grid, table, 0.0)
    target = grid.total_weights / 2
    optimum = best_levels(surrogate.gene_table, grid.zeroed, target)
    kept = grid.kept(optimum.levels[None])
    assert grid.overall_ratios(kept)[0] == 0.5
    uniform = np.full((1, grid.genes), grid.levels // 2)
    assert surrogate.predict_levels(optimum.levels[None])[0] > surrogate.predict_levels(uniform)[0] + 0.1


class LinearLatency:
    """So many milliseconds for each unit kept, by site."""

    def __init__(self, slopes: Float64Array) -> None:
        self._slopes = slopes

    def predict(self, kept: IntArray) -> LatencyPrediction:
        mean = 1.0 + kept @ self._slopes
        return LatencyPrediction(mean, mean, mean, "predicted, test")


def test_the_additive_latency_of_levels_is_the_models_where_that_is_additive() -> None:
    grid = make_grid(SHAPE, parse_pattern("vector:4x1"), "layer", 8)
    model = LinearLatency(np.random.default_rng(0).random(len(grid.sites)) / 1000)
    budget = additive_latency(model, grid, 1.0)
    for seed in range(5):
        levels = np.random.default_rng(seed).integers(0, grid.levels, grid.genes)
        assert budget.latency_ms(levels) == pytest.approx(float(model.predict(grid.kept(levels[None])).mean_ms[0]))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_predictions_agree_by_level_and_by_count_and_lie_between_levels(seed: int) -> None:
    grid = small_grid()
    surrogate = Surrogate(grid, convex_table(grid, seed), 1.5)
    random = np.random.default_rng(seed)
    levels = random.integers(0, grid.levels, (20, grid.genes))
    by_level = surrogate.predict_levels(levels)
    np.testing.assert_allclose(by_level, surrogate.predict(grid.kept(levels)))
    kept = grid.kept(levels)
    site = int(random.integers(len(grid.sites)))
    more, fewer = kept.copy(), kept.copy()
    more[:, site], fewer[:, site] = grid.units[site], grid.counts[site, -1]
    between = surrogate.predict(kept)
    assert (surrogate.predict(fewer) - 1e-12 <= between).all()
    assert (between <= surrogate.predict(more) + 1e-12).all()


def test_refitting_learns_what_single_sites_do_not_show() -> None:
    grid = small_grid(16)
    alone = convex_table(grid, 1)
    # Together, pruned sites hurt several times as much, and some are worse than they looked.
    worse = alone * np.random.default_rng(5).choice([1.0, 3.0], size=(len(grid.sites), 1))
    random = np.random.default_rng(2)
    levels = random.integers(0, grid.levels, (200, grid.genes))
    truth = Surrogate(grid, worse, 0.0).predict_levels(levels)
    scores = -np.square(truth) * np.exp(0.05 * random.normal(size=len(truth)))
    surrogate = Surrogate(grid, alone, 0.0)
    refitted = surrogate.refit(grid.kept(levels[:100]), scores[:100])
    before = rank_correlation(surrogate.predict_levels(levels[100:]), scores[100:])
    after = rank_correlation(refitted.predict_levels(levels[100:]), scores[100:])
    assert after.kendall > before.kendall + 0.1
    assert after.kendall > 0.85
    assert after.count == 100


def test_refitting_to_noise_keeps_the_measured_ranking() -> None:
    grid = small_grid()
    surrogate = Surrogate(grid, convex_table(grid, 1), 0.0)
    random = np.random.default_rng(0)
    levels = random.integers(0, grid.levels, (40, grid.genes))
    noise = 100 * random.normal(size=40)
    refitted = surrogate.refit(grid.kept(levels), noise)
    other = random.integers(0, grid.levels, (200, grid.genes))
    agreement = rank_correlation(refitted.predict_levels(other), surrogate.predict_levels(other))
    assert agreement.spearman > 0.5


def run_race(values: Float64Array, chunks: int, keep: int, error: float) -> RaceResult:
    """A race on prepared row values [candidates, rows], in the order given."""
    race = Race(len(values), values.shape[1], chunks, keep, error)
    for part in np.array_split(np.arange(values.shape[1]), chunks):
        race.add([values[candidate, part] for candidate in race.running])
    seen = race.rows_seen
    means = [float(row[:count].mean()) for row, count in zip(values, seen, strict=True)]
    return race.result([Score(mean, None, None, None, None, count) for mean, count in zip(means, seen, strict=True)])


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("keep", [1, 3])
def test_the_best_candidates_are_lost_no_more_often_than_stated(skewed: bool, keep: int) -> None:
    """Close candidates are the hard case: every pair gives a chance of error."""
    random = np.random.default_rng(keep)
    candidates, rows, error, trials = 12, 400, 0.1, 300
    lost = 0
    for _ in range(trials):
        rows_alike = random.normal(size=(1, rows))
        own = random.lognormal(sigma=1.2, size=(candidates, rows)) if skewed else random.normal(size=(candidates, rows))
        values = rows_alike - own - 0.05 * random.random((candidates, 1))
        winners = set(np.argsort(-values.mean(axis=1))[:keep].tolist())
        lost += not winners <= set(run_race(values, 7, keep, error).best)
    assert lost <= trials * error


def test_clear_losers_are_dropped_early_and_the_winner_is_exact() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 500)) - np.linspace(0, 4, 40)[:, None]
    result = run_race(values, 8, 1, 0.05)
    assert result.share < 0.45
    assert result.best == (0,)
    assert result.scores[0].rows == 500
    assert result.scores[-1].rows < 100
    assert result.scores[0].value == pytest.approx(values[0].mean())


def test_nothing_is_dropped_on_too_few_rows_or_between_equals() -> None:
    values = np.zeros((5, 300))
    assert run_race(values, 6, 1, 0.05).share == 1.0
    apart = np.arange(5.0)[:, None] + 1e-3 * np.random.default_rng(0).normal(size=(5, 40))
    assert run_race(apart, 4, 1, 0.05).share == 1.0


def test_a_senseless_race_is_refused() -> None:
    with pytest.raises(AebertError, match="keep at least 1"):
        Race(3, 100, 4, 4, 0.05)
    with pytest.raises(AebertError, match="error probability"):
        Race(3, 100, 4, 1, 0.0)
