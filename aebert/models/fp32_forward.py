"""The encoder in plain fp32 PyTorch, one layer at a time, on packed sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch.nn import functional

from aebert.models.encoder import Encoder, EncoderLayer, EncoderShape, LayerNorm, Linear, MatrixName
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.activation import FfnActivation

# Query, key and value read the same input, so there are four inputs per layer, not six.
InputName = Literal["attention", "attention_output", "ffn_in", "ffn_out"]
INPUT_NAMES: tuple[InputName, ...] = get_args(InputName)
INPUT_OF: Mapping[MatrixName, InputName] = {
    "query": "attention",
    "key": "attention",
    "value": "attention",
    "attention_output": "attention_output",
    "ffn_in": "ffn_in",
    "ffn_out": "ffn_out",
}
Tap = Callable[[InputName, torch.Tensor], None]


def apply_linear(linear: Linear, inputs: torch.Tensor) -> torch.Tensor:
    """``inputs`` [tokens, inputs] times the weight, plus the bias."""
    return functional.linear(inputs, torch.from_numpy(linear.weight), torch.from_numpy(linear.bias))


def apply_norm(norm: LayerNorm, inputs: torch.Tensor, epsilon: float) -> torch.Tensor:
    """LayerNorm over the last axis."""
    gamma, beta = torch.from_numpy(norm.gamma), torch.from_numpy(norm.beta)
    return functional.layer_norm(inputs, gamma.shape, gamma, beta, epsilon)


def activate(name: FfnActivation, inputs: torch.Tensor) -> torch.Tensor:
    """The FFN's activation function, element by element."""
    if name == "relu":
        return torch.relu(inputs)
    return functional.gelu(inputs, approximate="tanh" if name == "gelu_tanh" else "none")


def attention_context(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, states: PackedStates, heads: int
) -> torch.Tensor:
    """Softmax attention within each sequence, the shape of ``query``, from key and value of [tokens, hidden].

    ``query`` holds all tokens, or one token of each sequence: [sequences, hidden].
    """
    context = torch.empty_like(query)
    asked = 0
    for first, sequences, length in states.equal_length_runs():
        last = first + sequences * length
        asking = sequences * length if len(query) == len(key) else sequences
        q = query[asked : asked + asking].view(sequences, -1, heads, query.shape[1] // heads).transpose(1, 2)
        k, v = (part[first:last].view(sequences, length, heads, -1).transpose(1, 2) for part in (key, value))
        attended = functional.scaled_dot_product_attention(q, k, v)
        context[asked : asked + asking] = attended.transpose(1, 2).reshape(asking, -1)
        asked += asking
    return context


def stage_input(
    name: InputName,
    layer: EncoderLayer,
    shape: EncoderShape,
    states: PackedStates,
    before: Mapping[InputName, torch.Tensor],
) -> torch.Tensor:
    """The input [tokens, inputs] called ``name`` of a layer, from those ``before`` it in ``INPUT_NAMES``."""
    if name == "attention":
        return states.values
    if name == "attention_output":
        inputs = before["attention"]
        query, key, value = (apply_linear(linear, inputs) for linear in (layer.query, layer.key, layer.value))
        return attention_context(query, key, value, states, shape.heads)
    if name == "ffn_in":
        attended = apply_linear(layer.attention_output, before["attention_output"])
        return apply_norm(layer.attention_norm, before["attention"] + attended, shape.epsilon)
    return activate(shape.activation, apply_linear(layer.ffn_in, before["ffn_in"]))


def layer_output(layer: EncoderLayer, shape: EncoderShape, inputs: Mapping[InputName, torch.Tensor]) -> torch.Tensor:
    """The output [tokens, hidden] of a layer from all of its inputs."""
    projected = apply_linear(layer.ffn_out, inputs["ffn_out"])
    return apply_norm(layer.ffn_norm, inputs["ffn_in"] + projected, shape.epsilon)


def layer_forward(
    layer: EncoderLayer, shape: EncoderShape, states: PackedStates, tap: Tap | None = None
) -> PackedStates:
    """One Transformer layer. ``tap`` is shown the input [tokens, inputs] of the prunable matrices as they are used."""
    inputs: dict[InputName, torch.Tensor] = {}
    with torch.inference_mode():
        for name in INPUT_NAMES:
            inputs[name] = stage_input(name, layer, shape, states, inputs)
            if tap is not None:
                tap(name, inputs[name])
        return states.with_values(layer_output(layer, shape, inputs))


def encoder_forward(encoder: Encoder, states: PackedStates) -> PackedStates:
    """All layers; ``states`` are the embeddings."""
    for layer in encoder.layers:
        states = layer_forward(layer, encoder.shape, states)
    return states
