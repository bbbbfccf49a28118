"""The sampler of our own: an additive surrogate screens a million candidates a round, the best are really evaluated.

Each round refits the surrogate to all scores so far, finds its optimum within the budgets (a knapsack), varies that and
the best candidates tried, keeping to the budget, and proposes what the surrogate ranks highest. A quarter of the batch
is drawn from the runners-up: the surrogate cannot see what it has got wrong among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aebert.pruning.candidate import Candidate
from aebert.search.sampling.knapsack import additive_latency, best_levels
from aebert.search.sampling.samplers import Moment
from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.space.budget import RatioBudget
from aebert.search.space.grid import Grid, IntArray
from aebert.search.space.search_space import PatternSpace, Proposal, SearchSpace
from aebert.search.space.trials import ScoredTrial
from aebert.support.errors import AebertError

SCREENED = 1 << 20
_CHUNK = 1 << 15
_MOST_MOVES = 6
_PARENTS = 8
_POOL = 8  # for each candidate wanted, so many of the best screened are looked at exactly
_EXPLORED = 4  # one in so many is drawn from the runners-up


@dataclass(frozen=True)
class _Screened:
    """A candidate with what the surrogate promises of it."""

    proposal: Proposal
    value: float


class SurrogateSampler:
    """``surrogates``: the measured one of each pattern; ``screened`` candidates are looked at in each round."""

    def __init__(self, surrogates: Mapping[str, Surrogate], screened: int = SCREENED) -> None:
        self._surrogates, self._screened = dict(surrogates), screened

    def propose(self, space: SearchSpace, history: Sequence[ScoredTrial], count: int, moment: Moment) -> list[Proposal]:
        stream = moment.stream()
        seen = {item.candidate for item in history}
        targets = _targets(space, count, stream)
        by_target: list[list[_Screened]] = [[] for _ in targets]
        for name, own in space.patterns.items():
            told = [item for item in history if item.candidate.pattern == name]
            surrogate = self._refitted(own, told)
            share = max(self._screened // (len(targets) * len(space.patterns)), count)
            for found, target in zip(by_target, targets, strict=True):
                wanted = -(-count // len(targets))
                found += self._screen(own, surrogate, told, target, share, wanted, seen, stream)
        proposals: list[Proposal] = []
        for found in by_target:
            proposals += _pick(found, -(-count // len(targets)), list(space.patterns), stream)
        return proposals[:count]

    def _refitted(self, space: PatternSpace, told: Sequence[ScoredTrial]) -> Surrogate:
        measured = self._surrogates[space.name]
        kept = space.grid.kept_of([item.candidate for item in told])
        return measured.refit(kept, np.array([item.outcome.value for item in told], np.float64))

    def _screen(
        self,
        space: PatternSpace,
        surrogate: Surrogate,
        told: Sequence[ScoredTrial],
        target: float | None,
        screened: int,
        wanted: int,
        seen: set[Candidate],
        stream: np.random.Generator,
    ) -> list[_Screened]:
        """The most promising candidates within the budgets that have not been tried, best first."""
        start = _optimum(space, surrogate, target)
        if start is None:
            return []
        pool = _varied(space.grid, _parents(space, start, told), surrogate, screened, wanted * _POOL, stream)
        kept = _settled(space, np.concatenate([start[None], pool]), target)
        kept = np.unique(kept[space.within(kept)], axis=0)
        if not len(kept):
            return []
        values = surrogate.predict(kept)
        order = np.argsort(-values, kind="stable")
        best = zip(space.propose(kept[order]), values[order].tolist(), strict=True)
        return [_Screened(proposal, value) for proposal, value in best if proposal.candidate not in seen]


def _targets(space: SearchSpace, count: int, stream: np.random.Generator) -> list[float | None]:
    """The overall ratios to aim at; None: as little as the latency budget allows."""
    goal = space.goal
    if not goal.ratio_is_free:
        return [goal.low]
    if not goal.ratio_is_drawn:
        return [None]
    edges = np.linspace(goal.low, goal.high, count + 1)
    return list(stream.uniform(edges[:-1], edges[1:]).tolist())


def _optimum(space: PatternSpace, surrogate: Surrogate, target: float | None) -> IntArray | None:
    """The surrogate's best levels [genes] within the budgets, None where it sees none."""
    grid, limit = space.grid, space.goal.latency_ms
    if target is not None:
        target = min(max(target, space.goal.low), space.goal.high)
    budget = None if limit is None or space.latency is None else additive_latency(space.latency, grid, limit)
    weights = None if target is None else target * grid.total_weights
    try:
        return best_levels(surrogate.gene_table, grid.zeroed, weights, budget).levels
    except AebertError:  # no levels are fast enough; another pattern may have some
        return None


def _parents(space: PatternSpace, start: IntArray, told: Sequence[ScoredTrial]) -> IntArray:
    """Levels [parents, genes] to vary: the optimum, and the best candidates so far of about its size."""
    grid = space.grid
    best = sorted((item for item in told if not item.outcome.lost), key=lambda item: -item.outcome.value)
    if space.goal.ratio_is_drawn:
        ratio = float(grid.overall_ratios(grid.kept(start[None]))[0])
        best.sort(key=lambda item: abs(item.trial.proposal.draw.ratio - ratio))
    tried = grid.kept_of([item.candidate for item in best[:_PARENTS]])
    levels = np.floor(grid.gene_ratios(tried) * grid.levels + 0.5).astype(np.int64)
    return np.concatenate([start[None], np.minimum(levels, grid.levels - 1)])


def _varied(
    grid: Grid, parents: IntArray, surrogate: Surrogate, count: int, wanted: int, stream: np.random.Generator
) -> IntArray:
    """Of ``count`` random variations of ``parents``, the ``wanted`` that the surrogate likes best, [wanted, genes]."""
    best = np.zeros((0, grid.genes), np.int64)
    # Equal rows have equal sums under random weights; different ones do not, but for one chance in 2^60.
    weights = stream.integers(1 << 60, size=grid.genes)
    for first in range(0, count, _CHUNK):
        levels = vary_levels(grid, parents, min(_CHUNK, count - first), stream)
        levels = np.concatenate([best, levels])
        levels = levels[np.unique(levels @ weights, return_index=True)[1]]
        values = surrogate.predict_levels(levels)
        best = levels[np.argsort(-values, kind="stable")[:wanted]]
    return best


def vary_levels(grid: Grid, parents: IntArray, count: int, stream: np.random.Generator) -> IntArray:
    """``count`` variations [count, genes] of random ``parents`` [parents, genes] that zero as much as they do.

    A move raises one gene and lowers another by levels of equal weight; each variation makes 1 to 6 of them, as far as
    the grid allows.
    """
    weights = grid.gene_weights
    common = np.gcd(weights[:, None], weights[None, :])
    rise = weights[None, :] // common  # of gene a against gene b
    levels = np.asfortranarray(parents[stream.integers(len(parents), size=count)])
    moves = stream.integers(1, _MOST_MOVES + 1, size=count)
    rows = np.arange(count)
    for move in range(_MOST_MOVES):
        first, second = stream.integers(grid.genes, size=(2, count))
        higher = levels[rows, first] + rise[first, second]
        lower = levels[rows, second] - rise[second, first]
        moved = (moves > move) & (first != second) & (higher < grid.levels) & (lower >= 0)
        levels[rows[moved], first[moved]] = higher[moved]
        levels[rows[moved], second[moved]] = lower[moved]
    return levels


def _settled(space: PatternSpace, levels: IntArray, target: float | None) -> IntArray:
    """Kept counts [n, sites] that meet the overall ratio where one is given."""
    if target is None:
        return space.meet(levels / space.grid.levels, np.zeros(len(levels)))
    return RatioBudget(space.grid, min(max(target, space.goal.low), space.goal.high)).settle(levels)


def _pick(found: list[_Screened], wanted: int, patterns: Sequence[str], stream: np.random.Generator) -> list[Proposal]:
    """Mostly the best, some runners-up, and of each pattern a few, lest one is given up on a bad guess."""
    ranked = sorted(found, key=lambda item: -item.value)
    least = wanted // (_EXPLORED * len(patterns))
    chosen = [
        item
        for name in patterns
        for item in [other for other in ranked if other.proposal.candidate.pattern == name][:least]
    ]
    explored = wanted // _EXPLORED
    for item in ranked:
        if len(chosen) >= wanted - explored:
            break
        if item not in chosen:
            chosen.append(item)
    rest = [item for item in ranked if item not in chosen]
    more = stream.permutation(len(rest))[: wanted - len(chosen)]
    return [item.proposal for item in [*chosen, *(rest[place] for place in sorted(more.tolist()))]]
