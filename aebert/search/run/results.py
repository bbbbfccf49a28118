"""What a search found, as subnet directories: the best candidate and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from aebert.models.encoder import Encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.head_correction import HeadCorrection
from aebert.pruning.subnet import make_record, write_subnet
from aebert.pruning.zero_patterns import Structured
from aebert.search.run.choice import Ranked
from aebert.search.run.refinement import Refiner
from aebert.search.run.run_directory import RunDirectory
from aebert.search.scoring.scorer import Scorer
from aebert.support.atomic_files import write_json
from aebert.support.extensions import method_name
from aebert.support.output_directory import replaced_directory

FRONT_FILE = "front.json"


class SubnetWriter:
    """Writes candidates of one search as subnet directories: refined where they were (by ``refiner``), otherwise with
    the weights that they were scored with."""

    def __init__(
        self, model: Path, source_digest: str, scorers: Mapping[str, Scorer], seed: int, refiner: Refiner | None = None
    ) -> None:
        self._model, self._digest, self._scorers, self._seed = model, source_digest, dict(scorers), seed
        self._refiner = refiner

    def write(self, candidate: Candidate, directory: Path, scores: Mapping[str, float] | None = None) -> None:
        """A candidate as it was scored, but for its head, which is corrected where it is clearly off.

        Complete or not at all; an older subnet in ``directory`` is replaced.
        """
        scorer = self._scorers[candidate.pattern]
        recipe = scorer.spec.settings.recipe
        compensation = "least-squares" if recipe.compensate else "none"
        saliency, head = method_name(recipe.criterion(scorer.grid.pattern)), scorer.head_correction(candidate)
        self._write(scorer.apply(candidate), candidate, directory, saliency, compensation, scores or {}, head)

    def write_ranked(self, item: Ranked, directory: Path) -> None:
        """A ranked candidate, refined where it was, with all that it is judged by; otherwise as ``write``."""
        candidate = item.candidate
        if item.refined is None or self._refiner is None:
            self.write(candidate, directory, scores_of(item))
            return
        scorer = self._scorers[candidate.pattern]
        # Refinement chooses masks by the error they leave; heads and neurons keep those that saliency chose.
        pattern, criterion = scorer.grid.pattern, "reconstruction"
        if isinstance(pattern, Structured):
            criterion = method_name(scorer.spec.settings.recipe.criterion(pattern))
        self._write(self._refiner.encoder(candidate), candidate, directory, criterion, "refined", scores_of(item))

    def _write(
        self,
        encoder: Encoder,
        candidate: Candidate,
        directory: Path,
        criterion: str,
        compensation: str,
        scores: Mapping[str, float],
        head: HeadCorrection | None = None,
    ) -> None:
        record = make_record(
            encoder, self._digest, candidate.pattern, criterion, compensation, self._seed, scores, head
        )
        write_subnet(self._model, directory, encoder, record, force=True)


def write_results(run: RunDirectory, front: Sequence[Ranked], best: Ranked, writer: SubnetWriter) -> None:
    """``best`` and ``front/00``, ``front/01`` ..., each replaced as a whole; front.json tells what they are."""
    writer.write_ranked(best, run.best)
    with replaced_directory(run.front, FRONT_FILE, "Pareto front", force=True) as folder:
        entries = []
        for number, item in enumerate(front):
            name = f"{number:02}"
            writer.write_ranked(item, folder / name)
            entries.append({"directory": name, "best": item == best, **describe(item)})
        write_json(folder / FRONT_FILE, entries)


def scores_of(item: Ranked) -> dict[str, float]:
    """What subnet.json keeps: the facts of the scoring rows, and the latency under a name that says its source."""
    scores = {f"calibration_{name}": float(fact) for name, fact in item.facts.items()}
    if item.refined is not None:
        scores["calibration_value_before_refining"] = item.trial.outcome.value
    if item.latency is not None:
        scores[f"latency_ms_{item.latency.source if item.measured else 'predicted'}"] = item.latency.ms
    return scores


def describe(item: Ranked) -> dict[str, object]:
    """A candidate with all that it was judged by, for JSON."""
    return {
        "trial": item.number,
        "pattern": item.candidate.pattern,
        "score": item.value,
        "calibration": dict(item.facts),
        "refined": item.refined is not None,
        "score_before_refining": item.trial.outcome.value,
        "latency": None if item.latency is None else asdict(item.latency),
        "kept_weights": item.kept_weights,
        "kept_units": list(item.candidate.kept),
    }
