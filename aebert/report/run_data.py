"""What the report of a search shows, gathered from the run's own files; no drawing here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aebert.pruning.subnet import SUBNET_FILE, SubnetRecord, read_record
from aebert.search.run.accuracy_budget import AccuracyChoice, TunedMember, read_choice
from aebert.search.run.run_directory import RUN_FILE
from aebert.search.run.summary import RefinedScore, RunSummary, Sensitivity, Tried, read_summary
from aebert.support.errors import AebertError

SCORE_WORDS: Mapping[str, str] = {
    "loss": "minus the task's loss",
    "metric": "the task's metric",
    "kl": "minus KL divergence from the dense model (nats)",
    "cosine": "mean cosine to the dense model's embeddings",
}


@dataclass(frozen=True)
class Position:
    """Where a candidate stands on the horizontal axis of the front: milliseconds, or the share of weights kept."""

    value: float
    low: float
    high: float
    source: str


def final_facts(tried: Tried) -> Mapping[str, float]:
    """What the scoring rows say of a candidate's subnet as it is written: refined, where it was."""
    return tried.facts if tried.refined is None else tried.refined.facts


def held_out_words(refined: RefinedScore, rows: int) -> str:
    """Where a refined subnet was judged on fewer than the scoring ``rows``: on those that it was not fitted to."""
    judged = int(refined.facts.get("rows", rows))
    return "" if judged == rows else f", judged on {judged} scoring rows that it was not fitted to then"


@dataclass(frozen=True)
class RunData:
    """``record``: of the best subnet, with the ratios counted from its real zeros. ``choice``: what an accuracy budget
    (``--max-loss``) led to; None where there was none."""

    directory: Path
    summary: RunSummary
    record: SubnetRecord
    choice: AccuracyChoice | None = None

    @property
    def best(self) -> Tried:
        return next(tried for tried in self.summary.tried if tried.trial == self.summary.best)

    @property
    def chosen(self) -> TunedMember | None:
        """What the accuracy budget led to."""
        return None if self.choice is None else self.choice.chosen

    @cached_property
    def aimed(self) -> Tried | None:
        """The trial that answers what the search was asked for: the best score, or with an accuracy budget the member
        of the front that was chosen after fine-tuning. None where no member keeps to the budget."""
        if self.choice is None:
            return self.best
        if self.chosen is None:
            return None
        folder = f"front/{self.chosen.name}"
        return next((tried for tried in self.summary.tried if tried.directory == folder), None)

    @property
    def aim_words(self) -> str:
        """What ``aimed`` is, in a legend."""
        if self.choice is not None:
            return f"chosen: fastest that loses at most {self.choice.max_loss:g} points"
        limit = self.summary.latency_limit_ms
        return "best score" if limit is None else f"best score within {limit:g} ms"

    @cached_property
    def finished(self) -> tuple[Tried, ...]:
        return tuple(tried for tried in self.summary.tried if not tried.lost)

    @property
    def lost(self) -> tuple[Tried, ...]:
        return tuple(tried for tried in self.summary.tried if tried.lost)

    @property
    def uniform(self) -> tuple[Tried, ...]:
        """The candidates with one ratio everywhere, each once, that were scored on all rows."""
        return tuple({tried.pattern: tried for tried in reversed(self.finished) if tried.uniform}.values())

    @property
    def measured(self) -> tuple[Tried, ...]:
        return tuple(tried for tried in self.summary.tried if tried.measured is not None)

    @property
    def has_latency(self) -> bool:
        return self.best.now is not None or self.best.measured is not None

    @property
    def score_words(self) -> str:
        return SCORE_WORDS.get(self.summary.objective, f"{self.summary.objective}, an objective of one's own")

    @property
    def sensitivity(self) -> Sensitivity | None:
        """Of the best subnet's pattern."""
        return next((found for found in self.summary.sensitivities if found.pattern == self.best.pattern), None)

    @property
    def best_so_far(self) -> tuple[Tried, ...]:
        """For each trial in order the best that had run to the end by then; those before the first one are left out."""
        best: list[Tried] = []
        for tried in self.summary.tried:
            if best and (tried.lost or tried.score <= best[-1].score):
                best.append(best[-1])
            elif not tried.lost:
                best.append(tried)
        return tuple(best)

    def position(self, tried: Tried) -> Position:
        """Measured where it was, else predicted; the share of weights kept where no board was named."""
        if tried.measured is not None:
            ms = tried.measured.ms
            return Position(ms, ms, ms, f"{tried.measured.source}, {tried.measured.device}")
        if tried.now is not None:
            return Position(tried.now.mean, tried.now.low, tried.now.high, tried.now.source)
        share = tried.kept_weights / self.summary.prunable_weights
        return Position(share, share, share, "counted")

    @property
    def dense_position(self) -> Position:
        now = self.summary.dense.now
        return Position(1.0, 1.0, 1.0, "counted") if now is None else Position(now.mean, now.low, now.high, now.source)


def is_run(directory: Path) -> bool:
    """Whether a folder is that of a search."""
    return (directory / RUN_FILE).is_file()


def collect_run(directory: Path) -> RunData:
    """Raises AebertError for a search without results, and for files of it that are damaged or of another search."""
    summary = read_summary(directory)
    data = RunData(directory, summary, read_record(directory / "best" / SUBNET_FILE), read_choice(directory))
    if data.best.lost:
        raise AebertError(f"{directory}: its best trial was stopped early; run aebert search with --resume again")
    return data
