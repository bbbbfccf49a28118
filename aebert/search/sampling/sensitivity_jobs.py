"""The sensitivity pass as jobs: every site at several levels, all others dense.

Candidates that prune one site share all that comes before it, so neighbouring sites are scored together; the pass is
still cut finely enough for a score of workers. The cut depends on the grid alone: scores, and so the table made of
them, are the same whoever does the jobs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aebert.models.encoder import MATRIX_NAMES
from aebert.models.load import matrix_shape
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.space.grid import Grid, IntArray
from aebert.search.workers.executor import Job

MEASURED_LEVELS = 8
MEASURED_ROWS = 64


@dataclass(frozen=True)
class SensitivityPass:
    """What ``grid`` needs measured at ``levels`` levels on about ``rows`` rows."""

    grid: Grid
    rows: int = MEASURED_ROWS
    levels: int = MEASURED_LEVELS

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The longest first."""
        measured, groups = measured_levels(self.grid, self.levels), _groups(self.grid)
        parts = [one_site_candidates(self.grid, group, measured) for group in groups]
        # The dense model, which all are compared with, costs least where most of it is computed anyway.
        parts[-1] += self.grid.candidates(self.grid.units[None])
        jobs = [Job(number, tuple(part), rows=self.rows) for number, part in enumerate(parts)]
        work = [sum(_work_from(self.grid, site) for site in group) for group in groups]
        return tuple(sorted(jobs, key=lambda job: -work[job.number]))

    def table(self, values: Mapping[int, Sequence[float]]) -> Float64Array:
        """[sites, levels of the grid]: how much each site loses, from the values of each job's candidates by number."""
        *single, dense = [value for number in range(len(self.jobs)) for value in values[number]]
        return surrogate_table(self.grid, measured_levels(self.grid, self.levels), dense - np.array(single))


def measured_levels(grid: Grid, levels: int) -> IntArray:
    """At most ``levels`` levels besides dense, evenly spread, the last one among them."""
    wanted = np.linspace(0, grid.levels - 1, min(levels, grid.levels - 1) + 1)[1:]
    measured: IntArray = np.unique(np.floor(wanted + 0.5).astype(np.int64))
    return measured


def one_site_candidates(grid: Grid, sites: Sequence[int], levels: IntArray) -> list[Candidate]:
    """Each of ``sites`` at each of ``levels``, all others dense; the level runs fastest."""
    kept = np.repeat(grid.units[None], len(sites) * len(levels), axis=0)
    rows = np.arange(len(kept)).reshape(len(sites), len(levels))
    for own, site in zip(rows, sites, strict=True):
        kept[own, site] = grid.counts[site, levels]
    return grid.candidates(kept)


def surrogate_table(grid: Grid, levels: IntArray, drops: Float64Array) -> Float64Array:
    """[sites, grid levels] from the drops [sites * levels] at some levels (level 0: none), linear in between."""
    known = np.concatenate([[0], levels])
    measured = np.concatenate([np.zeros((len(grid.sites), 1)), drops.reshape(len(grid.sites), -1)], axis=1)
    return np.stack([np.interp(np.arange(grid.levels), known, own) for own in measured])


def _groups(grid: Grid) -> list[list[int]]:
    """Sites in their order, as many together as take no longer than the first one alone, which takes longest."""
    most = _work_from(grid, 0)
    groups: list[list[int]] = []
    left = 0
    for site in range(len(grid.sites)):
        own = _work_from(grid, site)
        if own > left:
            groups.append([])
            left = most
        groups[-1].append(site)
        left -= own
    return groups


def _work_from(grid: Grid, site: int) -> int:
    """Weights to multiply with from a site to the end: what none of its candidates shares with another."""
    shape, own = grid.shape, grid.sites[site]
    in_layer = [math.prod(matrix_shape(shape, name)) for name in MATRIX_NAMES]
    before = MATRIX_NAMES.index(own.matrices[0])
    return sum(in_layer) * (shape.layers - own.layer) - sum(in_layer[:before])
