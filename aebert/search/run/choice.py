"""Which of the tried candidates are the best: one, and the Pareto front over score, latency and size."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import Float64Array
from aebert.records.source_kind import SourceKind
from aebert.search.space.grid import IntArray
from aebert.search.space.search_space import PatternSpace, SearchSpace
from aebert.search.space.trials import ScoredTrial


@dataclass(frozen=True)
class Latency:
    """Milliseconds with their source: what a device gave, or the cost model's words for a prediction."""

    ms: float
    source: SourceKind | str
    device: str | None = None


@dataclass(frozen=True)
class Refined:
    """A candidate's subnet with masks and weights fitted together: its score (higher is better) and what was found, on
    all scoring rows or on those that were held out to judge by. ``seconds``: processor time that it took."""

    value: float
    facts: Mapping[str, float]
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class Ranked:
    """A tried candidate with all that it is judged by. ``latency`` is None where no board was named.

    Where it was ``refined``, that is what counts; the trial's outcome is what it was scored as before.
    """

    trial: ScoredTrial
    latency: Latency | None
    kept_weights: int
    refined: Refined | None = None

    @property
    def candidate(self) -> Candidate:
        return self.trial.candidate

    @property
    def number(self) -> int:
        """Of the trial, within its search."""
        return self.trial.number

    @property
    def measured(self) -> bool:
        return self.latency is not None and self.latency.device is not None

    @property
    def value(self) -> float:
        return self.trial.outcome.value if self.refined is None else self.refined.value

    @property
    def facts(self) -> Mapping[str, float]:
        """What was found on the scoring rows."""
        return self.trial.outcome.facts if self.refined is None else self.refined.facts


def rank(
    space: SearchSpace, history: Sequence[ScoredTrial], measurements: Mapping[int, MeasuredCandidate] | None = None
) -> list[Ranked]:
    """The candidates that ran to the end and are within the latency budget, best score first, each once.

    A measured latency counts where there is one, the cost model's as it is now elsewhere.
    """
    measured = measurements or {}
    finished = {item.candidate: item for item in reversed(history) if not item.outcome.lost}
    ranked: list[Ranked] = []
    for name, own in space.patterns.items():
        items = [item for candidate, item in finished.items() if candidate.pattern == name]
        if not items:
            continue
        kept = own.grid.kept_of([item.candidate for item in items])
        weights = own.grid.kept_weights(kept).tolist()
        for item, left, predicted in zip(items, weights, _predicted(own, kept), strict=True):
            found = measured.get(item.number)
            latency = predicted if found is None else Latency(found.latency_ms, found.source, found.device)
            ranked.append(Ranked(item, latency, left))
    limit = space.goal.latency_ms
    allowed = [item for item in ranked if limit is None or item.latency is None or item.latency.ms <= limit]
    return in_order(allowed)


def in_order(items: Sequence[Ranked]) -> list[Ranked]:
    """The best score first; of equal ones the faster, the smaller, the earlier one."""
    return sorted(items, key=_order)


def finalists(ranked: Sequence[Ranked], flat: Collection[Candidate], most_front: int, most: int) -> list[Ranked]:
    """Those that refining might make the best: the front, the ``most`` best by score, and, of candidates with one
    ratio everywhere (``flat``), the best. Each once, in the order of ``ranked``, which is best first."""
    chosen = {item.number for item in [*pareto_front(ranked, most_front), *ranked[:most]]}
    chosen |= {item.number for item in [other for other in ranked if other.candidate in flat][:1]}
    return [item for item in ranked if item.number in chosen]


def _predicted(own: PatternSpace, kept: IntArray) -> list[Latency | None]:
    if own.latency is None:
        return [None] * len(kept)
    prediction = own.latency.predict(kept)
    return [Latency(ms, prediction.source) for ms in prediction.mean_ms.tolist()]


def pareto_front(ranked: Sequence[Ranked], most: int) -> list[Ranked]:
    """Those that no other beats in score, latency and size, fastest or smallest first; at most ``most`` of them.

    Of a longer front the best score and the fastest (without latencies the smallest) stay, and between them those that
    leave the most even steps in latency (or size): scores fall steeply at one end, and would crowd there.
    """
    costs = np.array([_costs(item) for item in ranked], np.float64).reshape(len(ranked), 3)
    unbeaten = _unbeaten(costs)
    front = [item for item, cost in zip(ranked, costs.tolist(), strict=True) if tuple(cost) in unbeaten]
    front.sort(key=lambda item: (_costs(item)[1:], -item.value))
    if len(front) <= most:
        return front
    values = np.array([item.value for item in front])
    axis = 2 if all(item.latency is None for item in front) else 1
    steps = np.array([_costs(item)[axis] for item in front])
    chosen = {int(values.argmax())}
    for target in np.linspace(steps.min(), steps.max(), most)[:-1]:
        left = [place for place in range(len(front)) if place not in chosen]
        chosen.add(min(left, key=lambda place: (abs(steps[place] - target), place)))
    return [front[place] for place in sorted(chosen)]


def _unbeaten(costs: Float64Array) -> set[tuple[float, ...]]:
    """Of ``costs`` [n, 3] the rows that no other beats: n comparisons for each of these, as an interrupted search of
    many candidates is waited for."""
    left = np.unique(costs, axis=0)  # in order, so that no later row beats an earlier one
    found = set()
    while len(left):
        found.add(tuple(left[0].tolist()))
        left = left[(left < left[0]).any(axis=1)]
    return found


def _costs(item: Ranked) -> tuple[float, float, float]:
    """Lower is better in each."""
    return (-item.value, 0.0 if item.latency is None else item.latency.ms, float(item.kept_weights))


def _order(item: Ranked) -> tuple[float, float, float, int]:
    return (*_costs(item), item.number)
