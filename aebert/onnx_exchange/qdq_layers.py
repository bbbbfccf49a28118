"""One Transformer layer in int8 ONNX: QuantizeLinear and DequantizeLinear around every product of docs/numerics.md.

A per-channel factor of an activation stands as a multiplication before QuantizeLinear, whose own scale is then 1. So
the integers are those of the contract, smoothing included, and each product has one scale per activation and one per
output channel of its weight, which is what onnxruntime's int8 kernels take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray, MatrixName
from aebert.numerics.integers import EXP_STEPS_PER_NAT, UINT8_MAX
from aebert.numerics.quantised import QuantisedLayer
from aebert.onnx_exchange.blocks import activation, join_heads, layer_norm, split_heads
from aebert.onnx_exchange.builder import GraphBuilder
from aebert.quantisation.integer_layer import CONTEXT_FRACTION, matrix_steps
from aebert.quantisation.layer_scales import LayerScales
from aebert.quantisation.requantiser import ratio_of

# Signed integers of the contract stand as unsigned ones about 128, activations and weights alike. On CPUs without VNNI
# onnxruntime's kernels for signed weights add two products in 16 bits and saturate; those for unsigned ones are exact.
ZERO_POINT = np.uint8(128)


@dataclass(frozen=True)
class QuantisedParts:
    """A layer as it is (for its LayerNorms), in integers, and the real values of their steps."""

    exact: EncoderLayer
    integers: QuantisedLayer
    scales: LayerScales


def qdq_layer(
    builder: GraphBuilder, name: str, parts: QuantisedParts, shape: EncoderShape, hidden: str, mask: str
) -> str:
    """The layer's output [batch, tokens, hidden]; ``mask`` is added to the scores, [batch, 1, 1, tokens]."""
    integers, scales = parts.integers, parts.scales

    def product(matrix: MatrixName, inputs: str) -> str:
        return _product(builder, f"{name}.{matrix}", parts, matrix, inputs)

    x = _steps(builder, f"{name}.input", hidden, 1.0 / scales.attention_input.scale)
    query = _steps(builder, f"{name}.query_steps", product("query", x), 1.0 / scales.query)
    key = _steps(builder, f"{name}.key_steps", product("key", x), 1.0 / scales.key)
    value = _steps(builder, f"{name}.value_steps", product("value", x), 1.0 / scales.value)
    products = builder.node(
        "MatMul",
        [
            split_heads(builder, f"{name}.query", query, shape.heads),
            split_heads(builder, f"{name}.key", key, shape.heads, tokens_last=True),
        ],
        f"{name}.products",
    )
    per_head = (ratio_of(integers.scores) / EXP_STEPS_PER_NAT).astype(np.float32).reshape(-1, 1, 1)
    scores = builder.node("Mul", [products, builder.constant(f"{name}.score_scale", per_head)], f"{name}.scores")
    masked = builder.node("Add", [scores, mask], f"{name}.masked")
    attended = _attended(builder, name, masked, split_heads(builder, f"{name}.value", value, shape.heads))
    context = _steps(
        builder,
        f"{name}.context_steps",
        join_heads(builder, f"{name}.context", attended),
        (CONTEXT_FRACTION * ratio_of(integers.context)).astype(np.float32),
    )
    summed = builder.node("Add", [product("attention_output", context), hidden], f"{name}.attention_sum")
    middle = layer_norm(builder, f"{name}.attention_norm", parts.exact.attention_norm, shape.epsilon, summed)
    x = _steps(builder, f"{name}.ffn_input", middle, 1.0 / scales.ffn_input.scale)
    gelu = activation(builder, f"{name}.gelu", shape.activation, product("ffn_in", x))
    per_step = (ratio_of(integers.gelu) * 2.0**integers.gelu_fraction_bits).astype(np.float32)
    active = _steps(builder, f"{name}.gelu_steps", gelu, per_step, np.uint8(integers.gelu_zero_point))
    summed = builder.node("Add", [product("ffn_out", active), middle], f"{name}.ffn_sum")
    return layer_norm(builder, f"{name}.ffn_norm", parts.exact.ffn_norm, shape.epsilon, summed)


def _steps(builder: GraphBuilder, name: str, value: str, factor: FloatArray, zero_point: np.uint8 = ZERO_POINT) -> str:
    """``value`` times ``factor`` [channels], rounded to integers and saturated; given out as float32 again."""
    scaled = builder.node("Mul", [value, builder.constant(f"{name}.factor", factor)], f"{name}.scaled")
    return _rounded(builder, name, scaled, 1.0, zero_point)


def _rounded(builder: GraphBuilder, name: str, value: str, scale: float, zero_point: np.uint8) -> str:
    one = builder.scalar(scale)
    kind = np.asarray(zero_point)
    zero = builder.constant(f"zero_point.{kind.dtype}.{int(kind)}", kind)
    quantised = builder.node("QuantizeLinear", [value, one, zero], f"{name}.quantised")
    return builder.node("DequantizeLinear", [quantised, one, zero], name)


def _product(builder: GraphBuilder, name: str, parts: QuantisedParts, matrix: MatrixName, inputs: str) -> str:
    """The int8 weight times integer steps, plus the int32 bias, in real units."""
    integers = parts.integers.matrix(matrix)
    steps = matrix_steps(parts.scales, matrix)
    row_scale = builder.constant(f"{name}.scale", (ratio_of(integers.requantiser) * steps.output).astype(np.float32))
    # DequantizeLinear takes the zero point out of the input, so the bias must not hold it as well.
    offset = steps.input.zero_point * integers.weight.sum(axis=1, dtype=np.int64)
    bias = builder.constant(f"{name}.bias.quantised", (integers.bias + offset).astype(np.int32))
    weight = builder.constant(
        f"{name}.weight.quantised", (integers.weight.T.astype(np.int16) + ZERO_POINT).astype(np.uint8)
    )
    zeros = builder.constant(f"{name}.weight.zero_points", np.full(integers.bias.size, ZERO_POINT))
    weight = builder.node("DequantizeLinear", [weight, row_scale, zeros], f"{name}.weight", axis=1)
    bias = builder.node("DequantizeLinear", [bias, row_scale], f"{name}.bias", axis=0)
    multiplied = builder.node("MatMul", [inputs, weight], f"{name}.product")
    return builder.node("Add", [multiplied, bias], name)


def _attended(builder: GraphBuilder, name: str, scores: str, value: str) -> str:
    """The average of ``value`` with uint8 weights whose row maximum is 255, divided by their sum afterwards."""
    largest = builder.node("ReduceMax", [scores, builder.integers([-1])], f"{name}.score_maximum", keepdims=1)
    below = builder.node("Sub", [scores, largest], f"{name}.below_maximum")
    weights = builder.node("Exp", [below], f"{name}.exponentials")
    weights = _rounded(builder, f"{name}.probabilities", weights, 1.0 / UINT8_MAX, np.uint8(0))
    total = builder.node("ReduceSum", [weights, builder.integers([-1])], f"{name}.probability_sum", keepdims=1)
    weighted = builder.node("MatMul", [weights, value], f"{name}.weighted")
    return builder.node("Div", [weighted, total], f"{name}.attended")
