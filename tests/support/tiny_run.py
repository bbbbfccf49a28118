"""A whole run of a search on a tiny encoder, with measurements of a device that is a bit slower than predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from aebert.cost_model.measurer import Finalist, MeasuredCandidate
from aebert.models.text import Text
from aebert.search.run.rounds import SearchSettings
from aebert.search.sampling.samplers import SamplerName
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.search.workers.executor import Specs
from tests.support.tiny_search import HereExecutor, LinearCosts, tiny_texts


class SlowDevice:
    """Takes a tenth longer than `LinearCosts` says, give or take what the candidate's size decides."""

    def measure(self, finalists: Sequence[Finalist]) -> list[MeasuredCandidate]:
        return [
            MeasuredCandidate(
                finalist.candidate,
                1.1e-6 * sum(finalist.candidate.kept) * (1 + 1e-3 * (sum(finalist.candidate.kept) % 7)),
                "emulated",
                "emulator",
                "0" * 64,
            )
            for finalist in finalists
        ]


@contextmanager
def _here(specs: Specs, workers: Workers) -> Iterator[HereExecutor]:
    """Without processes, which take longer to start than this search takes."""
    yield HereExecutor(specs)


def write_tiny_run(
    model: Path,
    directory: Path,
    *,
    sampler: SamplerName = "surrogate",
    measured: bool = True,
    texts: Sequence[Text] | None = None,
) -> Path:
    """24 candidates with a free ratio, scored by fidelity (on ``texts``) in one worker."""
    plan = SearchPlan(
        Goal(0.3, 0.7),
        ("vector:2x1",),
        levels=8,
        sampler=sampler,
        settings=SearchSettings(candidates=24, batch=8, seed=1),
    )
    with patch("aebert.search.step._executor", _here):
        search(
            model,
            directory,
            ScoringRows(tiny_texts() if texts is None else texts),
            plan,
            costs=LinearCosts(),
            measurer=SlowDevice() if measured else None,
            context={"board": "no board", "task": "none"},
        )
    return directory
