"""What a search knows about the candidates it has tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.pruning.candidate import Candidate
from aebert.search.space.search_space import Proposal

Aim = Literal["score", "latency_ms", "kept_weights"]
MAXIMISED: frozenset[Aim] = frozenset({"score"})


@dataclass(frozen=True)
class Outcome:
    """How good a candidate is.

    ``value``: the score, higher is better. ``values``: one per aim of the study, in its order. ``facts``: everything
    that was found on the scoring rows. ``lost``: stopped early, so that all of it is an estimate from some rows.
    """

    value: float
    values: tuple[float, ...]
    facts: Mapping[str, float]
    lost: bool = False


@dataclass(frozen=True)
class Trial:
    """One proposal of a round, and what came of it."""

    number: int
    round: int
    proposal: Proposal
    outcome: Outcome | None = None
    measurement: MeasuredCandidate | None = None

    @property
    def candidate(self) -> Candidate:
        return self.proposal.candidate


@dataclass(frozen=True)
class ScoredTrial:
    """A trial with an outcome, as samplers learn from it."""

    trial: Trial
    outcome: Outcome

    @property
    def candidate(self) -> Candidate:
        return self.trial.candidate

    @property
    def number(self) -> int:
        """Of the trial, within its search."""
        return self.trial.number


def scored(trials: Sequence[Trial]) -> list[ScoredTrial]:
    """Those that have an outcome, in order."""
    return [ScoredTrial(trial, trial.outcome) for trial in trials if trial.outcome is not None]
