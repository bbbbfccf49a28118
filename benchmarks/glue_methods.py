"""The ways to prune that benchmarks.glue compares, each from a dense model of a task to a pruned encoder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.host_model import HostModel, load_host_model
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.saliency import site_scores
from aebert.pruning.unit_counts import MatrixKey, layer_ratios, list_sites
from aebert.search.run.rounds import Search, SearchSettings, aims_of
from aebert.search.run.study import Study, sqlite_url
from aebert.search.sampling.samplers import random_draw
from aebert.search.sampling.sensitivity import Surrogate, measure_surrogate
from aebert.search.sampling.surrogate_sampler import SurrogateSampler
from aebert.search.scoring.prepared_weights import Recipe
from aebert.search.scoring.scorer import Scorer, ScorerSettings, prepare_scorer
from aebert.search.scoring.scores import Objective
from aebert.search.space.budget import make_budget, uniform_candidate
from aebert.search.space.grid import Grid
from aebert.search.space.search_space import Goal, make_space
from aebert.search.workers.executor import Job, JobResult
from aebert.support.extensions import method_name
from aebert.tasks import Split, TaskData, load_task, split_train

# Candidates that a search really evaluates, and calibration rows that it does so on.
TRIED = 40
SCORED_ROWS = 128
SURROGATE_ROWS = 64
ROUND = 10


@dataclass(frozen=True)
class Workbench:
    """A task's dense model, its rows, and the split that searches and fine-tuning share."""

    directory: Path
    scratch: Path
    host: HostModel
    encoder: Encoder
    data: TaskData
    split: Split

    @staticmethod
    @lru_cache(maxsize=1)
    def open(data: Path, out: Path, directory: Path, task: str) -> Workbench:
        loaded = load_task(task, data)
        return Workbench(
            directory,
            out / "prepared" / task,
            load_host_model(directory),
            load_encoder(directory),
            loaded,
            split_train(loaded.train),
        )


@dataclass(frozen=True)
class Pruned:
    """``scores``: what the method thought of its choice."""

    encoder: Encoder
    saliency: str
    compensation: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Method:
    """``draws``: the result depends on the seed."""

    prune: Callable[[Workbench, str, float, int], Pruned]
    draws: bool


def _by_magnitude(bench: Workbench, pattern: str, ratios: float | Mapping[MatrixKey, float]) -> Pruned:
    pruned = prune_encoder(bench.encoder, parse_pattern(pattern), ratios)
    return Pruned(pruned.encoder, "magnitude", "none", {})


def uniform(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """The same ratio everywhere, by magnitude."""
    return _by_magnitude(bench, pattern, ratio)


def global_magnitude(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """One threshold for the units of all matrices; the pattern then keeps so many in each matrix."""
    parsed, encoder = parse_pattern(pattern), bench.encoder
    sites = list_sites(encoder.shape, parsed)
    scores = [
        site_scores(site, encoder.layers[site.layer], encoder.shape, parsed, "magnitude", None).ravel()
        for site in sites
    ]
    everything = np.concatenate(scores)
    zeroed = round(ratio * len(everything))
    lowest = np.zeros(len(everything), bool)
    lowest[np.argsort(everything, kind="stable")[:zeroed]] = True
    parts = np.split(lowest, np.cumsum([len(part) for part in scores])[:-1])
    ratios = {
        (site.layer, name): float(part.mean())
        for site, part in zip(sites, parts, strict=True)
        for name in site.matrices
    }
    return _by_magnitude(bench, pattern, ratios)


def spare_ends(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """The first and the last layer are pruned half as much as the others, by magnitude."""
    shape = bench.encoder.shape
    inner = ratio * shape.layers / (shape.layers - 1)
    ratios = [inner / 2 if layer in (0, shape.layers - 1) else inner for layer in range(shape.layers)]
    return _by_magnitude(bench, pattern, layer_ratios(shape, parse_pattern(pattern), ratios))


def as_published(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """AE-BERT (Huang et al., ISQED 2022): random ratios per layer, by magnitude; the best metric without fine-tuning.

    Where candidates tie in the metric (all answer the majority class), the lower loss decides.
    """
    space = make_space(bench.encoder.shape, [parse_pattern(pattern)], Goal(ratio, ratio), "layer")
    own = space.patterns[pattern]
    stream = np.random.default_rng(seed)
    proposals = space.realise([random_draw(own, stream) for _ in range(TRIED)])
    scorer = open_scorer(bench, own.grid, Recipe("magnitude", False), "metric")
    candidates = [proposal.candidate for proposal in proposals]
    scores = scorer.score(candidates)
    best = max(range(len(scores)), key=lambda i: (scores[i].value, -(scores[i].loss or 0.0)))
    return Pruned(scorer.apply(candidates[best]), "magnitude", "none", {"calibration": scores[best].value})


def searched(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """Ours: what ``aebert search`` does by default, in this process: per matrix, compensated, surrogate-guided."""
    space = make_space(bench.encoder.shape, [parse_pattern(pattern)], Goal(ratio, ratio), "matrix")
    scorer = open_scorer(bench, space.patterns[pattern].grid, Recipe(), None)
    surrogate = measured_surrogate(scorer)
    settings = SearchSettings(candidates=TRIED, batch=ROUND, job=ROUND, error=0.0, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        study = Study(sqlite_url(Path(scratch) / "study.db"), "glue", aims_of(space))
        found = Search(space, study, SurrogateSampler({pattern: surrogate}), InProcess(scorer), settings).run()
        study.close()
    best, flat = found.ranked[0], found.history[0]
    scores = {"calibration": best.value, "uniform": flat.outcome.value, "dense": scorer.dense_score.value}
    encoder = scorer.apply(best.candidate)
    return Pruned(encoder, _criterion(scorer), "least-squares", scores)


def measured_surrogate(scorer: Scorer) -> Surrogate:
    """Measured once for each task, pattern and grid, then read: no seed changes it."""
    path = scorer.spec.weights / f"surrogate-{scorer.objective}.npz"
    if not path.is_file():
        measured = measure_surrogate(scorer, rows=SURROGATE_ROWS)
        np.savez(path, table=measured.table, dense_value=measured.dense_value)
    stored = np.load(path)
    return Surrogate(scorer.grid, stored["table"], float(stored["dense_value"]))


def uniform_compensated(bench: Workbench, pattern: str, ratio: float, seed: int) -> Pruned:
    """Ours without the search: one ratio everywhere, the same saliency and compensation."""
    budget = make_budget(bench.encoder.shape, parse_pattern(pattern), ratio)
    scorer = open_scorer(bench, budget.grid, Recipe(), None)
    encoder = scorer.apply(uniform_candidate(budget))
    return Pruned(encoder, _criterion(scorer), "least-squares", {})


def _criterion(scorer: Scorer) -> str:
    return method_name(scorer.spec.settings.recipe.criterion(scorer.grid.pattern))


class InProcess:
    """An executor without processes: every cell is one process already."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        for job in jobs:
            yield JobResult(job.number, tuple(self.scorer.score(job.candidates, job.rows)))

    def close(self) -> None:
        """Nothing runs."""


def open_scorer(bench: Workbench, grid: Grid, recipe: Recipe, objective: Objective | None) -> Scorer:
    """Both searches score on the same rows, whatever the seed: it draws candidates, not rows."""
    order = np.random.default_rng(0).permutation(len(bench.split.calibration))[:SCORED_ROWS]
    rows = [bench.split.calibration[row] for row in sorted(order.tolist())]
    settings = ScorerSettings(objective=objective, recipe=recipe)
    texts, labels = [row.text for row in rows], [row.label for row in rows]
    return prepare_scorer(bench.host, bench.encoder, texts, labels, bench.data.task, grid, bench.scratch, settings)


METHODS: Mapping[str, Method] = {
    "uniform": Method(uniform, draws=False),
    "global": Method(global_magnitude, draws=False),
    "spare-ends": Method(spare_ends, draws=False),
    "ae-bert": Method(as_published, draws=True),
    "ours": Method(searched, draws=True),
    "ours-no-search": Method(uniform_compensated, draws=False),
}
