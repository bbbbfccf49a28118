"""Searches on tiny encoders: what they score with, and a cost model whose figures can be worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aebert.models import load_encoder
from aebert.models.host import load_host_model
from aebert.pruning.patterns import Pattern, parse_pattern
from aebert.search.candidates import Granularity, IntArray
from aebert.search.executor import Job, JobResult, Specs, Workbench
from aebert.search.latency import LatencyPrediction
from aebert.search.measurer import Measurement
from aebert.search.scorer import ScorerSettings, prepare_scorer
from aebert.search.space import Goal, SearchSpace, make_space

WORDS = ("a", "the", "cat", "dog", "sat", "ran", "on", "to", "mat")


def tiny_texts(rows: int = 64) -> list[str]:
    stream = np.random.default_rng(5)
    return [" ".join(stream.choice(WORDS, size=stream.integers(3, 12))) for _ in range(rows)]


def tiny_space(
    model: Path,
    *patterns: str,
    low: float = 0.5,
    high: float | None = None,
    latency_ms: float | None = None,
    costs: LinearCosts | None = None,
    granularity: Granularity = "matrix",
) -> SearchSpace:
    parsed = [parse_pattern(pattern) for pattern in patterns or ("vector:2x1",)]
    goal = Goal(low, low if high is None else high, latency_ms)
    return make_space(load_encoder(model).shape, parsed, goal, granularity, levels=8, costs=costs)


def tiny_specs(model: Path, space: SearchSpace, directory: Path) -> Specs:
    """Scorers by fidelity, prepared in ``directory``."""
    host, encoder = load_host_model(model), load_encoder(model)
    settings = ScorerSettings(chunk_tokens=160)
    return {
        name: prepare_scorer(host, encoder, tiny_texts(), None, None, own.grid, directory, settings).spec
        for name, own in space.patterns.items()
    }


class HereExecutor:
    """Scores in this very process, and can be told to be interrupted before a job of that count."""

    def __init__(self, specs: Specs, interrupt_at: int | None = None) -> None:
        self._workbench = Workbench(specs)
        self._left = interrupt_at
        self.scored: list[str] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        for job in jobs:
            if self._left is not None:
                if self._left == 0:
                    raise KeyboardInterrupt
                self._left -= 1
            self.scored += [candidate.digest for candidate in job.candidates]
            yield self._workbench.score(job)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class LinearCosts:
    """A nanosecond for each kept unit, times ``factor``, which measurements correct."""

    factor: float = 1.0

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.factor).encode()).hexdigest()

    def latency(self, pattern: Pattern) -> LinearCosts:
        return self

    def predict(self, kept: IntArray) -> LatencyPrediction:
        mean = self.factor * kept.sum(axis=1) * 1e-6
        return LatencyPrediction(mean, 0.9 * mean, 1.1 * mean, "predicted, a nanosecond for each unit")

    def recalibrated(self, measurements: Sequence[Measurement]) -> LinearCosts:
        ratios = [each.latency_ms / (sum(each.candidate.kept) * 1e-6) for each in measurements]
        return replace(self, factor=float(np.mean(ratios)))
