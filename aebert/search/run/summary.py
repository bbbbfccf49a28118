"""summary.json of a run: every candidate with all that is known of it, for reports; no database is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from aebert.records.source_kind import SourceKind
from aebert.support.atomic_files import write_text
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError

SUMMARY_FILE = "summary.json"
SCHEMA_VERSION = 1
_SIZE_LIMIT = 1 << 28
# Of a summary's context: the command that is likely to be next.
NEXT = "next"


@dataclass(frozen=True)
class PredictedMs:
    """Milliseconds by the cost model, with the bounds that hold nine of ten; ``source`` in the model's words."""

    mean: float
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class MeasuredMs:
    """Milliseconds that a device gave."""

    ms: float
    source: SourceKind
    device: str


@dataclass(frozen=True)
class RefinedScore:
    """What a finalist's subnet scores with masks and weights fitted together; ``seconds`` of processor time it took."""

    score: float
    facts: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Tried:
    """One trial. ``ratio``: zeroed / all prunable weights; ``layer_ratios``: the same of each layer.

    ``score``: higher is better; an estimate from some rows where ``lost``. ``before``: predicted with the cost model
    that the search started with, ``now``: as measurements left it; None where no board was named. ``front``: beaten by
    no other candidate in score, latency and size. ``directory``: of its subnet in the run, where one was written.
    ``refined``: of finalists; ``score`` and ``facts`` are always those of the search, before.
    """

    trial: int
    round: int
    pattern: str
    ratio: float
    layer_ratios: tuple[float, ...]
    kept_weights: int
    score: float
    lost: bool
    uniform: bool
    facts: Mapping[str, float]
    before: PredictedMs | None = None
    now: PredictedMs | None = None
    measured: MeasuredMs | None = None
    front: bool = False
    directory: str | None = None
    refined: RefinedScore | None = None


@dataclass(frozen=True)
class Sensitivity:
    """How much the score drops with one site pruned: ``drops`` [sites, levels] at ``ratios`` [levels].

    ``sites``: layer and matrices of each. ``fitted_to``: None where each site was measured alone, all others dense;
    else the number of candidates whose scores an additive model was fitted to.
    """

    pattern: str
    sites: tuple[tuple[int, tuple[str, ...]], ...]
    ratios: tuple[float, ...]
    drops: tuple[tuple[float, ...], ...]
    fitted_to: int | None = None


@dataclass(frozen=True)
class Dense:
    """The model as it is: its score on all scoring rows, and the latency predicted ``now`` (None: no board)."""

    score: float
    facts: Mapping[str, float]
    now: PredictedMs | None


@dataclass(frozen=True)
class RunSummary:
    """``objective``: what scores are, ``rows``: on how many scoring rows. ``best``: the trial of best/.

    ``refining_rows``: texts that finalists were refined on, 0 where none was. ``context``: what else one has to know of
    the search to read its figures, e.g. ``board``, ``design``, ``task``.
    """

    toolkit_version: str
    objective: str
    rows: int
    prunable_weights: int
    latency_limit_ms: float | None
    best: int
    dense: Dense
    tried: tuple[Tried, ...]
    sensitivities: tuple[Sensitivity, ...]
    context: Mapping[str, str]
    refining_rows: int = 0
    schema_version: int = SCHEMA_VERSION


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[RunSummary]:
    return TypeAdapter(RunSummary)


def write_summary(run: Path, summary: RunSummary) -> None:
    """Whole or not at all."""
    write_text(run / SUMMARY_FILE, _adapter().dump_json(summary, indent=1).decode() + "\n")


def read_summary(run: Path) -> RunSummary:
    """Raises AebertError for a folder that holds no search with results, and for a summary that is not one."""
    path = run / SUMMARY_FILE
    if not path.exists():
        raise AebertError(f"{run}: no results yet; finish the search with aebert search ... --resume")
    summary = read_json(RunSummary, path, "run aebert search with --resume again", _SIZE_LIMIT)
    if summary.schema_version != SCHEMA_VERSION:
        raise AebertError(
            f"{path}: schema_version is {summary.schema_version}, this toolkit reads {SCHEMA_VERSION}; "
            "run aebert search with --resume again"
        )
    if summary.best not in {tried.trial for tried in summary.tried}:
        raise AebertError(f"{path}: best: no trial {summary.best}; run aebert search with --resume again")
    return summary
