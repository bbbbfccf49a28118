"""Where candidates are evaluated: one small interface over local processes and a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # torch takes seconds to import; whoever only hands out work does without
    from aebert.pruning.candidate import Candidate
    from aebert.search.scoring.scorer import ScorerSpec
    from aebert.search.scoring.scores import Score

Specs: TypeAlias = "Mapping[str, ScorerSpec]"


@dataclass(frozen=True)
class Job:
    """Candidates of one pattern to score together: what they have in common is then computed once.

    With ``keep`` they race for that many best, each of which is lost with probability ``error`` at most. With ``rows``
    they are scored on the first chunks with at least so many scoring rows, without it on all.
    """

    number: int
    candidates: tuple[Candidate, ...]
    keep: int | None = None
    error: float = 0.05
    rows: int | None = None


@dataclass(frozen=True)
class JobResult:
    """The scores of a job's candidates in their order."""

    number: int
    scores: tuple[Score, ...]


class Executor(Protocol):
    """Scores jobs on prepared scorers, in any order and place. A worker that dies has its job done by another."""

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Results as they come. Raises AebertError for a job that no worker survives."""
        ...

    def close(self) -> None:
        """Stop the workers, whatever they are doing."""
        ...


class Workbench:
    """The scorers that one worker has opened, by pattern; model and embeddings are loaded once for all."""

    def __init__(self, specs: Specs) -> None:
        from aebert.models import load_encoder
        from aebert.models.host_model import load_host_model

        model = next(iter(specs.values())).model
        host, encoder = load_host_model(model), load_encoder(model)
        self._scorers = {pattern: spec.open(host, encoder) for pattern, spec in specs.items()}

    def score(self, job: Job) -> JobResult:
        """Score one job, racing where it says so."""
        scorer = self._scorers[job.candidates[0].pattern]
        if job.keep is None or job.keep >= len(job.candidates):
            return JobResult(job.number, tuple(scorer.score(job.candidates, job.rows)))
        return JobResult(job.number, scorer.race(job.candidates, job.keep, job.error).scores)
