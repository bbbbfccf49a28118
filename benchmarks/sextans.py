"""Sextans on U280 and U250: structure, calibration and intervals against 25,844 measured runs, split by matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict

from aebert.cost_model.intervals import LEVELS, conformal_bound
from aebert.cost_model.observations import Floats, Indices
from aebert.cost_model.robust_fit import Fit, fit
from benchmarks import sextans_structure as sextans
from benchmarks.sextans_structure import BOARDS, COLUMNS, Board, Matrices, Split

FOLDS = 5
NOISE = 0.02  # of one run (log), where its matrix is known; the bounds are calibrated on top
ONE_RUN = 3  # N = 64
POWERS = np.array([1.5, 2.0, 2.5, 3.0, 4.0, 6.0])
LIKELY_POWER = 2.0


@dataclass(frozen=True)
class Prediction:
    """[matrices, COLUMNS]: median, and standard deviation of the logarithm before calibration."""

    median: Floats
    deviation: Floats


def folds(groups: list[str] | Indices) -> Iterator[tuple[Indices, Indices, Indices]]:
    """(Fitted on, calibrated on, tested on) of each fold: indices of matrices, no group in two of them."""
    every = np.arange(len(groups))
    for rest, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(every, groups=groups):
        held = [groups[index] for index in rest]
        fitted, calibration = next(GroupKFold(4, shuffle=True, random_state=1).split(rest, groups=held))
        yield rest[fitted], rest[calibration], test


def learner() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=150, learning_rate=0.06, min_samples_leaf=5, random_state=0
    )


@dataclass(frozen=True)
class LearnedSchedule:
    """How far the schedules of matrices like this one were from the structure's: median and spread (log)."""

    median: HistGradientBoostingRegressor
    spread: HistGradientBoostingRegressor

    @classmethod
    def of(cls, features: Floats, effects: Floats) -> LearnedSchedule:
        left = effects - cross_val_predict(learner(), features, effects, cv=FOLDS)
        spread = HistGradientBoostingRegressor(max_iter=60, learning_rate=0.06, min_samples_leaf=20, random_state=0)
        return cls(learner().fit(features, effects), spread.fit(features, np.log(np.abs(left) + 0.01)))

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        return self.median.predict(features), np.exp(self.spread.predict(features))


def with_schedule(parts: Split, schedule: Floats, spread: Floats | float) -> Prediction:
    share = parts.schedule_share(schedule)
    deviation = np.sqrt(NOISE**2 + (share * np.broadcast_to(spread, len(schedule))[:, None]) ** 2)
    return Prediction(parts.latency(schedule), deviation)


@dataclass(frozen=True)
class Fold:
    """A fold with the structure fitted on its training matrices, on this board and the other."""

    board: Board
    other: Board
    train: Matrices
    fitted: Fit
    fitted_other: Fit

    def structure(self, matrices: Matrices) -> Prediction:
        parts = sextans.split(self.fitted, self.board, matrices)
        return with_schedule(parts, parts.schedule, 0.3)

    def learned(self, features: Callable[[Matrices], Floats]) -> Callable[[Matrices], Prediction]:
        parts = sextans.split(self.fitted, self.board, self.train)
        measured = sextans.measured_schedule(parts, self.train.latency_us[self.board.name])
        model = LearnedSchedule.of(features(self.train), np.log(measured / parts.schedule))

        def predict(matrices: Matrices) -> Prediction:
            of_these = sextans.split(self.fitted, self.board, matrices)
            effect, spread = model.predict(features(matrices))
            return with_schedule(of_these, of_these.schedule * np.exp(effect), spread)

        return predict

    def one_run(self, matrices: Matrices) -> Prediction:
        """The matrix has run once on this board."""
        parts = sextans.split(self.fitted, self.board, matrices)
        schedule = sextans.measured_schedule(parts, matrices.latency_us[self.board.name], slice(ONE_RUN, ONE_RUN + 1))
        return with_schedule(parts, schedule, 0.05)

    def other_board(self, matrices: Matrices) -> Prediction:
        """The matrix has run on the other board."""
        power = likely_power(self.fitted, self.board, self.fitted_other, self.other, self.train)
        there, here = (
            sextans.split(self.fitted_other, self.other, matrices),
            sextans.split(self.fitted, self.board, matrices),
        )
        measured = sextans.measured_schedule(there, matrices.latency_us[self.other.name])
        return with_schedule(here, sextans.other_board(measured, there.stream, here.stream, power), 0.05)


def likely_power(fitted: Fit, board: Board, fitted_other: Fit, other: Board, matrices: Matrices) -> float:
    """Of matrices that ran on both boards; near `LIKELY_POWER` when there are few."""
    if len(matrices) == 0:
        return LIKELY_POWER
    here, there = sextans.split(fitted, board, matrices), sextans.split(fitted_other, other, matrices)
    measured = sextans.measured_schedule(there, matrices.latency_us[other.name])
    truth = matrices.latency_us[board.name]
    costs = []
    for power in POWERS:
        latency = here.latency(sextans.other_board(measured, there.stream, here.stream, power))
        misses = np.abs(np.log(latency / truth))[np.isfinite(truth)]
        costs.append(float(np.minimum(misses, 0.5).sum()) / 0.05 + 2 * np.log(power / LIKELY_POWER) ** 2)
    return float(POWERS[int(np.argmin(costs))])


@dataclass(frozen=True)
class Score:
    """Of held-out runs. ``inside``: share of runs in the interval of each level, for structures with intervals."""

    errors: Floats
    inside: tuple[float, ...] = ()
    width: float = float("nan")

    def line(self, name: str) -> str:
        shares = "  ".join(f"{share:5.1%}" for share in self.inside)
        text = (
            f"  {name:44} {np.median(self.errors):6.1%} {np.percentile(self.errors, 75):6.1%}"
            f" {np.percentile(self.errors, 90):6.1%}"
        )
        return text + (f"   {shares}   x{self.width:.2f}" if self.inside else "")


HEADER = (
    f"  {'':44} median   75 %   90 %   inside {', '.join(f'{level:.0%}' for level in LEVELS)} intervals,"
    f" half width of the {LEVELS[0]:.0%}"
)


@dataclass
class Tally:
    """Collects a predictor's held-out runs over the folds."""

    errors: list[Floats]
    inside: list[Floats]
    widths: list[Floats]

    @classmethod
    def empty(cls) -> Tally:
        return cls([], [], [])

    def add(
        self,
        predict: Callable[[Matrices], Prediction],
        board: Board,
        calibration: Matrices,
        test: Matrices,
        scored: Indices,
        groups: tuple[str, ...] | None = None,
    ) -> None:
        """``groups`` [calibration matrices]: what is alike, each matrix by itself when not given."""
        known = predict(calibration)
        scores = np.abs(np.log(known.median / calibration.latency_us[board.name])) / known.deviation
        alike = np.arange(len(calibration)).astype(str) if groups is None else np.array(groups)
        labels = np.repeat(alike, len(scored)).tolist()
        bounds = [conformal_bound(scores[:, scored].reshape(-1), labels, level) for level in LEVELS]
        found, truth = predict(test), test.latency_us[board.name]
        self.errors.append(np.abs(found.median / truth - 1)[:, scored].reshape(-1))
        missed = np.abs(np.log(found.median / truth)) / found.deviation
        self.inside.append(np.array([(missed <= bound.deviations)[:, scored].mean() for bound in bounds]))
        self.widths.append(np.exp(bounds[0].deviations * found.deviation[:, scored]).reshape(-1))

    def score(self) -> Score:
        inside = tuple(np.mean(self.inside, axis=0).tolist())
        return Score(np.concatenate(self.errors), inside, float(np.median(np.concatenate(self.widths))))


def run_features(features: Floats) -> Floats:
    """[matrices x COLUMNS, features + 1]: with the logarithm of N."""
    return np.column_stack([np.repeat(features, len(COLUMNS), axis=0), np.tile(np.log(COLUMNS), len(features))])


def tuned_trees(train: Matrices, board: Board) -> dict[str, object]:
    """Gradient-boosted trees, tuned by cross-validation over matrices; ten thousand runs, so seconds each."""
    grid = {
        "loss": ["absolute_error", "squared_error"],
        "max_leaf_nodes": [15, 63],
    }
    search = GridSearchCV(
        HistGradientBoostingRegressor(max_iter=200, learning_rate=0.08, random_state=0),
        grid,
        scoring="neg_median_absolute_error",
        cv=GroupKFold(3),
    )
    groups = np.repeat(np.arange(len(train)), len(COLUMNS))
    search.fit(run_features(train.sizes()), np.log(train.latency_us[board.name].reshape(-1)), groups=groups)
    best: dict[str, object] = search.best_params_
    return best


def baseline(
    model: LinearRegression | HistGradientBoostingRegressor,
    features: Callable[[Matrices], Floats],
    board: Board,
    train: Matrices,
    test: Matrices,
) -> Floats:
    """Errors [runs] of a regressor of the latency's logarithm."""
    model.fit(run_features(features(train)), np.log(train.latency_us[board.name].reshape(-1)))
    predicted = np.exp(model.predict(run_features(features(test))))
    errors: Floats = np.abs(predicted / test.latency_us[board.name].reshape(-1) - 1)
    return errors


def held_out_tables(matrices: Matrices) -> Iterator[str]:
    """Per board: baselines, structure, and what knowing more about a matrix gives."""
    everything = np.arange(len(COLUMNS))
    for number, board in enumerate(BOARDS):
        other = BOARDS[1 - number]
        tallies: dict[str, Tally] = {}
        plain: dict[str, list[Floats]] = {}
        trees: dict[str, object] | None = None
        for fitted_on, calibrated_on, tested_on in folds(np.arange(len(matrices))):
            train, calibration, test = (matrices.take(part) for part in (fitted_on, calibrated_on, tested_on))
            both = matrices.take(np.concatenate([fitted_on, calibrated_on]))
            trees = tuned_trees(both, board) if trees is None else trees
            boosted = HistGradientBoostingRegressor(max_iter=200, learning_rate=0.08, random_state=0, **trees)
            for name, model, features in (
                ("linear regression of logarithms", LinearRegression(), Matrices.sizes),
                ("gradient-boosted trees", boosted, Matrices.sizes),
                ("gradient-boosted trees, catalogue number", boosted, Matrices.catalogued),
            ):
                plain.setdefault(name, []).append(baseline(model, features, board, both, test))
            fold = Fold(
                board,
                other,
                train,
                fit(sextans.observations(board, train), sextans.PRIOR),
                fit(sextans.observations(other, train), sextans.PRIOR),
            )
            for name, predict, scored in (
                ("structure", fold.structure, everything),
                ("structure + matrices of like size", fold.learned(Matrices.sizes), everything),
                ("structure + catalogue number", fold.learned(Matrices.catalogued), everything),
                ("structure + one run of the matrix (N=64)", fold.one_run, np.delete(everything, ONE_RUN)),
                (f"structure + the matrix's runs on {other.name}", fold.other_board, everything),
            ):
                tallies.setdefault(name, Tally.empty()).add(predict, board, calibration, test, scored)
        coefficients = zip(sextans.TERMS, fold.fitted.coefficients.round(2).tolist(), strict=True)
        yield f"{board.name}: {', '.join(f'{term} {value}' for term, value in coefficients)}"
        yield "  (cycles of 197 MHz per cycle of the structure; launch in us, batch and window in cycles)"
        yield f"  trees tuned to {trees}"
        yield HEADER
        for name, errors in plain.items():
            yield Score(np.concatenate(errors)).line(name)
        for name, tally in tallies.items():
            yield tally.score().line(name)


def family_table(matrices: Matrices) -> Iterator[str]:
    """No family of matrices on both sides: what is left when a matrix has no like among those measured."""
    yield "No name family on both sides of the split, sizes only:"
    yield HEADER
    for board in BOARDS:
        tally, trees = Tally.empty(), []
        for fitted_on, calibrated_on, tested_on in folds(list(matrices.family)):
            train, calibration, test = (matrices.take(part) for part in (fitted_on, calibrated_on, tested_on))
            fitted = fit(sextans.observations(board, train), sextans.PRIOR)
            fold = Fold(board, board, train, fitted, fitted)
            every = np.arange(len(COLUMNS))
            tally.add(fold.learned(Matrices.sizes), board, calibration, test, every, calibration.family)
            trees.append(baseline(learner(), Matrices.sizes, board, train, test))
        yield Score(np.concatenate(trees)).line(f"{board.name} gradient-boosted trees")
        yield tally.score().line(f"{board.name} structure + matrices of like size")


def twins(matrices: Matrices, tolerance: float = 0.05, apart: int = 50) -> Iterator[str]:
    """Matrices of other families and collections with like M, K, NNZ: what no function of the sizes can tell apart."""
    places = np.log(np.stack([matrices.rows, matrices.columns, matrices.nonzeros], axis=1))
    pairs = cKDTree(places).query_pairs(tolerance, p=np.inf, output_type="ndarray")
    number, family = matrices.number, matrices.family
    strangers = [abs(number[a] - number[b]) > apart and family[a] != family[b] for a, b in pairs]
    pairs = pairs[np.array(strangers, bool)]
    yield f"Twins: {len(pairs)} pairs of matrices of other families and collections, sizes equal to {tolerance:.0%}"
    for board in BOARDS:
        longest = matrices.latency_us[board.name][:, -1]
        half = np.abs(np.log(longest[pairs[:, 0]] / longest[pairs[:, 1]])) / 2
        least = np.expm1(half)
        yield (
            f"  {board.name}, N=512: even the best number between the two is off by {np.median(least):.1%} (median),"
            f" {np.percentile(least, 75):.0%} (75 %), {np.percentile(least, 90):.0%} (90 %)"
        )
