"""Weights where products are computed: in another type or on a device, within a limit, with the same scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.search.scoring.placed_weights import PlacedWeights
from aebert.search.scoring.scorer import ScorerSettings, prepare_scorer
from aebert.support.errors import AebertError
from tests.support.tiny_search import tiny_space, tiny_texts


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cache_that_is_too_small_changes_no_score(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr("aebert.search.scoring.scorer.find_kernels", lambda: None)
    space = tiny_space(tiny_bert)
    (own,) = space.patterns.values()
    settings = ScorerSettings(precision="bf16" if precision == "bf16" else "fp32", device="cpu")
    scorer = prepare_scorer(
        load_host_model(tiny_bert), load_encoder(tiny_bert), tiny_texts(), None, None, own.grid, tmp_path, settings
    )
    candidates = [proposal.candidate for proposal in space.uniform()]
    roomy = scorer.score(candidates)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    small = PlacedWeights(scorer._weights, torch.device("cpu"), dtype, limit=1)
    monkeypatch.setattr(scorer, "_placed", small)
    assert scorer.score(candidates) == roomy
    assert len(small.cache) == 1


def test_a_device_that_is_not_there_is_refused_before_anything_is_prepared(tiny_bert: Path, tmp_path: Path) -> None:
    (own,) = tiny_space(tiny_bert).patterns.values()
    for name in ("cuda:97", "abacus"):
        with pytest.raises(AebertError, match=f"device '{name}': .*; give cpu, or cuda:0 and the like") as refused:
            prepare_scorer(
                *(load_host_model(tiny_bert), load_encoder(tiny_bert), tiny_texts(), None, None, own.grid, tmp_path),
                replace(ScorerSettings(), device=name),
            )
        assert "\n" not in str(refused.value)
        assert not list(tmp_path.iterdir())
