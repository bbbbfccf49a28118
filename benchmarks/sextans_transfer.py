"""Sextans: a new board from the other board's model, and how many of its runs that takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from aebert.cost_model.observations import Floats, Indices, Observations
from aebert.cost_model.robust_fit import Fit, Prior, fit
from benchmarks import sextans_structure as sextans
from benchmarks.sextans import LearnedSchedule, folds, likely_power, run_features
from benchmarks.sextans_structure import BOARDS, COLUMNS, Board, Matrices

CURVE = (0, 4, 16, 64, 256, 1024)
DRAWS = 2


def learning_curves(matrices: Matrices) -> Iterator[str]:
    """A new board from the other board's model: how many of its runs it takes."""
    fitted_on, calibrated_on, tested_on = next(folds(np.arange(len(matrices))))
    train, test = matrices.take(np.concatenate([fitted_on, calibrated_on])), matrices.take(tested_on)
    for old, new in ((BOARDS[0], BOARDS[1]), (BOARDS[1], BOARDS[0])):
        yield f"{old.name} -> {new.name}: median and 90 % of the error on {len(test)} held-out matrices, by runs"
        yield f"  {'runs':>6}  matrices known on {old.name}    sizes only          trees, both boards  trees, new only"
        known = fit(sextans.observations(old, train), sextans.PRIOR)
        there = sextans.split(known, old, train)
        measured = sextans.measured_schedule(there, train.latency_us[old.name])
        by_size = LearnedSchedule.of(train.sizes(), np.log(measured / there.schedule))
        prior = known.as_prior(sextans.PRIOR, np.array([1.0, *[0.5] * (len(sextans.TERMS) - 1)]))
        for count in (*CURVE, len(train) * len(COLUMNS)):
            draws = DRAWS if count < CURVE[-1] else 1
            errors = [_transfer(known, by_size, prior, old, new, train, test, count, seed) for seed in range(draws)]
            cells = []
            for column in zip(*errors, strict=True):
                both = np.concatenate(column)
                cells.append(f"{np.median(both):7.1%} {np.percentile(both, 90):7.1%}    " if len(both) else " " * 19)
            yield f"  {count:6}  {' '.join(cells)}".rstrip()


def _transfer(
    known: Fit,
    by_size: LearnedSchedule,
    prior: Prior,
    old: Board,
    new: Board,
    train: Matrices,
    test: Matrices,
    count: int,
    seed: int,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Errors with ``count`` random runs of ``new``: schedules known on the old board, sizes only, and two trees."""
    runs = np.random.default_rng(seed).permutation(len(train) * len(COLUMNS))[:count]
    seen = sextans.observations(new, train).take(runs)
    fitted = fit(seen, prior)
    truth = test.latency_us[new.name]
    drawn = _drawn(train, new, runs)
    power = likely_power(fitted, new, known, old, drawn)
    there, here = sextans.split(known, old, test), sextans.split(fitted, new, test)
    measured = sextans.measured_schedule(there, test.latency_us[old.name])
    expected = there.schedule * np.exp(by_size.predict(test.sizes())[0])
    found = [
        np.abs(here.latency(sextans.other_board(schedule, there.stream, here.stream, power)) / truth - 1).reshape(-1)
        for schedule in (measured, expected)
    ]
    return found[0], found[1], *_trees(old, new, train, test, seen, runs, truth.reshape(-1))


def _drawn(train: Matrices, board: Board, runs: Indices) -> Matrices:
    """The matrices of ``runs``, with the latencies on ``board`` that were not drawn unknown."""
    rows, columns = np.divmod(runs, len(COLUMNS))
    chosen = np.unique(rows)
    latency = np.full_like(train.latency_us[board.name], np.nan)
    latency[rows, columns] = train.latency_us[board.name][rows, columns]
    part = train.take(chosen)
    return Matrices(
        part.rows,
        part.columns,
        part.nonzeros,
        part.number,
        part.family,
        part.latency_us | {board.name: latency[chosen]},
    )


def _trees(
    old: Board, new: Board, train: Matrices, test: Matrices, seen: Observations, runs: Indices, truth: Floats
) -> tuple[Floats, Floats]:
    features, targets = run_features(train.sizes()), np.log(train.latency_us[old.name].reshape(-1))
    held = run_features(test.sizes())

    def flagged(table: Floats, is_new: float) -> Floats:
        return np.column_stack([table, np.full(len(table), is_new)])

    rows = np.concatenate([flagged(features, 0.0), flagged(features[runs], 1.0)])
    both = _quick_trees().fit(rows, np.concatenate([targets, np.log(seen.measured)]))
    first = np.abs(np.exp(both.predict(flagged(held, 1.0))) / truth - 1)
    if len(runs) < 2:
        return first, np.empty(0)
    alone = _quick_trees().fit(features[runs], np.log(seen.measured))
    return first, np.abs(np.exp(alone.predict(held)) / truth - 1)


def _quick_trees() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(loss="absolute_error", max_iter=120, learning_rate=0.1, random_state=0)
