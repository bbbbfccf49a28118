"""TPE and NSGA-II of Optuna, and the CMA-ES that Optuna builds on, as stateless samplers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import cmaes
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from aebert.search.sampling.samplers import Moment
from aebert.search.space.search_space import Draw, PatternSpace, Proposal, SearchSpace
from aebert.search.space.trials import MAXIMISED, Aim, ScoredTrial

_PATTERN = "pattern"
_RATIO = "ratio"
_CMA_SPREAD = 0.2
_SMALLEST_POPULATION = 4


class OptunaSampler:
    """A sampler of Optuna on a copy, in memory, of the trials so far.

    The study on disk is written by aebert.search.run.study alone, one transaction per trial; a sampler working on it
    would commit every parameter by itself.
    """

    def __init__(self, kind: Literal["tpe", "nsga2"], aims: Sequence[Aim], population: int) -> None:
        self._kind, self._aims, self._population = kind, tuple(aims), population

    def propose(self, space: SearchSpace, history: Sequence[ScoredTrial], count: int, moment: Moment) -> list[Proposal]:
        distributions = _distributions(space)
        with _silent():
            study = optuna.create_study(
                directions=["maximize" if aim in MAXIMISED else "minimize" for aim in self._aims],
                sampler=self._make(moment.number()),
            )
            study.add_trials([_as_frozen(item, distributions) for item in history])
            for _ in range(count):
                study.ask(distributions)
            asked = study.trials[len(history) :]
        return space.realise([_as_draw(trial.params, trial.system_attrs, space) for trial in asked])

    def _make(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._kind == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=self._population)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _gene(number: int) -> str:
    return f"gene{number:03}"


def _distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    named: dict[str, BaseDistribution] = {_gene(i): FloatDistribution(0.0, 1.0) for i in range(space.genes)}
    if len(space.patterns) > 1:
        named[_PATTERN] = CategoricalDistribution(list(space.patterns))
    if space.goal.ratio_is_drawn:
        named[_RATIO] = FloatDistribution(space.goal.low, space.goal.high)
    return named


def _as_draw(params: Mapping[str, object], notes: Mapping[str, object], space: SearchSpace) -> Draw:
    name = str(params.get(_PATTERN, next(iter(space.patterns))))
    own = space.patterns[name]
    genes = tuple(_number(params[_gene(i)]) for i in range(own.grid.genes))
    ratio = min(max(_number(params.get(_RATIO, own.goal.low)), own.goal.low), own.goal.high)
    kept = {key: value for key, value in notes.items() if isinstance(value, int | float | str)}
    return Draw(name, ratio, genes, kept)


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"Optuna drew {value!r}, not a number")
    return float(value)


def _as_frozen(item: ScoredTrial, distributions: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    draw = item.trial.proposal.draw
    drawn: dict[str, object] = {_gene(i): min(max(gene, 0.0), 1.0) for i, gene in enumerate(draw.genes)}
    drawn |= {_PATTERN: draw.pattern, _RATIO: draw.ratio}
    known = {name: distribution for name, distribution in distributions.items() if name in drawn}
    return optuna.trial.create_trial(
        values=list(item.outcome.values),
        params={name: drawn[name] for name in known},
        distributions=known,
        system_attrs=dict(draw.notes),
    )


@contextmanager
def _silent() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class CmaEsSampler:
    """CMA-ES by the score alone, one population for each pattern, all trials of a pattern in turn its generations.

    Optuna's own CMA-ES sampler keeps its optimiser in the study as a pickle, which an opened study would execute; this
    drives the same package (cmaes) from the trials themselves.
    """

    def __init__(self, population: int) -> None:
        self._population = max(population, _SMALLEST_POPULATION)

    def propose(self, space: SearchSpace, history: Sequence[ScoredTrial], count: int, moment: Moment) -> list[Proposal]:
        names = list(space.patterns)
        stream = moment.stream()
        draws: list[Draw] = []
        for place, name in enumerate(names):
            own = space.patterns[name]
            told = [item for item in history if item.candidate.pattern == name]
            optimiser = self._restored(own, told, int(stream.integers(2**31)))
            # Turns differ between rounds, so that a batch smaller than the number of patterns still serves all.
            share = len(range((place - moment.round - moment.attempt) % len(names), count, len(names)))
            draws += [self._draw(own, optimiser.ask()) for _ in range(share)]
        return space.realise(draws)

    def _restored(self, space: PatternSpace, told: Sequence[ScoredTrial], seed: int) -> cmaes.CMA:
        size = space.grid.genes + space.goal.ratio_is_drawn
        bounds = np.tile([0.0, 1.0], (size, 1))
        optimiser = cmaes.CMA(
            mean=np.full(size, 0.5), sigma=_CMA_SPREAD, bounds=bounds, seed=seed, population_size=self._population
        )
        solutions = [(_coordinates(space, item.trial.proposal.draw), -item.outcome.value) for item in told]
        whole = len(solutions) - len(solutions) % self._population
        for first in range(0, whole, self._population):
            if optimiser.should_stop():
                break
            optimiser.tell(solutions[first : first + self._population])
        return optimiser

    @staticmethod
    def _draw(space: PatternSpace, point: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Draw:
        genes = tuple(point[: space.grid.genes].tolist())
        goal = space.goal
        ratio = goal.low + float(point[-1]) * (goal.high - goal.low) if goal.ratio_is_drawn else goal.low
        return Draw(space.name, ratio, genes)


def _coordinates(space: PatternSpace, draw: Draw) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The point of CMA-ES that a draw was, in [0, 1]."""
    goal = space.goal
    tail = [(draw.ratio - goal.low) / (goal.high - goal.low)] if goal.ratio_is_drawn else []
    return np.clip([*draw.genes, *tail], 0.0, 1.0)
