"""Which of the tried candidates are the best: one, and the Pareto front over score, latency and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aebert.pruning.patterns import Float64Array
from aebert.search.candidates import IntArray
from aebert.search.measurer import Measurement
from aebert.search.space import PatternSpace, SearchSpace
from aebert.search.trials import ScoredTrial
from aebert.source_kind import SourceKind


@dataclass(frozen=True)
class Latency:
    """Milliseconds with their source: what a device gave, or the cost model's words for a prediction."""

    ms: float
    source: SourceKind | str
    device: str | None = None


@dataclass(frozen=True)
class Ranked:
    """A tried candidate with all that it is judged by. ``latency`` is None where no board was named."""

    trial: ScoredTrial
    latency: Latency | None
    kept_weights: int

    @property
    def measured(self) -> bool:
        return self.latency is not None and self.latency.device is not None

    @property
    def value(self) -> float:
        return self.trial.outcome.value


def rank(
    space: SearchSpace, history: Sequence[ScoredTrial], measurements: Mapping[int, Measurement] | None = None
) -> list[Ranked]:
    """The candidates that ran to the end and are within the latency budget, best score first, each once.

    A measured latency counts where there is one, the cost model's as it is now elsewhere.
    """
    measured = measurements or {}
    finished = {item.trial.proposal.candidate: item for item in reversed(history) if not item.outcome.lost}
    ranked: list[Ranked] = []
    for name, own in space.patterns.items():
        items = [item for candidate, item in finished.items() if candidate.pattern == name]
        if not items:
            continue
        kept = own.grid.kept_of([item.trial.proposal.candidate for item in items])
        weights = own.grid.kept_weights(kept).tolist()
        for item, left, predicted in zip(items, weights, _predicted(own, kept), strict=True):
            found = measured.get(item.trial.number)
            latency = predicted if found is None else Latency(found.latency_ms, found.source, found.device)
            ranked.append(Ranked(item, latency, left))
    limit = space.goal.latency_ms
    allowed = [item for item in ranked if limit is None or item.latency is None or item.latency.ms <= limit]
    return sorted(allowed, key=_order)


def _predicted(own: PatternSpace, kept: IntArray) -> list[Latency | None]:
    if own.latency is None:
        return [None] * len(kept)
    prediction = own.latency.predict(kept)
    return [Latency(ms, prediction.source) for ms in prediction.mean_ms.tolist()]


def pareto_front(ranked: Sequence[Ranked], most: int) -> list[Ranked]:
    """Those that no other beats in score, latency and size, fastest or smallest first; at most ``most`` of them.

    Of a longer front the ends stay, the best score, and between them those that leave the most even steps in score.
    """
    costs = np.array([_costs(item) for item in ranked], np.float64).reshape(len(ranked), 3)
    front = [item for item, cost in zip(ranked, costs, strict=True) if not _beaten(cost, costs)]
    front.sort(key=lambda item: (_costs(item)[1:], -item.value))
    if len(front) <= most:
        return front
    values = np.array([item.value for item in front])
    chosen = {int(values.argmax())}
    for target in np.linspace(values.min(), values.max(), most)[:-1]:
        left = [place for place in range(len(front)) if place not in chosen]
        chosen.add(min(left, key=lambda place: (abs(values[place] - target), place)))
    return [front[place] for place in sorted(chosen)]


def _beaten(cost: Float64Array, costs: Float64Array) -> bool:
    return bool(((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any())


def _costs(item: Ranked) -> tuple[float, float, float]:
    """Lower is better in each."""
    return (-item.value, 0.0 if item.latency is None else item.latency.ms, float(item.kept_weights))


def _order(item: Ranked) -> tuple[float, float, float, int]:
    return (*_costs(item), item.trial.trial.number)
