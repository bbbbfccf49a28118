"""The knapsack at its boundaries: targets beyond, between and before what levels reach, lattices, and tight limits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aebert.pruning.zero_patterns import Float64Array
from aebert.search.sampling import knapsack
from aebert.search.sampling.knapsack import LatencyBudget, best_levels
from aebert.search.space.grid import IntArray
from aebert.support.errors import AebertError


def _best(costs: Float64Array, zeroed: IntArray, target: float) -> tuple[float, int]:
    """Cost and total of the cheapest choice among those whose total is nearest to the target (the lower on a tie)."""
    genes, levels = costs.shape
    choices = [np.array(choice) for choice in itertools.product(range(levels), repeat=genes)]
    rows = np.arange(genes)
    totals = np.array([int(zeroed[rows, choice].sum()) for choice in choices])
    total = min(totals.tolist(), key=lambda value: (abs(value - target), value))
    return min(float(costs[rows, choices[i]].sum()) for i in np.flatnonzero(totals == total)), total


@pytest.mark.parametrize("target", [0.0, 1.0, 11.9, 12.0, 12.1, 30.0, 54.0, 65.9, 66.0, 66.1, 72.0, 71.9, 80.0])
def test_the_nearest_total_is_met_at_least_cost(target: float) -> None:
    zeroed = np.array([[0, 12, 24], [0, 6, 30], [0, 12, 18]])
    for seed in range(8):
        costs = np.random.default_rng(seed).random((3, 3))
        found = best_levels(costs, zeroed, target)
        cost, total = _best(costs, zeroed, target)
        assert int(zeroed[np.arange(3), found.levels].sum()) == total
        assert found.cost == pytest.approx(cost)
        assert found.bound == found.cost


def test_levels_that_all_zero_something_reach_no_less_than_their_sum() -> None:
    zeroed = np.array([[10, 20], [10, 30]])
    costs = np.array([[5.0, 1.0], [5.0, 1.0]])
    assert best_levels(costs, zeroed, 5.0).levels.tolist() == [0, 0]
    assert best_levels(costs, zeroed, 26.0).levels.tolist() == [1, 0]


def test_a_larger_step_may_be_nearer_than_any_total_below_the_target() -> None:
    # Totals 0 and 100: from 51 on the larger is nearer, though it lies beyond the target.
    zeroed = np.array([[0, 100]])
    costs = np.array([[0.0, 9.0]])
    assert best_levels(costs, zeroed, 49.0).levels.tolist() == [0]
    assert best_levels(costs, zeroed, 51.0).levels.tolist() == [1]
    assert best_levels(costs, np.array([[0, 1]]), 0.6).levels.tolist() == [1]


def test_without_a_target_each_gene_takes_its_cheapest_level() -> None:
    costs = np.array([[3.0, 1.0, 2.0], [0.5, 1.0, 2.0]])
    found = best_levels(costs, np.array([[0, 1, 2], [0, 5, 9]]), None)
    assert (found.levels.tolist(), found.cost, found.bound) == ([1, 0], 1.5, 1.5)


def test_of_equal_costs_the_lower_level_is_taken() -> None:
    assert best_levels(np.zeros((2, 3)), np.array([[0, 4, 8], [0, 4, 8]]), 8.0).cost == 0.0
    assert best_levels(np.zeros((1, 3)), np.array([[0, 0, 0]]), 0.0).levels.tolist() == [0]


def test_totals_without_a_common_divisor_are_rounded_to_a_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten states: a target of 1000 makes steps of 100, so 149 counts as one and 151 as two."""
    monkeypatch.setattr(knapsack, "_MOST_STATES", 10)
    costs = np.array([[0.0, 1.0, 5.0], [0.0, 1.0, 5.0]])
    found = best_levels(costs, np.array([[0, 449, 551], [0, 449, 551]]), 1000.0)
    # One step more than the divisor allows: 4 + 6 steps meet the target of 10.
    assert sorted(found.levels.tolist()) == [1, 2]


def _budget(limit: float) -> LatencyBudget:
    return LatencyBudget(10.0, np.array([[0.0, -1.0, -3.0], [0.0, -2.0, -4.0]]), limit)


COSTS = np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0]])
FREE = np.array([[0, 1, 2], [0, 1, 2]])


@pytest.mark.parametrize(
    ("limit", "levels"),
    [(10.0, [0, 0]), (9.9, [0, 1]), (8.0, [0, 1]), (7.0, [1, 1]), (3.0, [2, 2])],
)
def test_a_latency_limit_may_be_met_exactly(limit: float, levels: list[int]) -> None:
    budget = _budget(limit)
    found = best_levels(COSTS, FREE, None, budget)
    assert found.levels.tolist() == levels
    assert budget.latency_ms(found.levels) <= limit
    assert found.bound <= found.cost + 1e-9


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3])
@pytest.mark.parametrize(("limit", "levels"), [(8.0, [0, 1]), (7.0, [1, 1]), (3.0, [2, 2])])
def test_the_unit_of_costs_does_not_matter(unit: float, limit: float, levels: list[int]) -> None:
    found = best_levels(unit * COSTS, FREE, None, _budget(limit))
    assert found.levels.tolist() == levels
    assert found.bound == pytest.approx(best_levels(COSTS, FREE, None, _budget(limit)).bound * unit)


def test_no_more_is_paid_than_the_limit_asks_for() -> None:
    """The first price that is tried makes both genes fast; a lower one shows that one is enough."""
    costs = np.array([[0.0, 0.1, 8.0], [0.0, 0.2, 8.0]])
    found = best_levels(costs, FREE, None, LatencyBudget(10.0, np.array([[0.0, -2.0, -3.0]] * 2), 8.0))
    assert found.levels.tolist() == [1, 0]


def test_where_all_levels_cost_the_same_the_limit_decides() -> None:
    found = best_levels(np.zeros((2, 3)), FREE, None, _budget(3.0))
    assert (found.levels.tolist(), found.cost) == ([2, 2], 0.0)


def test_a_loose_limit_costs_nothing_and_the_bound_says_so() -> None:
    found = best_levels(COSTS, FREE, None, _budget(100.0))
    assert (found.cost, found.bound) == (0.0, 0.0)


def test_a_limit_just_out_of_reach_is_refused_with_what_can_be_reached() -> None:
    with pytest.raises(AebertError, match=r"latency budget 2\.99 ms: the fastest levels are predicted to take 3 ms"):
        best_levels(COSTS, FREE, None, _budget(2.99))


def test_latency_and_ratio_are_both_kept_to() -> None:
    found = best_levels(COSTS, FREE, 2.0, _budget(7.5))
    assert found.levels.tolist() == [1, 1]
    assert best_levels(COSTS, FREE, 2.0, _budget(6.0)).levels.tolist() == [0, 2]
