"""Subnets that a search writes: those that stay unrefined get their head corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import aebert.pruning.head_correction
from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.pruning.subnet import read_subnet
from aebert.search.run.results import SubnetWriter
from aebert.search.scoring.scorer import ScorerSettings, prepare_scorer
from tests.support.tiny_search import tiny_space, tiny_texts


def test_an_unrefined_subnet_has_the_head_that_its_scoring_rows_ask_for(
    tiny_classifiers: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, pattern = tiny_classifiers["bert"], "vector:4x1"
    host, encoder = load_host_model(model), load_encoder(model)
    space = tiny_space(model, pattern, low=0.3)
    (proposal,) = space.uniform()
    grid = space.patterns[pattern].grid
    scorer = prepare_scorer(host, encoder, tiny_texts(), None, None, grid, tmp_path / "p", ScorerSettings())
    writer = SubnetWriter(model, encoder.digest, {pattern: scorer}, 0)

    def divergence(directory: Path) -> float:
        """Of the written subnet, head and all, from the dense model."""
        moved = prepare_scorer(
            replace(load_host_model(directory), directory=model),
            encoder,
            tiny_texts(),
            None,
            None,
            grid,
            tmp_path / "p",
        )
        score = moved.score_encoder(read_subnet(directory).encoder)
        assert score.kl is not None
        return score.kl

    monkeypatch.setattr(aebert.pruning.head_correction, "CLEARLY", float("inf"))
    writer.write(proposal.candidate, tmp_path / "plain")
    assert read_subnet(tmp_path / "plain").record.head_correction is None
    monkeypatch.setattr(aebert.pruning.head_correction, "CLEARLY", 0.0)
    writer.write(proposal.candidate, tmp_path / "corrected")
    correction = read_subnet(tmp_path / "corrected").record.head_correction
    assert correction is not None
    assert divergence(tmp_path / "corrected") < divergence(tmp_path / "plain")
    plain, corrected = (read_subnet(tmp_path / name).encoder for name in ("plain", "corrected"))
    assert plain.digest == corrected.digest
    torch.testing.assert_close(
        torch.tensor(scorer.score([proposal.candidate])[0].kl), torch.tensor(divergence(tmp_path / "plain"))
    )
