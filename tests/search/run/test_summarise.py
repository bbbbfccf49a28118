"""What a search leaves of very many candidates, while somebody who stopped it waits."""

from __future__ import annotations

import numpy as np
import pytest

from aebert.models.encoder import EncoderShape
from aebert.pruning.zero_patterns import Float64Array, parse_pattern
from aebert.search.run.choice import rank
from aebert.search.run.rounds import SearchResult
from aebert.search.run.summarise import summarise
from aebert.search.sampling import sensitivity
from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.scoring.scores import Score
from aebert.search.space.grid import IntArray
from aebert.search.space.search_space import Goal, PatternSpace, Proposal, SearchSpace, make_space
from aebert.search.space.trials import Outcome, ScoredTrial, Trial

SHAPE = EncoderShape(layers=2, hidden=32, heads=4, ffn=64, epsilon=1e-12, max_positions=48)


def space() -> tuple[SearchSpace, PatternSpace]:
    found = make_space(SHAPE, [parse_pattern("vector:2x1")], Goal(0.3, 0.7), levels=8)
    (own,) = found.patterns.values()
    return found, own


def drawn(own: PatternSpace, count: int) -> tuple[IntArray, Float64Array]:
    """Kept counts, and scores that fall with what is zeroed."""
    stream = np.random.default_rng(1)
    kept = own.meet(stream.uniform(0, 1, (count, own.grid.genes)), stream.uniform(0.3, 0.7, count))
    scores: Float64Array = own.grid.kept_weights(kept) / own.grid.total_weights + stream.normal(0, 0.01, count)
    return kept, scores


def test_sensitivities_of_very_many_candidates_are_fitted_to_some_of_all_times() -> None:
    found, own = space()
    kept, scores = drawn(own, 20_000)
    history = []
    for number, (candidate, score) in enumerate(zip(own.grid.candidates(kept), scores.tolist(), strict=True)):
        outcome = Outcome(score, (score,), {})
        history.append(ScoredTrial(Trial(number, 0, Proposal(None, candidate), outcome), outcome))
    ranked = rank(found, history)
    dense = Score(value=1.0, loss=None, metric=None, kl=0.0, cosine=1.0, rows=8)
    summary = summarise(found, SearchResult(found, history, ranked), ranked[:1], {}, dense, "kl", {}, {}, ranked[0])
    assert len(summary.tried) == 20_000
    assert summary.sensitivities[0].fitted_to == 2_000, "every tenth: at most 2048"


def test_the_last_scores_count_where_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "MOST_FITTED", 64)
    _, own = space()
    kept, scores = drawn(own, 100)
    measured = Surrogate(own.grid, np.outer(np.ones(len(own.grid.sites)), np.arange(own.grid.levels) / 100), 1.0)
    last = measured.refit(kept[-64:], scores[-64:])
    assert np.array_equal(measured.refit(kept, scores).table, last.table)
    assert not np.array_equal(measured.refit(kept[:64], scores[:64]).table, last.table)
