"""Every intermediate value of one layer in fp32, on calibration text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray
from aebert.models.fp32_forward import activate, apply_linear, apply_norm, attention_context
from aebert.models.packed_sequences import PackedStates


@dataclass(frozen=True)
class LayerActivations:
    """float32 [tokens, hidden], but ``ffn_hidden`` (before the activation) and ``ffn_active`` (after): [tokens, ffn].

    ``attention_sum`` and ``ffn_sum`` are the inputs of the two LayerNorms, ``middle`` and ``output`` what they make.
    """

    input: FloatArray
    query: FloatArray
    key: FloatArray
    value: FloatArray
    context: FloatArray
    attention_sum: FloatArray
    middle: FloatArray
    ffn_hidden: FloatArray
    ffn_active: FloatArray
    ffn_sum: FloatArray
    output: FloatArray


def layer_activations(layer: EncoderLayer, shape: EncoderShape, states: PackedStates) -> LayerActivations:
    """One layer in fp32 with everything kept."""
    with torch.inference_mode():
        inputs = states.values
        query, key, value = (apply_linear(linear, inputs) for linear in (layer.query, layer.key, layer.value))
        context = attention_context(query, key, value, states, shape.heads)
        attention_sum = inputs + apply_linear(layer.attention_output, context)
        middle = apply_norm(layer.attention_norm, attention_sum, shape.epsilon)
        ffn_hidden = apply_linear(layer.ffn_in, middle)
        ffn_active = activate(shape.activation, ffn_hidden)
        ffn_sum = middle + apply_linear(layer.ffn_out, ffn_active)
        output = apply_norm(layer.ffn_norm, ffn_sum, shape.epsilon)
    return LayerActivations(
        input=inputs.numpy(),
        query=query.numpy(),
        key=key.numpy(),
        value=value.numpy(),
        context=context.numpy(),
        attention_sum=attention_sum.numpy(),
        middle=middle.numpy(),
        ffn_hidden=ffn_hidden.numpy(),
        ffn_active=ffn_active.numpy(),
        ffn_sum=ffn_sum.numpy(),
        output=output.numpy(),
    )
