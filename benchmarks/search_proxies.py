"""Which score of unrefined candidates ranks them as the dev metric does? Candidates near the optimum, and random ones.

    python -m benchmarks.glue dense --data DATA --out OUT --tasks mrpc stsb sst2
    python -m benchmarks.search_proxies --data DATA --out OUT --tasks mrpc stsb sst2 --candidates 32

Candidates are those of a search (its own rounds: the uniform one, then near the optimum of its surrogate) and as many
drawn at random. Each has its logits on the scoring rows and on dev kept in OUT/proxies, so that a run can be taken up
again. Scores are computed on the scoring rows:

    kl          divergence from the dense model
    kl-moments  the same after scale and shifts that match the dense model's moments (what a head correction removes)
    kl-margin   the same, each row weighted by how undecided the dense model is
    decision    cross entropy with the dense model's decisions
    loss        cross entropy with the labels (regression: squared error)
    smoothed    the same with labels smoothed by 0.1
    kl+loss     the mean of the two
    metric      the task's metric

Printed for both groups: Spearman's rank correlation with dev metric and dev divergence, with standard errors
over candidates by the bootstrap, and the dev metric of the candidate that the score would choose.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from aebert.models import load_encoder
from aebert.models.encoder import FloatArray
from aebert.models.host_model import load_host_model
from aebert.pruning.candidate import Candidate
from aebert.pruning.head_correction import match_moments
from aebert.pruning.zero_patterns import Float64Array, parse_pattern
from aebert.search.run.rounds import SearchSettings
from aebert.search.scoring.scorer import prepare_scorer
from aebert.search.space.budget import make_budget
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.tasks import Task, compute_metrics, load_task, split_train
from aebert.tasks.predict import fp32_run, predict_logits
from benchmarks.glue import dense_directory
from benchmarks.machine import machine_line
from benchmarks.peers import divergences
from benchmarks.search_scores import draw_candidates

SMOOTHING = 0.1
RESAMPLES = 1000


@dataclass(frozen=True)
class Seen:
    """Logits [rows, outputs] of the dense model and of a candidate on the same rows, with their labels."""

    task: Task
    dense: FloatArray
    own: FloatArray
    labels: Sequence[int | float]

    @property
    def divergence(self) -> torch.Tensor:
        return divergences(self.task, self.dense, self.own)

    def cross_entropy(self, labels: Sequence[int | float], smoothing: float = 0.0) -> float:
        own = torch.from_numpy(self.own).double()
        if self.task.kind == "regression":
            return float((own[:, 0] - torch.tensor(labels, dtype=torch.float64)).square().mean())
        return float(functional.cross_entropy(own, torch.tensor(labels), label_smoothing=smoothing))

    def metric(self) -> float:
        return float(compute_metrics(self.task, self.own, self.labels)[self.task.primary])


def _kl_moments(seen: Seen) -> float:
    dense, own = torch.from_numpy(seen.dense), torch.from_numpy(seen.own)
    if seen.task.kind == "regression":
        fitted = (own - own.mean()) * (dense.std() / own.std()) + dense.mean()
        return float(divergences(seen.task, seen.dense, fitted.numpy()).mean())
    found = match_moments(dense, own)
    own = own if found is None else found.of_logits(own.double())
    return float(divergences(seen.task, seen.dense, own.numpy()).mean())


def _kl_margin(seen: Seen) -> float:
    if seen.task.kind == "regression":
        return float(seen.divergence.mean())
    likely = torch.from_numpy(seen.dense).double().softmax(dim=1).sort(dim=1, descending=True).values
    undecided = 1 - (likely[:, 0] - likely[:, 1])
    return float((seen.divergence * undecided).sum() / undecided.sum())


def _decision(seen: Seen) -> float:
    if seen.task.kind == "regression":
        return seen.cross_entropy(seen.dense[:, 0].tolist())
    return seen.cross_entropy(seen.dense.argmax(axis=1).tolist())


# Lower is better in each.
PROXIES: Mapping[str, Callable[[Seen], float]] = {
    "kl": lambda seen: float(seen.divergence.mean()),
    "kl-moments": _kl_moments,
    "kl-margin": _kl_margin,
    "decision": _decision,
    "loss": lambda seen: seen.cross_entropy(seen.labels),
    "smoothed": lambda seen: seen.cross_entropy(seen.labels, SMOOTHING),
    "kl+loss": lambda seen: (float(seen.divergence.mean()) + seen.cross_entropy(seen.labels)) / 2,
    "metric": lambda seen: -seen.metric(),
}


@dataclass(frozen=True)
class Tried:
    """A candidate's proxies on the scoring rows, and its metric and divergence on dev."""

    proxies: Mapping[str, float]
    metric: float
    divergence: float


def candidates_of(arguments: argparse.Namespace, task: str, rows: ScoringRows) -> dict[str, list[Candidate]]:
    """Those that a search tries, and random ones."""
    directory = dense_directory(arguments.out, task)
    settings = SearchSettings(candidates=arguments.candidates, batch=min(arguments.candidates, 16), error=0.0)
    plan = SearchPlan(Goal(arguments.ratio, arguments.ratio), (arguments.pattern,), settings=settings, refine=False)
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.out / "prepared-proxies"
        found = search(directory, Path(folder) / "run", rows, plan, prepared=store, workers=Workers(count=1))
    searched = list(dict.fromkeys(trial.candidate for trial in found.result.history))
    drawn = draw_candidates(load_encoder(directory), arguments.pattern, arguments.ratio, arguments.candidates)
    return {"searched": searched, "random": drawn}


def measure(arguments: argparse.Namespace, task: str) -> dict[str, list[Tried]]:
    directory, data = dense_directory(arguments.out, task), load_task(task, arguments.data)
    host, encoder = load_host_model(directory), load_encoder(directory)
    scored, dev = split_train(data.train, arguments.rows).calibration, data.dev["dev"]
    rows = ScoringRows([row.text for row in scored], [row.label for row in scored], data.task)
    grid = make_budget(encoder.shape, parse_pattern(arguments.pattern), arguments.ratio).grid
    store = arguments.out / "prepared-proxies" / task
    scorer = prepare_scorer(host, encoder, rows.texts, rows.labels, data.task, grid, store)
    dense = [predict_logits(host, data.task, fp32_run(encoder), part) for part in (scored, dev)]
    tried: dict[str, list[Tried]] = {}
    for group, candidates in candidates_of(arguments, task, rows).items():
        tried[group] = []
        for candidate in candidates:
            path = arguments.out / "proxies" / f"{task}-{candidate.digest[:16]}.npz"
            if not path.is_file():
                pruned = fp32_run(scorer.apply(candidate))
                own = [predict_logits(host, data.task, pruned, part) for part in (scored, dev)]
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez(path, calibration=own[0], dev=own[1])
            stored = np.load(path)
            near = Seen(data.task, dense[0], stored["calibration"], [row.label for row in scored])
            far = Seen(data.task, dense[1], stored["dev"], [row.label for row in dev])
            proxies = {name: proxy(near) for name, proxy in PROXIES.items()}
            tried[group].append(Tried(proxies, far.metric(), float(far.divergence.mean())))
    return tried


def correlation(left: Float64Array, right: Float64Array) -> tuple[float, float]:
    """Spearman's, and its standard error by the bootstrap over candidates."""
    stream = np.random.default_rng(0)
    drawn = (stream.integers(len(left), size=len(left)) for _ in range(RESAMPLES))
    samples = [spearmanr(left[rows], right[rows]).statistic for rows in drawn]
    return float(spearmanr(left, right).statistic), float(np.nanstd(samples))


def print_group(title: str, tried: Sequence[Tried]) -> None:
    metric, divergence = np.array([own.metric for own in tried]), np.array([own.divergence for own in tried])
    print(
        f"{title}: {len(tried)} candidates, dev metric {metric.min():.4f} to {metric.max():.4f}, first {metric[0]:.4f}"
    )
    for name in PROXIES:
        score = -np.array([own.proxies[name] for own in tried])
        ranked, like_kl = correlation(score, metric), correlation(score, -divergence)
        print(
            f"  {name:11} dev metric {ranked[0]:+.2f} +- {ranked[1]:.2f}   dev divergence {like_kl[0]:+.2f} +- "
            f"{like_kl[1]:.2f}   its choice: metric {metric[score.argmax()]:.4f}, "
            f"divergence {divergence[score.argmax()]:.4f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder with dense/TASK")
    parser.add_argument("--tasks", nargs="+", default=["mrpc", "stsb", "sst2"])
    parser.add_argument("--pattern", default="vector:4x1")
    parser.add_argument("--ratio", type=float, default=0.7)
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine_line())
    for task in arguments.tasks:
        for group, tried in measure(arguments, task).items():
            print_group(f"{task}, {arguments.pattern} at {arguments.ratio:g}, {group}", tried)


if __name__ == "__main__":
    main()
