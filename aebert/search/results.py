"""What a search found, as subnet directories: the best candidate and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from aebert.atomic import write_json
from aebert.output_directory import replaced_directory
from aebert.search.candidates import Candidate
from aebert.search.choice import Ranked
from aebert.search.run_directory import RunDirectory
from aebert.search.scorer import Scorer
from aebert.subnet import make_record, write_subnet

FRONT_FILE = "front.json"


class SubnetWriter:
    """Writes candidates of one search as subnet directories, with the weights that they were scored with."""

    def __init__(self, model: Path, source_digest: str, scorers: Mapping[str, Scorer], seed: int) -> None:
        self._model, self._digest, self._scorers, self._seed = model, source_digest, dict(scorers), seed

    def write(self, candidate: Candidate, directory: Path, scores: Mapping[str, float] | None = None) -> None:
        """Complete or not at all; an older subnet in ``directory`` is replaced."""
        scorer = self._scorers[candidate.pattern]
        encoder = scorer.apply(candidate)
        recipe = scorer.spec.settings.recipe
        compensation = "least-squares" if recipe.compensate else "none"
        record = make_record(
            encoder, self._digest, candidate.pattern, recipe.saliency, compensation, self._seed, scores or {}
        )
        write_subnet(self._model, directory, encoder, record, force=True)


def write_results(run: RunDirectory, front: Sequence[Ranked], best: Ranked, writer: SubnetWriter) -> None:
    """``best`` and ``front/00``, ``front/01`` ..., each replaced as a whole; front.json tells what they are."""
    writer.write(best.trial.trial.proposal.candidate, run.best, scores_of(best))
    with replaced_directory(run.front, FRONT_FILE, "Pareto front", force=True) as folder:
        entries = []
        for number, item in enumerate(front):
            name = f"{number:02}"
            writer.write(item.trial.trial.proposal.candidate, folder / name, scores_of(item))
            entries.append({"directory": name, "best": item == best, **describe(item)})
        write_json(folder / FRONT_FILE, entries)


def scores_of(item: Ranked) -> dict[str, float]:
    """What subnet.json keeps: the facts of the calibration rows, and the latency under a name that says its source."""
    scores = {f"calibration_{name}": float(fact) for name, fact in item.trial.outcome.facts.items()}
    if item.latency is not None:
        scores[f"latency_ms_{item.latency.source if item.measured else 'predicted'}"] = item.latency.ms
    return scores


def describe(item: Ranked) -> dict[str, object]:
    """A candidate with all that it was judged by, for JSON."""
    return {
        "trial": item.trial.trial.number,
        "pattern": item.trial.trial.proposal.candidate.pattern,
        "score": item.value,
        "calibration": dict(item.trial.outcome.facts),
        "latency": None if item.latency is None else asdict(item.latency),
        "kept_weights": item.kept_weights,
        "kept_units": list(item.trial.trial.proposal.candidate.kept),
    }
