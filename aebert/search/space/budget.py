"""From drawn ratios to candidates that meet the overall ratio exactly: clip, re-normalise, round, repair.

Clipping alone moves the mean (0.7 asked, 0.646 given, in a public re-implementation of AE-BERT), so what was clipped is
made up for by the others before rounding; what rounding to the grid moves is repaired by whole levels, and what is then
left, less than a level, goes to one gene, in whole units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aebert.models.encoder import EncoderShape
from aebert.pruning.candidate import Candidate
from aebert.pruning.unit_counts import apportion, check_ratio, uniform_ratios, zeroed_units
from aebert.pruning.zero_patterns import BoolArray, Float64Array, Pattern
from aebert.search.space.grid import Granularity, Grid, IntArray, levels_for, make_grid, uncovered_message
from aebert.support.errors import AebertError

_BISECTIONS = 60


@dataclass(frozen=True)
class RatioBudget:
    """Candidates of ``grid`` that zero ``ratio`` of all prunable weights, to within half of the smallest unit."""

    grid: Grid
    ratio: float

    @property
    def zeroed_weights(self) -> float:
        """What a candidate is to zero; whole units come as near as they can."""
        return self.ratio * self.grid.total_weights

    def meet(self, drawn: Float64Array) -> IntArray:
        """``meet_ratios`` with this ratio in every row."""
        return meet_ratios(self.grid, drawn, np.full(len(drawn), self.ratio))

    def settle(self, levels: IntArray) -> IntArray:
        """Kept counts [n, sites] of levels [n, genes] that nearly meet the budget, which they then meet.

        What is missing goes to the gene that it moves least.
        """
        return _settle(self.grid, levels, levels / self.grid.levels, np.full(len(levels), self.zeroed_weights))


def meet_ratios(grid: Grid, drawn: Float64Array, ratios: Float64Array) -> IntArray:
    """Kept counts [n, sites] of the candidates nearest to ratios ``drawn`` [n, genes], any finite numbers.

    Row i zeroes ``ratios[i]`` of all prunable weights to within half of the smallest unit. All genes but one lie on
    the grid; with units of two sizes (head+neuron) more than one may be off it.
    """
    targets: Float64Array = ratios * grid.total_weights
    wanted = _renormalise(grid, drawn, targets)
    levels = _round_levels(grid, wanted * grid.levels, targets)
    return _settle(grid, levels, wanted, targets)


def _renormalise(grid: Grid, drawn: Float64Array, targets: Float64Array) -> Float64Array:
    """The nearest ratios [n, genes] within the grid that meet the targets (projection in weighted least squares).

    Nearest in this sense are clip(drawn + shift) with one shift for each row, found by bisection.
    """
    highest = (grid.levels - 1) / grid.levels
    weights = grid.gene_weights.astype(np.float64)
    clipped = np.clip(drawn, -1.0, 2.0)
    low, high = np.full(len(drawn), -2.0), np.full(len(drawn), 2.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = np.clip(clipped + middle[:, None], 0.0, highest) @ weights < targets
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    met: Float64Array = np.clip(clipped + high[:, None], 0.0, highest)
    return met


def _round_levels(grid: Grid, wanted: Float64Array, targets: Float64Array) -> IntArray:
    """Whole levels [n, genes] near ``wanted`` that miss the targets by less than one level of one gene."""
    levels: IntArray = np.clip(np.floor(wanted + 0.5).astype(np.int64), 0, grid.levels - 1)
    zeroed, genes = grid.zeroed, np.arange(grid.genes)
    left = targets - zeroed[genes, levels].sum(axis=1)
    while True:
        way = np.sign(left).astype(np.int64)[:, None]
        target = np.clip(levels + way, 0, grid.levels - 1)
        step = np.abs(zeroed[genes, target] - zeroed[genes, levels])
        allowed = (step > 0) & (step <= np.abs(left)[:, None])
        rows = np.flatnonzero(allowed.any(axis=1))
        if not len(rows):
            return levels
        # The gene that rounding moved furthest the other way.
        gene = np.where(allowed, (wanted - levels) * way, -np.inf)[rows].argmax(axis=1)
        left[rows] -= zeroed[gene, target[rows, gene]] - zeroed[gene, levels[rows, gene]]
        levels[rows, gene] = target[rows, gene]


def _settle(grid: Grid, levels: IntArray, wanted: Float64Array, targets: Float64Array) -> IntArray:
    kept = grid.kept(levels)
    for row, ratios, target in zip(kept, wanted, targets.tolist(), strict=True):
        _give_difference(grid, row, ratios, target)
    return kept


def _give_difference(grid: Grid, kept: IntArray, wanted: Float64Array, target: float) -> None:
    """Change ``kept`` [sites] in place until what it misses is at most half of any unit that can still change."""
    taken: set[int] = set()
    stepped = False
    while True:
        left = target - float((grid.units - kept) @ grid.unit_weights)
        ratios = grid.gene_ratios(kept[None])[0]
        room = (1.0 - ratios if left > 0 else ratios) * grid.gene_weights
        moved = np.abs(ratios + left / grid.gene_weights - wanted)
        # Finest units first, then room for all of it, then what was drawn.
        order = [
            (int(grid.finest[gene]), bool(room[gene] < abs(left)), float(moved[gene]), gene)
            for gene in range(grid.genes)
            if gene not in taken and room[gene] > 0 and grid.finest[gene] <= 2 * abs(left)
        ]
        if not order:
            # Where all fine units are kept (or gone) already, one coarse unit goes past, and fine ones make up for it.
            coarse = np.flatnonzero((grid.unit_weights >= 2 * abs(left)) & _room(grid, kept, left))
            if stepped or abs(left) <= grid.unit_weights.min() / 2 or not len(coarse):
                return
            site = int(coarse[grid.unit_weights[coarse].argmin()])
            kept[site] -= int(np.sign(left))
            stepped, taken = True, {int(grid.gene_of[site])}
            continue
        chosen = min(order)[-1]
        taken.add(chosen)
        _set_gene(grid, kept, chosen, float(ratios[chosen] * grid.gene_weights[chosen]) + left)


def _room(grid: Grid, kept: IntArray, left: float) -> BoolArray:
    """Which sites have a unit to zero (``left`` > 0) or to keep again, [sites]."""
    room: BoolArray = kept > 0 if left > 0 else kept < grid.units
    return room


def _set_gene(grid: Grid, kept: IntArray, gene: int, zeroed: float) -> None:
    """Spread ``zeroed`` weights over a gene's sites in proportion, in whole units, coarse units first."""
    sites = np.flatnonzero(grid.gene_of == gene)
    weights = float(grid.gene_weights[gene])
    zeroed = min(max(zeroed, 0.0), weights)
    ratio = zeroed / weights
    sizes = sorted({int(grid.unit_weights[site]) for site in sites}, reverse=True)
    for size in sizes:
        same = [int(site) for site in sites if grid.unit_weights[site] == size]
        capacities = [int(grid.units[site]) for site in same]
        shares = [ratio * capacity for capacity in capacities]
        wanted = zeroed / size if size == sizes[-1] else sum(shares)
        total = min(max(math.floor(wanted + 0.5), 0), sum(capacities))
        kept[same] = grid.units[same] - apportion(shares, capacities, total)
        zeroed -= size * total


def make_budget(
    shape: EncoderShape, pattern: Pattern, ratio: float, granularity: Granularity = "matrix", levels: int | None = None
) -> RatioBudget:
    """The budget of one overall ratio and the grid that reaches it; ``levels`` None: as many as the ratio needs.

    Raises AebertError for a ratio outside [0, 1), and for one that the pattern or the levels cannot reach.
    """
    check_ratio(ratio, "the overall ratio")
    grid = make_grid(shape, pattern, granularity)
    reachable = float(grid.gene_weights.sum()) / grid.total_weights
    if ratio > reachable:
        raise AebertError(uncovered_message(pattern, reachable, ratio))
    grid = make_grid(shape, pattern, granularity, levels_for(ratio / reachable) if levels is None else levels)
    if ratio > grid.highest_ratio:
        raise AebertError(
            f"overall ratio {ratio:g} with {grid.levels} levels of pruning can be at most {grid.highest_ratio:.4f}; "
            "lower the ratio or give more levels"
        )
    return RatioBudget(grid, ratio)


def uniform_counts(grid: Grid, ratio: float) -> IntArray:
    """Kept counts [sites] with one ratio in every site that the pattern can prune, ``ratio`` overall.

    They are those of ``prune_encoder`` at that ratio: met exactly, in whole units, where no level of the grid is.
    """
    zeroed = zeroed_units(grid.shape, grid.pattern, uniform_ratios(grid.shape, grid.pattern, ratio))
    return grid.units - np.array([zeroed[site] for site in grid.sites], np.int64)


def uniform_candidate(budget: RatioBudget) -> Candidate:
    """The same ratio in every site that the pattern can prune."""
    (candidate,) = budget.grid.candidates(uniform_counts(budget.grid, budget.ratio)[None])
    return candidate
