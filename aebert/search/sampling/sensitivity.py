"""An additive surrogate of the score: what each site loses at each level, measured alone, and refitted to candidates.

One pass over site x level measures the table. Summed over the sites of a candidate it predicts how much the score
drops, which takes a table look-up per site: millions of candidates a second. Sites do interact, so the table is then
refitted to the scores of whole candidates: a Gaussian process around the scaled table, i.e. ridge regression towards
it, in which the levels of a site move together and in proportion to their measured loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.pruning.zero_patterns import Float64Array
from aebert.search.sampling.sensitivity_jobs import MEASURED_LEVELS, MEASURED_ROWS, SensitivityPass
from aebert.search.scoring.scorer import Scorer
from aebert.search.space.grid import Grid, IntArray

# Levels of a site this far apart (in ratio) change almost independently of each other.
_LEVEL_CORRELATION = 0.25
_NOISE_SHARES = np.geomspace(1e-4, 1e3, 15)
_FLOOR = 1e-3
# Time grows with the cube: 2048 candidates take a second or two, 20,000 would take half an hour and 3 GB.
MOST_FITTED = 2048


@dataclass(frozen=True)
class Surrogate:
    """``table`` [sites, levels]: how much the value falls below ``dense_value`` with a site at a level."""

    grid: Grid
    table: Float64Array
    dense_value: float

    @property
    def gene_table(self) -> Float64Array:
        """The table summed over the sites of each gene, [genes, levels]: the costs that ``best_levels`` minimises."""
        summed = np.zeros((self.grid.genes, self.grid.levels))
        np.add.at(summed, self.grid.gene_of, self.table)
        return summed

    def predict_levels(self, levels: IntArray) -> Float64Array:
        """The values [n] of levels [n, genes], higher better. The quick way, for screening."""
        drop = np.zeros(len(levels))
        for gene, column in enumerate(self.gene_table):
            drop += column.take(levels[:, gene])
        return self.dense_value - drop

    def predict(self, kept: IntArray) -> Float64Array:
        """The values [n] of kept counts [n, sites], between levels by interpolation."""
        drop = np.zeros(len(kept))
        for site, column in enumerate(self.table):
            lower, share = _places(self.grid, site, kept[:, site])
            drop += (1 - share) * column[lower] + share * column[lower + 1]
        return self.dense_value - drop

    def refit(self, kept: IntArray, values: Float64Array) -> Surrogate:
        """The surrogate given the scores ``values`` [n] of real candidates ``kept`` [n, sites].

        Meant to be called on the measured surrogate with all scores so far, of which the last ``MOST_FITTED`` count.
        How far it may go from the measured table is decided by leave-one-out errors.
        """
        if len(values) < 3:
            return self
        kept, values = kept[-MOST_FITTED:], values[-MOST_FITTED:]
        features = _features(self.grid, kept)
        drops = self.dense_value - values
        prior = features @ self.table.ravel()
        slope, offset = _line(prior, drops)
        covariance = _covariance(slope * self.table)
        residual = drops - slope * prior - offset
        kernel = features @ covariance @ features.T
        weights = _kriging_weights(kernel, residual)
        change = covariance @ (features.T @ weights)
        table = slope * self.table + change.reshape(self.table.shape)
        return Surrogate(self.grid, table, self.dense_value - offset)


def measure_surrogate(scorer: Scorer, rows: int = MEASURED_ROWS, levels: int = MEASURED_LEVELS) -> Surrogate:
    """Score every site at ``levels`` levels with all others dense, on about ``rows`` rows; others by interpolation.

    All in this process; ``surrogate_file.measured_surrogate`` shares it among workers, with the same result.
    """
    measured = SensitivityPass(scorer.grid, rows, levels)
    values = {job.number: [score.value for score in scorer.score(job.candidates, job.rows)] for job in measured.jobs}
    return Surrogate(scorer.grid, measured.table(values), scorer.dense_score.value)


@dataclass(frozen=True)
class RankCorrelation:
    """How well one ranking agrees with another: Kendall's tau-b and Spearman's rho, with the number of pairs."""

    kendall: float
    spearman: float
    count: int


def rank_correlation(predicted: Float64Array, actual: Float64Array) -> RankCorrelation:
    """Of predictions with what they predict."""
    from scipy import stats

    kendall = float(stats.kendalltau(predicted, actual).statistic)
    return RankCorrelation(kendall, float(stats.spearmanr(predicted, actual).statistic), len(actual))


def _places(grid: Grid, site: int, kept: IntArray) -> tuple[IntArray, Float64Array]:
    """For each count the level above it and the share of the way to the next one."""
    counts = grid.counts[site]
    lower = np.clip(np.searchsorted(-counts, -kept, side="right") - 1, 0, grid.levels - 2)
    gap = counts[lower] - counts[lower + 1]
    share = np.where(gap > 0, (counts[lower] - kept) / np.maximum(gap, 1), 0.0)
    return lower, np.maximum(share, 0.0)


def _features(grid: Grid, kept: IntArray) -> Float64Array:
    """[n, sites * levels]: what ``predict`` multiplies the table with."""
    features = np.zeros((len(kept), len(grid.sites), grid.levels))
    rows = np.arange(len(kept))
    for site in range(len(grid.sites)):
        lower, share = _places(grid, site, kept[:, site])
        features[rows, site, lower] = 1 - share
        features[rows, site, lower + 1] += share
    return features.reshape(len(kept), -1)


def _line(prior: Float64Array, drops: Float64Array) -> tuple[float, float]:
    """Slope and offset of the least-squares line, or the prior as it is where that would turn the ranking round."""
    centred = prior - prior.mean()
    power = float(centred @ centred)
    slope = float(centred @ drops) / power if power > 0 else 0.0
    if slope <= 0:
        slope = 1.0
    return slope, float((drops - slope * prior).mean())


def _covariance(table: Float64Array) -> Float64Array:
    """[sites * levels, sites * levels]: entries vary in proportion to their size, near levels of a site together."""
    sites, levels = table.shape
    ratios = np.arange(levels) / levels
    together = np.exp(-np.square((ratios[:, None] - ratios[None, :]) / _LEVEL_CORRELATION) / 2)
    size = np.abs(table) + _FLOOR * np.abs(table).max()
    size[:, 0] = 0.0
    covariance = np.zeros((sites, levels, sites, levels))
    for site in range(sites):
        covariance[site, :, site] = together * np.outer(size[site], size[site])
    return covariance.reshape(sites * levels, sites * levels)


def _kriging_weights(kernel: Float64Array, residual: Float64Array) -> Float64Array:
    """``(kernel + noise I)^-1 residual``.

    The noise is the largest whose leave-one-out error (in closed form) is within one standard error of the least.
    """
    scale = float(np.trace(kernel)) / len(kernel)
    if scale == 0:
        return np.zeros_like(residual)
    values, vectors = np.linalg.eigh(kernel)
    rotated = vectors.T @ residual
    inverses = 1.0 / (np.maximum(values, 0.0) + _NOISE_SHARES[:, None] * scale)
    weights = (inverses * rotated) @ vectors.T
    errors = np.square(weights / (inverses @ np.square(vectors).T))
    means = errors.mean(axis=1)
    least = int(means.argmin())
    allowed = means[least] + errors[least].std() / np.sqrt(len(residual))
    chosen: Float64Array = weights[np.flatnonzero(means <= allowed).max()]
    return chosen
