"""The search space: what a sampler draws, and the candidate within all budgets that a draw stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aebert.cost_model.protocols import CostModel, LatencyModel
from aebert.models.encoder import EncoderShape
from aebert.pruning.candidate import Candidate
from aebert.pruning.unit_counts import check_ratio
from aebert.pruning.zero_patterns import BoolArray, Float64Array, Pattern
from aebert.search.space.budget import make_budget, meet_ratios, uniform_counts
from aebert.search.space.grid import DEFAULT_LEVELS, Granularity, Grid, IntArray, make_grid
from aebert.support.errors import AebertError

_LATENCY_BISECTIONS = 16
HIGHEST_FREE_RATIO = 0.95  # where only a latency is given


@dataclass(frozen=True)
class Goal:
    """What every candidate keeps to.

    ``low`` and ``high`` bound the overall ratio and are equal where it is given. ``latency_ms`` is the most that the
    cost model may predict; where the ratio is free as well, a candidate prunes no more than that takes.
    """

    low: float
    high: float
    latency_ms: float | None = None

    @property
    def ratio_is_free(self) -> bool:
        return self.low < self.high

    @property
    def ratio_is_drawn(self) -> bool:
        """Whether samplers choose the overall ratio; under a latency budget it follows from that."""
        return self.ratio_is_free and self.latency_ms is None


@dataclass(frozen=True)
class Draw:
    """What a sampler drew: an overall ratio, and one number per gene of the pattern's grid, a ratio before repair.

    ``notes`` are what an Optuna sampler wants back with its own trials.
    """

    pattern: str
    ratio: float
    genes: tuple[float, ...]
    notes: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """A draw and the candidate that it became."""

    draw: Draw
    candidate: Candidate


@dataclass(frozen=True)
class PatternSpace:
    """The candidates of one pattern. ``latency`` is None where no board was named."""

    grid: Grid
    goal: Goal
    latency: LatencyModel | None

    @property
    def name(self) -> str:
        return str(self.grid.pattern)

    def meet(self, drawn: Float64Array, ratios: Float64Array) -> IntArray:
        """Kept counts [n, sites] nearest to genes ``drawn`` [n, genes] that keep to the ratio.

        ``ratios`` [n] are the overall ratios wanted; under a latency budget with a free ratio the least that is fast
        enough is taken instead. A latency budget that cannot be kept to is exceeded: see ``within``.
        """
        if self.goal.latency_ms is None or not self.goal.ratio_is_free:
            return meet_ratios(self.grid, drawn, ratios)
        low, high = np.full(len(drawn), self.goal.low), np.full(len(drawn), self.goal.high)
        best = meet_ratios(self.grid, drawn, low)
        fast = self.within(best)
        high = np.where(fast, low, high)
        best = np.where(fast[:, None], best, meet_ratios(self.grid, drawn, high))
        for _ in range(_LATENCY_BISECTIONS):
            middle = (low + high) / 2
            tried = meet_ratios(self.grid, drawn, middle)
            fast = self.within(tried)
            # Only what was tried and found fast is taken: rounding makes latency not quite monotonous.
            best = np.where(fast[:, None], tried, best)
            low, high = np.where(fast, low, middle), np.where(fast, middle, high)
        return best

    def within(self, kept: IntArray) -> BoolArray:
        """Which candidates [n, sites] keep to the latency budget, [n]."""
        if self.goal.latency_ms is None:
            return np.ones(len(kept), dtype=bool)
        within: BoolArray = self.latencies(kept) <= self.goal.latency_ms
        return within

    def latencies(self, kept: IntArray) -> Float64Array:
        """Predicted milliseconds [n] of candidates [n, sites]; 0 where no board was named."""
        if self.latency is None:
            return np.zeros(len(kept))
        return self.latency.predict(kept).mean_ms

    def uniform(self) -> list[Proposal]:
        """The candidate with one ratio everywhere; none where that cannot keep to the latency budget."""
        goal = self.goal
        if not goal.ratio_is_free or goal.latency_ms is None:
            return self._within_budget(uniform_counts(self.grid, (goal.low + goal.high) / 2))
        low, high = goal.low, goal.high
        best = uniform_counts(self.grid, low)
        if not self._within_budget(best):
            best = uniform_counts(self.grid, high)
            for _ in range(_LATENCY_BISECTIONS):
                middle = (low + high) / 2
                tried = uniform_counts(self.grid, middle)
                if self._within_budget(tried):
                    best, high = tried, middle
                else:
                    low = middle
        return self._within_budget(best)

    def _within_budget(self, kept: IntArray) -> list[Proposal]:
        """One candidate [sites] as a list: empty where it does not keep to the latency budget."""
        return self.propose(kept[None][self.within(kept[None])])

    def propose(self, kept: IntArray) -> list[Proposal]:
        """Candidates that no draw led to, with the draws that describe them best."""
        described = zip(self.grid.overall_ratios(kept).tolist(), self.grid.gene_ratios(kept).tolist(), strict=True)
        return [
            Proposal(Draw(self.name, ratio, tuple(genes)), candidate)
            for (ratio, genes), candidate in zip(described, self.grid.candidates(kept), strict=True)
        ]


@dataclass(frozen=True)
class SearchSpace:
    """Candidates of one or several patterns under one goal."""

    patterns: Mapping[str, PatternSpace]
    goal: Goal

    @property
    def genes(self) -> int:
        """The most numbers that a pattern needs."""
        return max(space.grid.genes for space in self.patterns.values())

    def realise(self, draws: Sequence[Draw]) -> list[Proposal]:
        """The candidates of those draws that lead to one within the budgets, in order."""
        realised: dict[int, Proposal] = {}
        for name, space in self.patterns.items():
            rows = [row for row, draw in enumerate(draws) if draw.pattern == name]
            if not rows:
                continue
            drawn = np.array([draws[row].genes[: space.grid.genes] for row in rows], np.float64)
            kept = space.meet(drawn, np.array([draws[row].ratio for row in rows], np.float64))
            candidates = space.grid.candidates(kept)
            for row, candidate, within in zip(rows, candidates, space.within(kept).tolist(), strict=True):
                if within:
                    realised[row] = Proposal(draws[row], candidate)
        return [realised[row] for row in sorted(realised)]

    def uniform(self) -> list[Proposal]:
        """For each pattern the candidate with one ratio everywhere, where it is within the budgets.

        That ratio is met exactly, off the grid where need be: in the middle of the goal's range, or the least that
        keeps to a latency budget.
        """
        return [found for space in self.patterns.values() for found in space.uniform()]

    def refitted(self, costs: CostModel) -> SearchSpace:
        """The same space under another cost model."""
        return SearchSpace(
            {
                name: PatternSpace(space.grid, space.goal, costs.latency(space.grid.pattern))
                for name, space in self.patterns.items()
            },
            self.goal,
        )


def make_space(
    shape: EncoderShape,
    patterns: Sequence[Pattern],
    goal: Goal,
    granularity: Granularity = "matrix",
    levels: int | None = None,
    costs: CostModel | None = None,
) -> SearchSpace:
    """Raises AebertError for a goal that a pattern cannot meet, or a latency budget without a cost model."""
    if not patterns or len(set(patterns)) != len(patterns):
        raise AebertError("pattern: give one or several different ones, separated by commas")
    check_ratio(goal.low, "the overall ratio")
    if goal.low > goal.high:
        raise AebertError(f"overall ratio {goal.low:g}..{goal.high:g}: the first must be the smaller")
    if goal.latency_ms is not None and costs is None:
        raise AebertError("a latency budget needs a design to predict on; name a board")
    spaces = {}
    for pattern in patterns:
        own, steps = goal, levels
        if goal.ratio_is_free:
            # A free ratio goes as far as the grid does.
            steps = levels or DEFAULT_LEVELS
            highest = make_grid(shape, pattern, granularity, steps).highest_ratio
            own = Goal(goal.low, min(goal.high, highest), goal.latency_ms)
        grid = make_budget(shape, pattern, max(own.low, own.high), granularity, steps).grid
        latency = None if costs is None else costs.latency(pattern)
        spaces[str(pattern)] = PatternSpace(grid, own, latency)
    space = SearchSpace(spaces, goal)
    _check_latency(space)
    return space


def _check_latency(space: SearchSpace) -> None:
    """Raise AebertError where even the most pruning is too slow."""
    if space.goal.latency_ms is None:
        return
    fastest = {}
    for name, own in space.patterns.items():
        flat = np.full((1, own.grid.genes), own.goal.high)
        fastest[name] = float(own.latencies(meet_ratios(own.grid, flat, np.array([own.goal.high])))[0])
    if min(fastest.values()) > space.goal.latency_ms and space.goal.ratio_is_free:
        name = min(fastest, key=fastest.__getitem__)
        raise AebertError(
            f"latency budget {space.goal.latency_ms:g} ms: pattern {name!r} at ratio "
            f"{space.patterns[name].goal.high:.3g} is predicted to take {fastest[name]:.4g} ms; "
            "allow more or choose a larger design"
        )
