"""The importance of outputs against what small errors of them do to the logits, one token at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aebert.models import load_encoder
from aebert.models.encoder import Encoder, MatrixName
from aebert.models.fp32_forward import INPUT_NAMES, InputName, layer_output, stage_input
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.pruning import output_importance as module
from aebert.pruning.output_importance import output_importance
from aebert.support.errors import AebertError
from tests.support.tiny_search import tiny_texts

STEP = 0.0005


def _logits(
    host: HostModel, encoder: Encoder, states: PackedStates, at: tuple[int, MatrixName], error: torch.Tensor
) -> torch.Tensor:
    """With ``error`` [tokens, hidden] added to the output of one matrix."""
    for number, layer in enumerate(encoder.layers):
        inputs: dict[InputName, torch.Tensor] = {}
        for name in INPUT_NAMES:
            residual = inputs
            if at == (number, "attention_output") and name == "ffn_in":
                residual = inputs | {"attention": inputs["attention"] + error}
            inputs[name] = stage_input(name, layer, encoder.shape, states, residual)
        if at == (number, "ffn_out"):
            inputs["ffn_in"] = inputs["ffn_in"] + error
        states = states.with_values(layer_output(layer, encoder.shape, inputs))
    return host.logits(states.values[first_tokens(states)][:, None]).double()


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_it_is_the_variance_of_the_score_along_an_error_of_each_token_in_turn(
    tiny_classifiers: dict[str, Path], kind: str
) -> None:
    host, encoder = load_host_model(tiny_classifiers[kind]), load_encoder(tiny_classifiers[kind])
    states = host.embed_texts(host.tokenise(tiny_texts(3)))
    found = output_importance(host, encoder, [states])
    assert len(found) == 2 * encoder.shape.layers
    random = torch.Generator().manual_seed(3)
    for at in found:
        direction = torch.randn(encoder.shape.hidden, generator=random)
        none = torch.zeros_like(states.values)
        likely = _logits(host, encoder, states, at, none).softmax(dim=1)
        total = 0.0
        for token in range(len(states.values)):
            error = none.clone()
            error[token] = STEP * direction
            more, less = (_logits(host, encoder, states, at, sign * error) for sign in (1, -1))
            moved = (more - less) / (2 * STEP)
            total += float((likely * (moved - (likely * moved).sum(dim=1, keepdim=True)).square()).sum())
        assert total == pytest.approx(float(direction.double() @ found[at] @ direction.double()), rel=0.05)


def test_pieces_and_drawn_classes_change_nothing_but_noise(
    tiny_classifiers: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, encoder = load_host_model(tiny_classifiers["bert"]), load_encoder(tiny_classifiers["bert"])
    states = host.embed_texts(host.tokenise(tiny_texts(48)))
    exact = output_importance(host, encoder, [states])
    monkeypatch.setattr(module, "_PASS_TOKENS", 20)
    for at, own in output_importance(host, encoder, [states]).items():
        torch.testing.assert_close(own, exact[at], rtol=1e-4, atol=1e-4 * float(own.diagonal().max()))
    monkeypatch.setattr(module, "_MOST_PASSES", 2)
    drawn = output_importance(host, encoder, [states])
    for at, own in drawn.items():
        assert float(own.trace()) == pytest.approx(float(exact[at].trace()), rel=0.3)
        assert float(own.trace()) != pytest.approx(float(exact[at].trace()), rel=1e-6)


def test_a_model_without_a_head_has_none(tiny_bert: Path) -> None:
    host, encoder = load_host_model(tiny_bert), load_encoder(tiny_bert)
    with pytest.raises(AebertError, match="no sequence-classification head"):
        output_importance(host, encoder, [host.embed_texts(host.tokenise(tiny_texts(2)))])
