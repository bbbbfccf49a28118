"""A robust, hierarchical fit of a structure's coefficients, regularised toward the structure's own values.

    log measured = log(sum over terms of coefficient * amount) + sum over levels of the group's effect + error

The logarithm of each coefficient has a normal prior around the structure's own value; the effects of a level's groups
(tools, boards, designs) lie around 0 with a spread of their own, so a group with few runs borrows from the others
(partial pooling), and a group never seen has effect 0 and adds its level's spread to the interval. Effects and errors
follow Student's t, which lets single groups and runs be far off. The maximum a posteriori is found with
scipy's trust region, spreads and error by expectation maximisation (for mixed models Laird and Ware 1982).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.optimize import least_squares

from aebert.cost_model.observations import Floats, Mask, Observations, distinct

_PRIOR_WEIGHT = 2.0  # the prior guess of a spread counts like this many groups
_NOISE_WEIGHT = 1.0  # the prior guess of the error counts like this many runs
_SMALLEST_SPREAD = 1e-4
_ROUNDS = 30
_SETTLED = 1e-3


@dataclass(frozen=True)
class Prior:
    """``centre`` [terms]: the structure's own coefficients, > 0; ``spread`` [terms]: how far, as the standard deviation
    of the logarithm, the truth may lie from them. ``levels``: the same for the groups of each level; ``noise`` for one
    run. ``freedom``: degrees of freedom of errors and effects; 4 where nothing else is known (Lange, Little, Taylor
    1989), fewer where many are far off for reasons that the terms do not hold."""

    centre: Floats
    spread: Floats
    levels: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.1
    freedom: float = 4.0


@dataclass(frozen=True)
class Level:
    """Effects (log scale) of the groups of a level, and the spread among groups."""

    effects: Mapping[str, float]
    spread: float


@dataclass(frozen=True)
class Fit:
    """``covariance`` [terms + effects, terms + effects]: of the coefficients' logarithms, then of all effects in the
    order of ``levels`` and their groups. ``noise``: the scale of one run's error (log)."""

    terms: tuple[str, ...]
    coefficients: Floats
    levels: Mapping[str, Level]
    covariance: Floats
    noise: float

    def predict(self, amounts: Floats, groups: Mapping[str, Sequence[str | None]]) -> tuple[Floats, Floats]:
        """(Mean, standard deviation) of the logarithm of the measured value, [runs].

        A level that ``groups`` leaves out, a group that is None, and one that was never seen are an unknown group.
        """
        parts = amounts * self.coefficients
        total = parts.sum(axis=1)
        unknown = np.zeros(len(amounts))
        blocks = [parts / total[:, None]]
        effects: list[float] = []
        for name, level in self.levels.items():
            labels = groups.get(name, [None] * len(amounts))
            block = _indicators(labels, tuple(level.effects))
            unknown += level.spread**2 * (block.sum(axis=1) == 0)
            blocks.append(block)
            effects += level.effects.values()
        slopes = np.hstack(blocks)
        mean: Floats = np.log(total) + slopes[:, len(self.terms) :] @ np.array(effects, np.float64)
        variance = self.noise**2 + unknown + np.einsum("ri,ij,rj->r", slopes, self.covariance, slopes)
        return mean, np.sqrt(variance)

    def as_prior(self, prior: Prior, spread: float | Floats) -> Prior:
        """For another board: these coefficients as the centre, which its own may leave by ``spread`` (log; of
        all terms or of each)."""
        own = np.diag(self.covariance)[: len(self.terms)]
        wide = np.sqrt(own + spread**2)
        levels = {name: level.spread for name, level in self.levels.items()}
        return Prior(self.coefficients, wide, levels, prior.noise, prior.freedom)


@dataclass(frozen=True)
class _Problem:
    """The observations as arrays. ``columns``: where each level's effects lie among the parameters."""

    amounts: Floats
    target: Floats
    indicators: Floats  # [runs, effects]
    centre: Floats
    columns: Mapping[str, slice]
    labels: Mapping[str, tuple[str, ...]]
    freedom: float

    @property
    def terms(self) -> int:
        return len(self.centre)

    def residuals(self, parameters: Floats) -> Floats:
        total = self.amounts @ np.exp(self.centre + parameters[: self.terms])
        result: Floats = np.log(total) + self.indicators @ parameters[self.terms :] - self.target
        return result

    def jacobian(self, parameters: Floats) -> Floats:
        parts = self.amounts * np.exp(self.centre + parameters[: self.terms])
        return np.hstack([parts / parts.sum(axis=1, keepdims=True), self.indicators])


def fit(observations: Observations, prior: Prior) -> Fit:
    """With few runs the result stays close to ``prior``, with none it is the prior: the structure alone."""
    if len(observations) == 0:
        unknown = {name: Level({}, spread) for name, spread in prior.levels.items()}
        return Fit(observations.terms, prior.centre, unknown, np.diag(prior.spread**2), prior.noise)
    problem = _problem(observations, prior)
    spreads = dict(prior.levels)
    noise = prior.noise
    parameters = np.zeros(problem.terms + problem.indicators.shape[1])
    for _ in range(_ROUNDS):
        deviations = _deviations(problem, prior, spreads)
        parameters = _maximise(problem, parameters, deviations, noise)
        covariance = _covariance(problem, parameters, deviations, noise)
        before = np.array([noise, *spreads.values()])
        noise = _noise(problem, parameters, covariance, prior.noise, noise)
        spreads = {
            name: _spread(problem, parameters, covariance, problem.columns[name], prior.levels[name], spread)
            for name, spread in spreads.items()
        }
        if np.max(np.abs(np.log(np.array([noise, *spreads.values()]) / before))) < _SETTLED:
            break
    levels = {
        name: Level(dict(zip(problem.labels[name], parameters[columns].tolist(), strict=True)), spreads[name])
        for name, columns in problem.columns.items()
    }
    coefficients = np.exp(problem.centre + parameters[: problem.terms])
    return Fit(observations.terms, coefficients, levels, covariance, noise)


def _problem(observations: Observations, prior: Prior) -> _Problem:
    runs = len(observations)
    blocks, columns, names = [np.zeros((runs, 0))], {}, {}
    start = len(prior.centre)
    for level in prior.levels:
        labels = observations.groups.get(level, (None,) * runs)
        names[level] = distinct(labels)
        blocks.append(_indicators(labels, names[level]))
        columns[level] = slice(start, start + len(names[level]))
        start = columns[level].stop
    return _Problem(
        observations.amounts,
        np.log(observations.measured),
        np.hstack(blocks),
        np.log(prior.centre),
        columns,
        names,
        prior.freedom,
    )


def _indicators(labels: Sequence[str | None], groups: Sequence[str]) -> Floats:
    """[runs, groups]: 1 where a run belongs to the group."""
    place = {group: column for column, group in enumerate(groups)}
    block = np.zeros((len(labels), len(groups)))
    for row, label in enumerate(labels):
        if label in place:
            block[row, place[label]] = 1.0
    return block


def _deviations(problem: _Problem, prior: Prior, spreads: Mapping[str, float]) -> Floats:
    """Prior standard deviation of every parameter."""
    effects = [np.full(len(problem.labels[level]), spread) for level, spread in spreads.items()]
    return np.concatenate([prior.spread, *effects])


def _maximise(problem: _Problem, start: Floats, deviations: Floats, noise: float) -> Floats:
    """The most probable parameters: Student's t for runs and effects, squares for the coefficients' priors."""
    runs = len(problem.target)
    normal = np.zeros(runs + len(start), np.bool_)
    normal[runs : runs + problem.terms] = True

    def residuals(parameters: Floats) -> Floats:
        return np.concatenate([problem.residuals(parameters) / noise, parameters / deviations])

    def jacobian(parameters: Floats) -> Floats:
        return np.vstack([problem.jacobian(parameters) / noise, np.diag(1 / deviations)])

    found = least_squares(residuals, start, jacobian, loss=partial(_loss, normal, problem.freedom), x_scale="jac")
    best: Floats = found.x
    return best


def _loss(normal: Mask, freedom: float, squares: Floats) -> Floats:
    """scipy's form of a loss: value, first and second derivative with respect to the squared residual."""
    first = np.where(normal, 1.0, (freedom + 1) / (freedom + squares))
    value = np.where(normal, squares, (freedom + 1) * np.log1p(squares / freedom))
    second = np.where(normal, 0.0, -first / (freedom + squares))
    return np.stack([value, first, second])


def _weights(residuals: Floats, scale: Floats | float, freedom: float) -> Floats:
    """How much each run or effect counts: above 1 where it is where it should be, little where it is far off."""
    result: Floats = (freedom + 1) / (freedom + (residuals / scale) ** 2)
    return result


def _covariance(problem: _Problem, parameters: Floats, deviations: Floats, noise: float) -> Floats:
    """The inverse of the weighted normal equations at the maximum."""
    slopes = problem.jacobian(parameters)
    of_runs = _weights(problem.residuals(parameters), noise, problem.freedom)
    of_parameters = _weights(parameters, deviations, problem.freedom)
    of_parameters[: problem.terms] = 1.0
    normal = (slopes * of_runs[:, None]).T @ slopes / noise**2 + np.diag(of_parameters / deviations**2)
    inverse: Floats = np.linalg.inv(normal)
    return inverse


def _noise(problem: _Problem, parameters: Floats, covariance: Floats, guess: float, noise: float) -> float:
    """The scale of one run's error, drawn to the guess: weighted squares, plus what the parameters leave unknown."""
    residuals, slopes = problem.residuals(parameters), problem.jacobian(parameters)
    unknown = np.einsum("ri,ij,rj->r", slopes, covariance, slopes)
    squares = float(np.sum(_weights(residuals, noise, problem.freedom) * (residuals**2 + unknown)))
    return _drawn_to(guess, _NOISE_WEIGHT, squares, len(residuals))


def _spread(
    problem: _Problem, parameters: Floats, covariance: Floats, columns: slice, guess: float, spread: float
) -> float:
    """The spread among a level's groups: weighted squares of their effects plus what is still unknown of each."""
    effects = parameters[columns]
    unknown = np.diag(covariance)[columns]
    squares = float(np.sum(_weights(effects, spread, problem.freedom) * (effects**2 + unknown)))
    return _drawn_to(guess, _PRIOR_WEIGHT, squares, len(effects))


def _drawn_to(guess: float, weight: float, squares: float, count: int) -> float:
    return max(_SMALLEST_SPREAD, float(np.sqrt((weight * guess**2 + squares) / (weight + count))))
