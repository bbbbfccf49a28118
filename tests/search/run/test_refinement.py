"""Refining finalists: with ``prune --refine``'s weights, heads and neurons too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.host_model import load_host_model
from aebert.pruning.refine import refine_encoder
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.run.choice import Ranked
from aebert.search.run.refinement import Refiner
from aebert.search.scoring.embedded_rows import prepare_rows
from aebert.search.scoring.scorer import Scorer, ScorerSettings, prepare_scorer
from aebert.search.space.search_space import Draw, Proposal
from aebert.search.space.trials import Outcome, ScoredTrial, Trial
from tests.support.tiny_search import tiny_space, tiny_texts


def _refiner(model: Path, pattern: str, directory: Path, ratio: float = 0.5) -> tuple[Refiner, Scorer, Ranked]:
    host, encoder = load_host_model(model), load_encoder(model)
    space = tiny_space(model, pattern, low=ratio)
    settings = ScorerSettings(chunk_tokens=160)
    scorer = prepare_scorer(host, encoder, tiny_texts(), None, None, space.patterns[pattern].grid, directory, settings)
    (proposal,) = space.uniform()
    (score,) = scorer.score([proposal.candidate])
    trial = Trial(0, 0, Proposal(Draw(pattern, ratio, ()), proposal.candidate))
    ranked = Ranked(ScoredTrial(trial, Outcome(score.value, (), {})), None, 0)
    return Refiner(host, encoder, tiny_texts(), {pattern: scorer}, directory / "refined"), scorer, ranked


def test_a_refined_candidate_is_what_prune_refine_makes_of_its_ratios(tiny_bert: Path, tmp_path: Path) -> None:
    refiner, scorer, ranked = _refiner(tiny_bert, "vector:2x1", tmp_path)
    (refined,) = refiner.refine([ranked])
    host, encoder = load_host_model(tiny_bert), load_encoder(tiny_bert)
    states = host.embed_texts(host.tokenise(tiny_texts(), encoder.shape.max_positions))
    ratios = ranked.candidate.ratios(encoder.shape)
    expected = refine_encoder(encoder, parse_pattern("vector:2x1"), ratios, states).encoder
    assert refiner.encoder(ranked.candidate).digest == expected.digest
    assert refined.value == scorer.score_encoder(expected).value > ranked.value


def test_heads_and_neurons_keep_their_masks_and_get_better_weights(tiny_bert: Path, tmp_path: Path) -> None:
    refiner, scorer, ranked = _refiner(tiny_bert, "head+neuron", tmp_path)
    (refined,) = refiner.refine([ranked])
    assert refined.value > ranked.value
    made, plain = refiner.encoder(ranked.candidate), scorer.apply(ranked.candidate)
    for (_, _, new), (_, _, old) in zip(made.matrices(), plain.matrices(), strict=True):
        np.testing.assert_array_equal(new.weight == 0, old.weight == 0)


def test_finalists_are_compared_on_rows_that_they_were_not_refined_on(tiny_bert: Path, tmp_path: Path) -> None:
    """Fitted to the first 20 texts and scored on the other 44; what is written is fitted to all 64."""
    _, scorer, ranked = _refiner(tiny_bert, "vector:2x1", tmp_path)
    host, encoder, texts = load_host_model(tiny_bert), load_encoder(tiny_bert), tiny_texts()
    judge = scorer.on_rows(prepare_rows(host, encoder, texts[20:], None, tmp_path / "held-out"))
    assert (judge.rows, scorer.rows) == (44, 64)
    pattern, folder = "vector:2x1", tmp_path / "apart"
    refiner = Refiner(host, encoder, texts, {pattern: scorer}, folder, {pattern: judge}, texts[:20])

    def refined_on(chosen: list[str]) -> Encoder:
        states = host.embed_texts(host.tokenise(chosen, encoder.shape.max_positions))
        ratios = ranked.candidate.ratios(encoder.shape)
        return refine_encoder(encoder, parse_pattern(pattern), ratios, states).encoder

    (refined,) = refiner.refine([ranked])
    assert refined.refined is not None
    assert refined.value == judge.score_encoder(refined_on(texts[:20])).value
    assert refined.refined.facts["rows"] == 44
    refiner.settle([refined])
    assert refiner.encoder(ranked.candidate).digest == refined_on(texts).digest
    refiner.clear()
    assert not folder.exists()


def test_an_encoder_is_scored_like_the_candidate_that_it_is(tiny_bert: Path, tmp_path: Path) -> None:
    _, scorer, ranked = _refiner(tiny_bert, "vector:2x1", tmp_path)
    assert scorer.score_encoder(scorer.apply(ranked.candidate)).value == pytest.approx(ranked.value, abs=1e-6)
