"""Every choice of a search in one typed object, which the API and ``aebert search`` share, with its defaults.

Light to import: what it makes of the choices is loaded when it is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aebert.search.run.candidates import CANDIDATES, CANDIDATES_OF_A_RANGE
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.design.design import Design
    from aebert.search.space.search_space import Goal
    from aebert.search.step import SearchPlan, Workers
    from aebert.support.extensions import Kind

Name = TypeVar("Name", bound=str)
_RANGE = re.compile(r"([0-9.]+)\.\.([0-9.]+)")


@dataclass(frozen=True)
class SearchOptions:
    """The options of ``aebert search``, by their names; see its help and docs/search.md for what they mean.

    ``ratio``: a number, or a range LOW..HIGH; with or instead of it ``latency_ms``. ``pattern``: one or several,
    separated by commas. None: what the help gives as the default.
    """

    ratio: str | None = None
    latency_ms: float | None = None
    task: str | None = None
    data: str | None = None
    text_columns: str | None = None
    label_column: str | None = None
    kind: str | None = None
    text: Path | None = None
    pattern: str = "vector:4x1"
    granularity: str = "matrix"
    candidates: int | None = None
    sampler: str = "surrogate"
    board: str | None = None
    design_file: Path | None = None
    tokens: int | None = None
    objective: str | None = None
    saliency: str | None = None
    compensate: bool = True
    precision: str | None = None
    device: str | None = None
    calibration_rows: int | None = None
    split_seed: int = 0
    seed: int = 0
    batch: int = 32
    levels: int | None = None
    race_error: float = 0.05
    workers: int | None = None
    threads: int | None = None
    scheduler: str | None = None
    storage: str | None = None
    hil: str | None = None
    project: Path | None = None
    database: str | None = None
    cost_model: str | None = None
    front: int = 6
    resume: bool = False
    trust_changes: bool = False
    refine: bool = True
    refine_rows: int | None = None
    finalists: int = 4
    prepared: Path | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.pattern.split(","))

    def goal(self) -> Goal:
        """Raises AebertError without any budget, and for a ratio that is neither a number nor a range."""
        from aebert.search.space.search_space import HIGHEST_FREE_RATIO, Goal

        if self.ratio is None:
            if self.latency_ms is None:
                raise AebertError("no budget; give --ratio, --latency-ms or both")
            return Goal(0.0, HIGHEST_FREE_RATIO, self.latency_ms)
        span = _RANGE.fullmatch(self.ratio)
        try:
            low, high = (float(span[1]), float(span[2])) if span else (float(self.ratio), float(self.ratio))
        except ValueError:
            raise AebertError(f"--ratio {self.ratio!r}: not a number or a range; write 0.5 or 0.3..0.7") from None
        return Goal(low, high, self.latency_ms)

    def plan(self) -> SearchPlan:
        """What `aebert.search.step.search` searches, and how. Raises AebertError for a choice that is not known."""
        from aebert.pruning.saliency import check_saliency
        from aebert.search.run.rounds import SearchSettings
        from aebert.search.sampling.samplers import SAMPLER_NAMES
        from aebert.search.scoring.prepared_weights import Recipe
        from aebert.search.scoring.scorer import ScorerSettings
        from aebert.search.scoring.scores import OBJECTIVES
        from aebert.search.scoring.shared_evaluation import PRECISIONS
        from aebert.search.space.grid import GRANULARITIES
        from aebert.search.step import SearchPlan

        goal = self.goal()
        usual = CANDIDATES_OF_A_RANGE if goal.ratio_is_drawn else CANDIDATES
        candidates = usual if self.candidates is None else self.candidates
        return SearchPlan(
            goal,
            self.patterns,
            _one_of("granularity", self.granularity, GRANULARITIES),
            self.levels,
            _own_or_one_of("sampler", self.sampler, SAMPLER_NAMES),
            ScorerSettings(
                objective=None if self.objective is None else _own_or_one_of("objective", self.objective, OBJECTIVES),
                recipe=Recipe(None if self.saliency is None else check_saliency(self.saliency), self.compensate),
                precision=None if self.precision is None else _one_of("precision", self.precision, PRECISIONS),
                device=self.device,
            ),
            SearchSettings(candidates=candidates, batch=self.batch, error=self.race_error, seed=self.seed),
            self.refine,
            self.finalists,
        )

    def where(self) -> Workers:
        """Where candidates are evaluated."""
        from aebert.search.step import Workers

        return Workers(self.workers, self.threads, self.scheduler)

    def design(self, model: Path) -> Design | None:
        """The design to predict on: from a file, or the fastest for the board whose lanes suit all patterns; None
        where neither is given.
        """
        from aebert.design.board import load_board
        from aebert.design.board_fit import expected_clock_mhz
        from aebert.design.design import Design
        from aebert.design.design_file import read_design_file
        from aebert.design.subnet_config import config_for_subnet
        from aebert.models import load_encoder
        from aebert.pruning.zero_patterns import Structured, parse_pattern

        if self.design_file is not None:
            found = read_design_file(self.design_file)
            return Design(found.config, load_board(self.board or found.board), found.clock_mhz, found.compute_units)
        if self.board is None:
            return None
        loaded = load_board(self.board)
        parsed = [parse_pattern(name) for name in self.patterns]
        # Output lanes beyond the smallest unit's rows would multiply zeros for that pattern.
        finest = min(parsed, key=lambda each: 64 if isinstance(each, Structured) else each.unit_shape[0])
        config = config_for_subnet(loaded, load_encoder(model).shape, finest, self.tokens)
        return Design(config, loaded, expected_clock_mhz(config, loaded))


def _own_or_one_of(kind: Kind, given: str, known: tuple[str, ...]) -> str:
    """``given``, where it is this toolkit's or a package offers it."""
    from aebert.support.extensions import find_method

    if given not in known:
        find_method(kind, given, known)
    return given


def _one_of(option: str, given: str, known: tuple[Name, ...]) -> Name:
    for name in known:
        if name == given:
            return name
    raise AebertError(f"{option} {given!r} is not known; choose {', '.join(known)}")
