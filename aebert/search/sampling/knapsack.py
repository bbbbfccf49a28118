"""The best levels under an additive cost: a multiple-choice knapsack (one level for each gene), solved by dynamic
programming over the number of zeroed weights.

A second budget, on an additive latency, enters by a Lagrange multiplier. The solution then always keeps to the budget,
and the dual gives a bound on how much better any other could be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.cost_model.protocols import LatencyModel
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.space.grid import Grid, IntArray
from aebert.support.errors import AebertError

_MOST_STATES = 2**17
_MOST_STATES_WITH_LATENCY = 2**14
_BISECTIONS = 40


@dataclass(frozen=True)
class LatencyBudget:
    """``base_ms`` plus the sum of ``table_ms`` [genes, levels] at the levels chosen must not exceed ``limit_ms``."""

    base_ms: float
    table_ms: Float64Array
    limit_ms: float

    def latency_ms(self, levels: IntArray) -> float:
        """Of one choice of levels [genes]."""
        return self.base_ms + float(self.table_ms[np.arange(len(levels)), levels].sum())


@dataclass(frozen=True)
class Optimum:
    """``levels`` [genes] of least ``cost``; no choice within the budgets costs less than ``bound``."""

    levels: IntArray
    cost: float
    bound: float


def best_levels(
    costs: Float64Array,
    zeroed: IntArray,
    target: float | None,
    latency: LatencyBudget | None = None,
) -> Optimum:
    """The levels that minimise the sum of ``costs`` [genes, levels] and zero ``target`` weights in all.

    ``zeroed`` [genes, levels] are the weights that a level zeroes (``Grid.zeroed``). Among the totals that levels can
    reach, the one nearest to ``target`` is met; without a target, any will do. The optimum is exact where the entries
    of ``zeroed`` have a common divisor of at least ``target / 2**17`` (``/ 2**14`` under a latency budget), as grids of
    BERT's shapes have; otherwise totals are rounded to that lattice. Raises AebertError for a latency out of reach.
    """
    lattice = _Lattice.of(zeroed, target, _MOST_STATES if latency is None else _MOST_STATES_WITH_LATENCY)
    if latency is None:
        levels = _solve(costs, lattice)
        cost = _total(costs, levels)
        return Optimum(levels, cost, cost)
    return _with_latency(costs, lattice, latency)


def additive_latency(model: LatencyModel, grid: Grid, limit_ms: float) -> LatencyBudget:
    """The latency of levels as a sum over genes: each gene's change of the dense encoder's predicted latency."""
    genes, levels = grid.genes, grid.levels
    choices = np.zeros((genes * levels, genes), np.int64)
    choices[np.arange(genes * levels), np.repeat(np.arange(genes), levels)] = np.tile(np.arange(levels), genes)
    predicted = model.predict(grid.kept(choices)).mean_ms.reshape(genes, levels)
    base = float(predicted[0, 0])
    return LatencyBudget(base, predicted - base, limit_ms)


@dataclass(frozen=True)
class _Lattice:
    """``steps`` [genes, levels]: zeroed weights in whole steps; ``target`` in steps (not whole), None for any."""

    steps: IntArray
    target: float | None

    @classmethod
    def of(cls, zeroed: IntArray, target: float | None, most_states: int) -> _Lattice:
        if target is None:
            return cls(np.zeros_like(zeroed), None)
        step = max(int(np.gcd.reduce(zeroed, axis=None)), int(np.ceil(target / most_states)), 1)
        return cls(np.floor(zeroed / step + 0.5).astype(np.int64), target / step)


def _solve(costs: Float64Array, lattice: _Lattice) -> IntArray:
    if lattice.target is None:
        cheapest: IntArray = costs.argmin(axis=1)
        return cheapest
    # Totals past the target matter only by up to one largest step: beyond, another total is nearer.
    least = max(int(lattice.target), int(lattice.steps.min(axis=1).sum()))
    states = least + int(lattice.steps.max()) + 1
    best = np.full(states, np.inf)
    best[0] = 0.0
    chosen = np.zeros((len(costs), states), np.int16)
    for gene, (own, steps) in enumerate(zip(costs, lattice.steps.tolist(), strict=True)):
        following = np.full(states, np.inf)
        for level, (cost, step) in enumerate(zip(own.tolist(), steps, strict=True)):
            if step >= states:
                continue
            offered = best[: states - step] + cost
            view = following[step:]
            better = offered < view
            view[better] = offered[better]
            chosen[gene, step:][better] = level
        best = following
    reached = np.flatnonzero(np.isfinite(best))
    state = int(reached[np.abs(reached - lattice.target).argmin()])
    levels = np.zeros(len(costs), np.int64)
    for gene in range(len(costs) - 1, -1, -1):
        levels[gene] = chosen[gene, state]
        state -= int(lattice.steps[gene, levels[gene]])
    return levels


def _with_latency(costs: Float64Array, lattice: _Lattice, latency: LatencyBudget) -> Optimum:
    """Bisection on the price of a millisecond; the multiplier's dual value is a lower bound on every choice's cost."""
    best: IntArray | None = None
    bound = -np.inf

    def at(price: float) -> bool:
        nonlocal best, bound
        levels = _solve(costs + price * latency.table_ms, lattice)
        excess = latency.latency_ms(levels) - latency.limit_ms
        bound = max(bound, _total(costs, levels) + price * excess)
        if excess <= 0 and (best is None or _total(costs, levels) < _total(costs, best)):
            best = levels
        return excess <= 0

    if not at(0.0):
        spread = float(np.ptp(costs)) or 1.0
        low, high = 0.0, spread / (float(np.ptp(latency.table_ms)) or 1.0)
        for _ in range(_BISECTIONS):
            if at(high):
                break
            low, high = high, 4 * high
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if at(middle) else (middle, high)
    if best is None:
        fastest = latency.latency_ms(_solve(latency.table_ms, lattice))
        raise AebertError(
            f"latency budget {latency.limit_ms:g} ms: the fastest levels are predicted to take {fastest:.4g} ms; "
            "allow more latency or a higher ratio"
        )
    return Optimum(best, _total(costs, best), min(bound, _total(costs, best)))


def _total(table: Float64Array, levels: IntArray) -> float:
    return float(table[np.arange(len(levels)), levels].sum())
