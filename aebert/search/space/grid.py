"""The grid of kept counts that candidates are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape
from aebert.models.load import matrix_shape
from aebert.pruning.candidate import Candidate
from aebert.pruning.unit_counts import Site, list_sites, prunable_weights
from aebert.pruning.zero_patterns import Float64Array, Pattern, Vector
from aebert.support.errors import AebertError

IntArray = npt.NDArray[np.int64]


Granularity = Literal["layer", "matrix"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

DEFAULT_LEVELS = 16
MAX_LEVELS = 512


@dataclass(frozen=True)
class Grid:
    """The kept counts that candidates of one pattern are made of.

    ``counts`` [sites, levels]: the count of a site at each level, falling from all units at level 0; level l stands for
    the ratio l / levels. Bank-balanced vectors are rounded to whole tiles of the engine. Sites with few units repeat
    counts. ``gene_of`` [sites]: which of the numbers that a sampler draws decides a site: its layer's or its own.
    """

    shape: EncoderShape
    pattern: Pattern
    granularity: Granularity
    sites: tuple[Site, ...]
    counts: IntArray
    gene_of: IntArray

    @property
    def levels(self) -> int:
        return int(self.counts.shape[1])

    @cached_property
    def genes(self) -> int:
        return int(self.gene_of.max()) + 1

    @cached_property
    def units(self) -> IntArray:
        """[sites]"""
        return np.array([site.units for site in self.sites], np.int64)

    @cached_property
    def unit_weights(self) -> IntArray:
        """[sites]"""
        return np.array([site.unit_weights for site in self.sites], np.int64)

    @cached_property
    def gene_weights(self) -> IntArray:
        """Weights that each gene decides about, [genes]."""
        return self._sum_sites(self.units * self.unit_weights)

    @cached_property
    def zeroed(self) -> IntArray:
        """Weights that a gene zeroes at each level, [genes, levels]."""
        return self._sum_sites((self.units[:, None] - self.counts) * self.unit_weights[:, None])

    @cached_property
    def finest(self) -> IntArray:
        """Weights of the smallest unit among each gene's sites, [genes]."""
        return np.array([self.unit_weights[self.gene_of == gene].min() for gene in range(self.genes)], np.int64)

    @cached_property
    def total_weights(self) -> int:
        """All prunable weights, those that the pattern leaves dense included."""
        return prunable_weights(self.shape)

    @property
    def highest_ratio(self) -> float:
        """The largest overall ratio on the grid."""
        return float(self.gene_weights.sum()) * (self.levels - 1) / self.levels / self.total_weights

    def expand(self, levels: IntArray) -> IntArray:
        """Levels per gene [n, genes] as levels per site [n, sites]."""
        return levels[:, self.gene_of]

    def kept(self, levels: IntArray) -> IntArray:
        """Levels per gene [n, genes] as kept counts [n, sites]."""
        kept: IntArray = self.counts[np.arange(len(self.sites)), self.expand(levels)]
        return kept

    def kept_weights(self, kept: IntArray) -> IntArray:
        """Prunable weights left, those that the pattern leaves dense included: [n, sites] -> [n]."""
        left: IntArray = self.total_weights - (self.units - kept) @ self.unit_weights
        return left

    def overall_ratios(self, kept: IntArray) -> Float64Array:
        """[n, sites] -> [n]"""
        ratios: Float64Array = 1.0 - self.kept_weights(kept) / self.total_weights
        return ratios

    def gene_ratios(self, kept: IntArray) -> Float64Array:
        """The ratio over each gene's sites: [n, sites] -> [n, genes]."""
        zeroed = self._sum_sites(((self.units - kept) * self.unit_weights).T).T
        ratios: Float64Array = zeroed / self.gene_weights
        return ratios

    def candidates(self, kept: IntArray) -> list[Candidate]:
        """Each row of kept counts [n, sites] as a candidate."""
        name = str(self.pattern)
        return [Candidate(name, tuple(row)) for row in kept.tolist()]

    def kept_of(self, candidates: Sequence[Candidate]) -> IntArray:
        """[n, sites]. Raises ValueError if a candidate has another pattern."""
        if any(candidate.pattern != str(self.pattern) for candidate in candidates):
            raise ValueError(f"candidates of another pattern than {self.pattern}")
        return np.array([candidate.kept for candidate in candidates], np.int64).reshape(-1, len(self.sites))

    def _sum_sites(self, values: IntArray) -> IntArray:
        total = np.zeros((self.genes, *values.shape[1:]), np.int64)
        np.add.at(total, self.gene_of, values)
        return total


def make_grid(
    shape: EncoderShape, pattern: Pattern, granularity: Granularity = "matrix", levels: int = DEFAULT_LEVELS
) -> Grid:
    """Raises AebertError where a matrix does not divide into the pattern's units, or for a senseless ``levels``."""
    if not 2 <= levels <= MAX_LEVELS:
        raise AebertError(f"{levels} levels of pruning; choose 2 to {MAX_LEVELS}")
    sites = tuple(list_sites(shape, pattern))
    units = np.array([site.units for site in sites], np.int64)
    tiles = np.array([_units_per_tile(site, shape, pattern) for site in sites], np.int64)
    wanted = units[:, None] * (levels - np.arange(levels)) / levels
    counts = tiles[:, None] * np.floor(wanted / tiles[:, None] + 0.5).astype(np.int64)
    counts = np.minimum(counts, units[:, None])
    counts[:, 0] = units
    gene_of = [site.layer for site in sites] if granularity == "layer" else list(range(len(sites)))
    return Grid(shape, pattern, granularity, sites, counts, np.array(gene_of, np.int64))


def levels_for(ratio: float) -> int:
    """Levels that leave room above ``ratio``, the share of what the pattern can zero."""
    if ratio >= 1:
        return MAX_LEVELS
    return int(min(max(DEFAULT_LEVELS, np.ceil(2 / (1 - ratio))), MAX_LEVELS))


def _units_per_tile(site: Site, shape: EncoderShape, pattern: Pattern) -> int:
    """Units that the engine multiplies in one step: one vector of each bank; 1 where there are no banks."""
    if not isinstance(pattern, Vector):
        return 1
    _, inputs = matrix_shape(shape, site.matrices[0])
    return pattern.banks if inputs % pattern.banks == 0 else 1


def uncovered_message(pattern: Pattern, reachable: float, ratio: float) -> str:
    """What to tell someone who asks a pattern for more zeros than it can give."""
    return (
        f"pattern {str(pattern)!r} can zero at most {reachable:.4f} of the prunable weights, not {ratio:g}; "
        "lower the ratio or choose 'head+neuron'"
    )
