"""One Transformer layer in float32 ONNX."""

from __future__ import annotations

import math

from aebert.models.encoder import EncoderLayer, EncoderShape
from aebert.onnx_exchange.blocks import activation, join_heads, layer_norm, linear, split_heads
from aebert.onnx_exchange.builder import GraphBuilder


def float_layer(
    builder: GraphBuilder, name: str, layer: EncoderLayer, shape: EncoderShape, hidden: str, mask: str
) -> str:
    """The layer's output [batch, tokens, hidden]; ``mask`` is added to the scores, [batch, 1, 1, tokens]."""
    query = split_heads(builder, f"{name}.query", linear(builder, f"{name}.query", layer.query, hidden), shape.heads)
    key = linear(builder, f"{name}.key", layer.key, hidden)
    key = split_heads(builder, f"{name}.key", key, shape.heads, tokens_last=True)
    value = split_heads(builder, f"{name}.value", linear(builder, f"{name}.value", layer.value, hidden), shape.heads)
    products = builder.node("MatMul", [query, key], f"{name}.products")
    scores = builder.node("Mul", [products, builder.scalar(1.0 / math.sqrt(shape.head_size))], f"{name}.scores")
    masked = builder.node("Add", [scores, mask], f"{name}.masked")
    probabilities = builder.node("Softmax", [masked], f"{name}.probabilities", axis=-1)
    attended = builder.node("MatMul", [probabilities, value], f"{name}.attended")
    context = join_heads(builder, f"{name}.context", attended)
    projected = linear(builder, f"{name}.attention_output", layer.attention_output, context)
    summed = builder.node("Add", [projected, hidden], f"{name}.attention_sum")
    middle = layer_norm(builder, f"{name}.attention_norm", layer.attention_norm, shape.epsilon, summed)
    active = activation(
        builder, f"{name}.gelu", shape.activation, linear(builder, f"{name}.ffn_in", layer.ffn_in, middle)
    )
    projected = linear(builder, f"{name}.ffn_out", layer.ffn_out, active)
    summed = builder.node("Add", [projected, middle], f"{name}.ffn_sum")
    return layer_norm(builder, f"{name}.ffn_norm", layer.ffn_norm, shape.epsilon, summed)
