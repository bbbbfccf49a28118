"""Embeddings, mask and head in ONNX: what the accelerator leaves to the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.onnx_exchange.blocks import layer_norm, linear
from aebert.onnx_exchange.builder import BATCH, TOKENS, GraphBuilder
from aebert.onnx_exchange.sentence_output import add_sentence_embedding
from aebert.onnx_exchange.transformer_model import Activation, Embeddings, TransformerModel

_OPERATOR_OF: Mapping[Activation, str] = {"tanh": "Tanh", "relu": "Relu", "gelu": "Gelu"}
_MASKED = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class LayerInputs:
    """``hidden`` [batch, tokens, hidden]; ``mask`` [batch, 1, 1, tokens] is added to the scores."""

    hidden: str
    mask: str


def embed(builder: GraphBuilder, model: TransformerModel, embeddings: Embeddings) -> LayerInputs:
    """The graph's inputs and what the layers read."""
    ids, attention = builder.input("input_ids"), builder.input("attention_mask")
    words = builder.node("Gather", [builder.constant("embeddings.words", embeddings.words), ids], "words")
    positions = _positions(builder, ids, embeddings)
    summed = builder.node("Add", [words, positions], "words_and_positions")
    if embeddings.types is not None:
        types = builder.constant("embeddings.types", embeddings.types)
        # A model of one kind of token takes every token as that, whatever its tokenizer says.
        has_types = embeddings.types.shape[0] > 1
        which = builder.input("token_type_ids") if has_types else builder.integers([0])
        summed = builder.node("Add", [summed, builder.node("Gather", [types, which], "types")], "embedded")
    hidden = layer_norm(builder, "embeddings.norm", embeddings.norm, model.encoder.shape.epsilon, summed)
    if embeddings.projection is not None:
        hidden = linear(builder, "embeddings.projection", embeddings.projection, hidden)
    kept = builder.node("Equal", [attention, builder.integers(0)], "is_padding")
    scores = builder.node("Where", [kept, builder.scalar(_MASKED), builder.scalar(0.0)], "mask_of_tokens")
    return LayerInputs(hidden, builder.node("Unsqueeze", [scores, builder.integers([1, 2])], "mask"))


def _positions(builder: GraphBuilder, ids: str, embeddings: Embeddings) -> str:
    """Rows of the position table: counted from 0, or, in RoBERTa, from the padding number over what is not padding."""
    if embeddings.padding_id is None:
        tokens = builder.node("Shape", [ids], "token_count", start=1, end=2)
        scalar = builder.node("Squeeze", [tokens], "length")
        numbers = builder.node("Range", [builder.integers(0), scalar, builder.integers(1)], "position_numbers")
    else:
        padding = builder.integers(embeddings.padding_id)
        is_padding = builder.node("Equal", [ids, padding], "is_padding_token")
        counted = builder.node("Cast", [builder.node("Not", [is_padding], "is_token")], "tokens_as_ones", to=7)
        running = builder.node("CumSum", [counted, builder.integers(1)], "running_count")
        numbered = builder.node("Mul", [running, counted], "count_of_tokens")
        numbers = builder.node("Add", [numbered, padding], "position_numbers")
    return builder.node(
        "Gather", [builder.constant("embeddings.positions", embeddings.positions), numbers], "positions"
    )


def add_head(builder: GraphBuilder, model: TransformerModel, hidden: str) -> None:
    """The graph's outputs: last hidden states; logits, pooler's output and sentence embeddings where there are any."""
    builder.output("last_hidden_state", hidden, [BATCH, TOKENS, model.encoder.shape.hidden])
    if model.sentence is not None:
        add_sentence_embedding(builder, model.sentence, hidden, model.encoder.shape.hidden)
    dense = model.head.dense if model.head is not None else model.pooler
    if dense is None:
        return
    token = builder.node("Gather", [hidden, builder.integers(0)], "first_token", axis=1)
    operator = "Tanh" if model.head is None else _OPERATOR_OF[model.head.activation]
    active = builder.node(operator, [linear(builder, "head.dense", dense, token)], "head.activation")
    if model.head is None:
        builder.output("pooler_output", active, [BATCH, dense.bias.size])
    else:
        logits = linear(builder, "head.output", model.head.output, active)
        builder.output("logits", logits, [BATCH, model.head.output.bias.size])
