"""From what a search holds in memory to the summary that it leaves in its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.run.choice import Ranked, Refined, pareto_front
from aebert.search.run.rounds import SearchResult
from aebert.search.run.summary import Dense, MeasuredMs, PredictedMs, RefinedScore, RunSummary, Sensitivity, Tried
from aebert.search.sampling.sensitivity import MOST_FITTED, Surrogate
from aebert.search.scoring.scores import Score
from aebert.search.space.grid import Grid, IntArray
from aebert.search.space.search_space import PatternSpace, SearchSpace
from aebert.search.space.trials import ScoredTrial

_FEWEST_TO_FIT = 3  # below that `Surrogate.refit` changes nothing


def summarise(
    before: SearchSpace,
    result: SearchResult,
    written: Sequence[Ranked],
    measurements: Mapping[int, MeasuredCandidate],
    dense: Score,
    objective: str,
    surrogates: Mapping[str, Surrogate],
    context: Mapping[str, str],
    best: Ranked,
    refined: Sequence[Ranked] = (),
    refining_rows: int = 0,
) -> RunSummary:
    """``before``: the space with the cost model that the search started with; ``written``: the candidates in front/, in
    order; ``best``: that of best/; ``refined``: the finalists; ``surrogates``: the measured ones. Without them,
    sensitivities are fitted to the candidates' scores."""
    space = result.space
    front = {item.number for item in pareto_front(result.ranked, len(result.ranked))}
    directories = {item.number: f"front/{place:02}" for place, item in enumerate(written)}
    uniform = {proposal.candidate for proposal in before.uniform()}
    refined_of = {item.number: item.refined for item in refined}
    tried: list[Tried] = []
    for name, own in space.patterns.items():
        items = [item for item in result.history if item.candidate.pattern == name]
        if not items:
            continue
        kept = own.grid.kept_of([item.candidate for item in items])
        ratios, layers, left = own.grid.overall_ratios(kept), _layer_ratios(own.grid, kept), own.grid.kept_weights(kept)
        predicted = zip(_predicted(before.patterns[name], kept), _predicted(own, kept), strict=True)
        for place, (item, (first, now)) in enumerate(zip(items, predicted, strict=True)):
            trial, candidate = item.trial, item.candidate
            tried.append(
                Tried(
                    trial=trial.number,
                    round=trial.round,
                    pattern=name,
                    ratio=float(ratios[place]),
                    layer_ratios=tuple(layers[place].tolist()),
                    kept_weights=int(left[place]),
                    score=item.outcome.value,
                    lost=item.outcome.lost,
                    uniform=candidate in uniform,
                    facts=item.outcome.facts,
                    before=first,
                    now=now,
                    measured=_measured(measurements.get(trial.number)),
                    front=trial.number in front or trial.number in directories,
                    directory=directories.get(trial.number),
                    refined=_refined(refined_of.get(trial.number)),
                )
            )
    first_space = next(iter(space.patterns.values()))
    return RunSummary(
        toolkit_version=version("aebert"),
        objective=objective,
        rows=dense.rows,
        prunable_weights=first_space.grid.total_weights,
        latency_limit_ms=space.goal.latency_ms,
        best=best.number,
        dense=Dense(dense.value, _facts(dense), _predicted(first_space, first_space.grid.units[None])[0]),
        tried=tuple(sorted(tried, key=lambda each: each.trial)),
        sensitivities=_sensitivities(space, result.history, surrogates, dense.value),
        context=dict(context),
        refining_rows=refining_rows,
    )


def _refined(found: Refined | None) -> RefinedScore | None:
    return None if found is None else RefinedScore(found.value, dict(found.facts), found.seconds)


def _facts(score: Score) -> dict[str, float]:
    return {name: fact for name, fact in asdict(score).items() if isinstance(fact, int | float)}


def _predicted(own: PatternSpace, kept: IntArray) -> list[PredictedMs | None]:
    if own.latency is None:
        return [None] * len(kept)
    found = own.latency.predict(kept)
    bounds = zip(found.mean_ms.tolist(), found.low_ms.tolist(), found.high_ms.tolist(), strict=True)
    return [PredictedMs(mean, low, high, found.source) for mean, low, high in bounds]


def _measured(found: MeasuredCandidate | None) -> MeasuredMs | None:
    return None if found is None else MeasuredMs(found.latency_ms, found.source, found.device)


def _layer_ratios(grid: Grid, kept: IntArray) -> Float64Array:
    """Zeroed weights of each layer over all prunable ones of a layer, [candidates, layers]."""
    zeroed = (grid.units - kept) * grid.unit_weights
    layers = grid.shape.layers
    ratios: Float64Array = np.stack(
        [zeroed[:, [site.layer == layer for site in grid.sites]].sum(axis=1) for layer in range(layers)], axis=1
    ) / (grid.total_weights / layers)
    return ratios


def _sensitivities(
    space: SearchSpace, history: Sequence[ScoredTrial], surrogates: Mapping[str, Surrogate], dense: float
) -> tuple[Sensitivity, ...]:
    found = []
    for name, own in space.patterns.items():
        fitted_to, surrogate = None, surrogates.get(name)
        if surrogate is None:
            whole = [item for item in history if not item.outcome.lost and _pattern_of(item) == name]
            if len(whole) < _FEWEST_TO_FIT:
                continue
            whole = whole[:: -(-len(whole) // MOST_FITTED)]  # some of all times of the search
            fitted_to = len(whole)
            surrogate = _fitted(own.grid, whole, dense)
        found.append(
            Sensitivity(
                name,
                tuple((site.layer, site.matrices) for site in own.grid.sites),
                tuple((np.arange(own.grid.levels) / own.grid.levels).tolist()),
                tuple(tuple(row) for row in surrogate.table.tolist()),
                fitted_to,
            )
        )
    return tuple(found)


def _fitted(grid: Grid, items: Sequence[ScoredTrial], dense: float) -> Surrogate:
    """An additive model of the scores; before it saw any, every weight that is zeroed costs the same."""
    zeroed = (grid.units[:, None] - grid.counts) * grid.unit_weights[:, None]
    even = Surrogate(grid, zeroed / grid.total_weights, dense)
    candidates: list[Candidate] = [item.candidate for item in items]
    return even.refit(grid.kept_of(candidates), np.array([item.outcome.value for item in items], np.float64))


def _pattern_of(item: ScoredTrial) -> str:
    return item.candidate.pattern
