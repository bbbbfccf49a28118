"""Which cheap score ranks candidates as they rank after fine-tuning? Kendall's tau over candidates of one real task.

    python -m benchmarks.search_scores --data DATA --model DENSE --out OUT [--task stsb] [--candidates 20]

DENSE is a model fine-tuned for the task (``python -m benchmarks.glue dense`` makes one in OUT/dense/TASK). Candidates
are drawn at random, half with one ratio per layer and half with one per matrix, the uniform one among them. Each is
pruned with compensation and fine-tuned on the same training rows by the same settings; what it then reaches on other
rows that neither training nor calibration saw is the truth that scores are held against. Dev is not read. A candidate
that is done is written to OUT/search_scores.jsonl and not trained again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

from aebert.finetuning import FinetuneSettings, finetune
from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.host_model import load_host_model
from aebert.pruning import parse_pattern
from aebert.pruning.candidate import Candidate
from aebert.pruning.saliency import SALIENCIES
from aebert.pruning.subnet import make_record, write_subnet
from aebert.search.scoring.prepared_weights import Recipe
from aebert.search.scoring.scorer import Scorer, ScorerSettings, prepare_scorer
from aebert.search.scoring.scores import OBJECTIVES, Score
from aebert.search.space.budget import make_budget, uniform_candidate
from aebert.search.space.grid import GRANULARITIES
from aebert.support.extensions import method_name
from aebert.tasks import Example, Task, TaskData, load_task, split_train
from benchmarks.machine import machine_line

RECIPES = {
    (saliency, compensate): Recipe(saliency, compensate, gradual=False)
    for compensate in (False, True)
    for saliency in SALIENCIES
}
TUNED_RECIPE = Recipe("activation", compensate=True, gradual=False)
ERROR_OF_TAU_RUNS = 2000


@dataclass(frozen=True)
class Rows:
    """Three disjoint parts of the training rows."""

    calibration: Sequence[Example]
    tuning: Sequence[Example]
    held_out: Sequence[Example]


def draw_rows(data: TaskData, tuning: int, held_out: int, calibration: int) -> Rows:
    """The calibration rows are the first of those that a search has, the others come from what fine-tuning has."""
    split = split_train(data.train)
    order = np.random.default_rng(0).permutation(len(split.fine_tuning)).tolist()
    chosen = [split.fine_tuning[row] for row in order[: tuning + held_out]]
    return Rows(split.calibration[:calibration], chosen[:tuning], chosen[tuning:])


def draw_candidates(encoder: Encoder, pattern: str, ratio: float, count: int) -> list[Candidate]:
    """The uniform one, then in turn one drawn by layer and one by matrix."""
    budgets = [make_budget(encoder.shape, parse_pattern(pattern), ratio, granularity) for granularity in GRANULARITIES]
    stream = np.random.default_rng(0)
    candidates = [uniform_candidate(budgets[-1])]
    for budget in itertools.islice(itertools.cycle(budgets), count - 1):
        # Narrow and wide draws, so that the candidates are not all alike bad.
        spread = stream.uniform(0.1, 1.0)
        drawn = ratio + spread * (stream.uniform(size=(1, budget.grid.genes)) - 0.5)
        candidates += budget.grid.candidates(budget.meet(drawn))
    return candidates


def open_scorer(
    model: Path, rows: Rows, task: Task, encoder: Encoder, pattern: str, ratio: float, recipe: Recipe, out: Path
) -> Scorer:
    """A scorer that gives all objectives at once."""
    grid = make_budget(encoder.shape, parse_pattern(pattern), ratio).grid
    texts, labels = [row.text for row in rows.calibration], [row.label for row in rows.calibration]
    settings = ScorerSettings(objective="cosine", recipe=recipe)
    return prepare_scorer(load_host_model(model), encoder, texts, labels, task, grid, out, settings)


def tuned_metric(model: Path, scorer: Scorer, candidate: Candidate, rows: Rows, task: Task, epochs: float) -> float:
    """What the candidate reaches on the held-out rows after fine-tuning."""
    data = TaskData(task, rows.tuning, {"held-out": rows.held_out})
    settings = FinetuneSettings(epochs=epochs, calibration_rows=0, freeze_embeddings=True)
    encoder = scorer.apply(candidate)
    recipe = scorer.spec.settings.recipe
    compensation = "least-squares" if recipe.compensate else "none"
    digest, saliency = load_encoder(model).digest, method_name(recipe.criterion(scorer.grid.pattern))
    record = make_record(encoder, digest, candidate.pattern, saliency, compensation, 0, {})
    with tempfile.TemporaryDirectory() as scratch:
        pruned, tuned = Path(scratch) / "pruned", Path(scratch) / "tuned"
        write_subnet(model, pruned, encoder, record)
        return float(finetune(pruned, data, tuned, settings).dev["held-out"][task.primary])


def objective_value(score: Score, objective: str) -> float:
    """Higher is better."""
    value = getattr(score, objective)
    return float(value if objective in ("metric", "cosine") else -value)


def tau_with_error(scores: Sequence[float], truth: Sequence[float]) -> tuple[float, float]:
    """Kendall's tau, and its standard error by the bootstrap over candidates."""
    stream, x, y = np.random.default_rng(0), np.array(scores), np.array(truth)
    samples = []
    for _ in range(ERROR_OF_TAU_RUNS):
        chosen = stream.integers(len(x), size=len(x))
        samples.append(kendalltau(x[chosen], y[chosen]).statistic)
    return float(kendalltau(x, y).statistic), float(np.nanstd(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="dense model fine-tuned for the task")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", default="stsb")
    parser.add_argument("--pattern", default="vector:4x1")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--tuning-rows", type=int, default=1600)
    parser.add_argument("--held-out-rows", type=int, default=600)
    parser.add_argument("--calibration-rows", type=int, default=256)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = load_task(arguments.task, arguments.data)
    rows = draw_rows(data, arguments.tuning_rows, arguments.held_out_rows, arguments.calibration_rows)
    encoder = load_encoder(arguments.model)
    candidates = draw_candidates(encoder, arguments.pattern, arguments.ratio, arguments.candidates)
    prepared = arguments.out / "search_scores"

    def scorer(recipe: Recipe) -> Scorer:
        return open_scorer(
            arguments.model, rows, data.task, encoder, arguments.pattern, arguments.ratio, recipe, prepared
        )

    print(machine_line())
    store = arguments.out / "search_scores.jsonl"
    truth: dict[str, float] = {}
    if store.is_file():
        for line in store.read_text(encoding="utf-8").splitlines():
            truth |= json.loads(line)
    for candidate in candidates:
        if candidate.digest not in truth:
            truth[candidate.digest] = tuned_metric(
                arguments.model, scorer(TUNED_RECIPE), candidate, rows, data.task, arguments.epochs
            )
            with store.open("a", encoding="utf-8") as file:
                file.write(json.dumps({candidate.digest: truth[candidate.digest]}) + "\n")
            print(f"{candidate.digest[:12]} {truth[candidate.digest]:.4f}", flush=True)
    reached = [truth[candidate.digest] for candidate in candidates]
    what = f"{arguments.task}, {arguments.pattern} at {arguments.ratio:g}, {len(candidates)} candidates"
    span = f"{min(reached):.4f} to {max(reached):.4f}; uniform {reached[0]:.4f}"
    print(f"{what} after fine-tuning: {data.task.primary} {span}")
    print(f"{'saliency':14} {'compensated':12}" + "".join(f"{name:>18}" for name in OBJECTIVES))
    for (saliency, compensated), recipe in RECIPES.items():
        scores = scorer(recipe).score(candidates)
        cells = []
        for objective in OBJECTIVES:
            tau, error = tau_with_error([objective_value(score, objective) for score in scores], reached)
            cells.append(f"{tau:9.3f} +- {error:.3f}")
        print(
            f"{saliency:14} {'yes' if compensated else 'no':12}" + "".join(f"{c:>18}" for c in cells),
            flush=True,
        )


if __name__ == "__main__":
    main()
