"""Weights where products are computed: in another type or on a device, within a limit, with the same scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aebert.errors import AebertError
from aebert.models import load_encoder
from aebert.models.host import load_host_model
from aebert.search.linear_cache import LinearCache, PreparedLinear
from aebert.search.placed_weights import PlacedWeights
from aebert.search.scorer import ScorerSettings, prepare_scorer
from tests.support.tiny_search import tiny_space, tiny_texts


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 400))
def test_a_cache_keeps_the_latest_that_fit_and_makes_the_others_again(asked: list[int], limit: int) -> None:
    cache, made = LinearCache(limit), []

    def make(kept: int) -> PreparedLinear:
        made.append(kept)
        return PreparedLinear(torch.full((kept + 1, 4), float(kept)), torch.zeros(kept + 1))

    recent: list[int] = []
    for kept in asked:
        was_kept, before = kept in recent, len(made)
        found = cache.get(0, "query", kept, lambda kept=kept: make(kept))
        assert found.weight.shape == (kept + 1, 4)
        assert (len(made) == before) == was_kept
        recent = [*(other for other in recent if other != kept), kept]
        while sum(20 * (other + 1) for other in recent) > limit and len(recent) > 1:
            recent.pop(0)
        assert len(cache) == len(recent)
        assert cache.bytes == sum(20 * (other + 1) for other in recent)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cache_that_is_too_small_changes_no_score(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr("aebert.search.scorer.find_kernels", lambda: None)
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
