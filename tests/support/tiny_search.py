"""Searches on tiny encoders: what they score with, and a cost model whose figures can be worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.cost_model.protocols import LatencyPrediction
from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.pruning.zero_patterns import Pattern, parse_pattern
from aebert.search.scoring.scorer import ScorerSettings, prepare_scorer
from aebert.search.space.grid import Granularity, IntArray
from aebert.search.space.search_space import Goal, SearchSpace, make_space
from aebert.search.workers.executor import Job, JobResult, Specs, Workbench

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

    def refitted(self, measurements: Sequence[MeasuredCandidate]) -> LinearCosts:
        ratios = [each.latency_ms / (sum(each.candidate.kept) * 1e-6) for each in measurements]
        return replace(self, factor=float(np.mean(ratios)))


@dataclass(frozen=True)
class Work:
    """Jobs for workers, and what they give where nothing is in between."""

    specs: Specs
    jobs: list[Job]
    results: list[JobResult]


def tiny_work(model: Path, folder: Path, *, jobs: int, each: int, races: bool) -> Work:
    """``jobs`` jobs of ``each`` candidates; with ``races`` every other one keeps its best alone."""
    space = tiny_space(model)
    specs = tiny_specs(model, space, folder)
    (own,) = space.patterns.values()
    count = jobs * each
    drawn = np.random.default_rng(0).uniform(0, 1, (count, own.grid.genes))
    candidates = own.grid.candidates(own.meet(drawn, np.full(count, 0.5)))
    work = [
        Job(n, tuple(candidates[each * n : each * (n + 1)]), keep=1 if races and n % 2 else None) for n in range(jobs)
    ]
    return Work(specs, work, list(HereExecutor(specs).run(work)))
