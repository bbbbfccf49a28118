"""One layer in integers, pass by pass: each matrix is rounded knowing the integers that will reach it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray, LayerNorm, Linear, MatrixName
from aebert.numerics.integers import EXP_STEPS_PER_NAT, GAIN_LIMIT, NORM_FRACTION_BITS, NORM_SHIFT_MAX
from aebert.numerics.quantised import QuantisedLayer, QuantisedLayerNorm, QuantisedLinear
from aebert.numerics.reference import SequenceBatch, from_residual, passes
from aebert.numerics.reference.attention import attend
from aebert.quantisation.input_scales import InputScale
from aebert.quantisation.layer_scales import LayerScales
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.quantisation.requantiser import requantiser_for
from aebert.quantisation.weight_rounding import round_to_nearest, row_scales

if TYPE_CHECKING:
    from aebert.quantisation.activations import LayerActivations

# Attention averages are held in units of 1/256 (docs/numerics.md, pass 4).
CONTEXT_FRACTION = 256.0
_OFFSET_LIMIT = float(1 << 31)


@dataclass(frozen=True)
class IntegerState:
    """What enters a layer: residual int16 and input int8, both [tokens, hidden] of the joined calibration text."""

    residual: npt.NDArray[np.int16]
    x: npt.NDArray[np.int8]


@dataclass(frozen=True)
class NextInput:
    """What follows a LayerNorm: the step of the residual it makes, and of the int8 input made from that."""

    residual: float
    input: InputScale


@dataclass(frozen=True)
class MatrixSteps:
    """The integer steps of a matrix's input, and of its requantised result: per output or for all."""

    input: InputScale
    output: FloatArray | float


def matrix_steps(scales: LayerScales, matrix: MatrixName) -> MatrixSteps:
    """Which of a layer's scales hold on the two sides of a matrix."""
    match matrix:
        case "query":
            return MatrixSteps(scales.attention_input, scales.query)
        case "key":
            return MatrixSteps(scales.attention_input, scales.key)
        case "value":
            return MatrixSteps(scales.attention_input, scales.value)
        case "attention_output":
            return MatrixSteps(scales.context, scales.residual)
        case "ffn_in":
            return MatrixSteps(scales.ffn_input, 2.0**-scales.gelu_fraction_bits)
        case "ffn_out":
            return MatrixSteps(scales.ffn_active, scales.middle)


def quantise_linear(
    name: str,
    linear: Linear,
    scale: InputScale,
    unit: FloatArray | float,
    inputs: npt.NDArray[np.integer[Any]],
    target: FloatArray,
    config: QuantisationConfig,
) -> QuantisedLinear:
    """Round one matrix. ``inputs`` are the integers [tokens, inputs] that reach it, of step ``scale``; ``target`` is
    what fp32 gives there [tokens, outputs]; ``unit`` is the step of the requantised result, per output or for all.
    """
    steps = (inputs.astype(np.float32) - np.float32(scale.zero_point)).astype(np.float32)
    folded = linear.weight * scale.scale
    row_scale = row_scales(folded, linear.bias)
    rounded = round_to_nearest(folded, row_scale)
    bias = linear.bias.astype(np.float64)
    if config.correct_bias:
        # The mean of a product is the product of the mean.
        bias = target.mean(axis=0, dtype=np.float64) - (rounded @ steps.mean(axis=0, dtype=np.float64)) * row_scale
    offset = scale.zero_point * rounded.sum(axis=1, dtype=np.float64)
    return QuantisedLinear(
        weight=rounded.astype(np.int8),
        bias=(np.rint(bias / row_scale) - offset).astype(np.int32),
        requantiser=requantiser_for(row_scale.astype(np.float64) / unit, name),
    )


def quantise_norm(
    name: str, norm: LayerNorm, epsilon: float, summed_scale: float, following: NextInput
) -> QuantisedLayerNorm:
    """``summed_scale`` is the step of the LayerNorm's input."""
    gain = norm.gamma.astype(np.float64) / (following.residual * (1 << NORM_FRACTION_BITS))
    offset = norm.beta.astype(np.float64) / following.residual
    gain_room = (GAIN_LIMIT - 1) / max(float(np.abs(gain).max()), 1e-30)
    offset_room = (_OFFSET_LIMIT - 1) / max(float(np.abs(offset).max()), 1e-30)
    shift = int(np.clip(np.floor(np.log2(min(gain_room, offset_room))), 1, NORM_SHIFT_MAX))
    return QuantisedLayerNorm(
        gain=np.rint(gain * 2.0**shift).astype(np.int32),
        offset=np.rint(offset * 2.0**shift).astype(np.int32),
        shift=shift,
        epsilon=max(1, round(epsilon * norm.gamma.size**2 / summed_scale**2)),
        requantiser=requantiser_for(following.residual / following.input.scale.astype(np.float64), name),
        scale=following.residual,
    )


def quantise_layer(
    name: str,
    layer: EncoderLayer,
    shape: EncoderShape,
    acts: LayerActivations,
    scales: LayerScales,
    following: NextInput,
    state: IntegerState,
    batch: SequenceBatch,
    config: QuantisationConfig,
) -> tuple[QuantisedLayer, IntegerState]:
    """The layer in integers and what it makes of ``state``; ``acts`` is what fp32 makes of the same text."""

    def rounded(matrix: MatrixName, inputs: npt.NDArray[np.integer[Any]], target: FloatArray) -> QuantisedLinear:
        steps = matrix_steps(scales, matrix)
        return quantise_linear(
            f"{name}.{matrix}", layer.matrix(matrix), steps.input, steps.output, inputs, target, config
        )

    query = rounded("query", state.x, acts.query)
    key = rounded("key", state.x, acts.key)
    value = rounded("value", state.x, acts.value)
    per_step = EXP_STEPS_PER_NAT / np.sqrt(shape.head_size)
    scores = requantiser_for(per_step * scales.score.astype(np.float64), f"{name}.scores")
    context = requantiser_for(
        scales.value.astype(np.float64) / (CONTEXT_FRACTION * scales.context.scale), f"{name}.context"
    )
    q, k, v = (passes.project(state.x, matrix) for matrix in (query, key, value))
    attended = attend(q, k, v, batch, scores, context).context

    # Against the exact sum, not the exact product: the bias then also takes back what earlier layers shifted.
    missing = acts.attention_sum - from_residual(state.residual, scales.residual)
    attention_output = rounded("attention_output", attended, missing)
    attention_norm = quantise_norm(
        f"{name}.attention_norm",
        layer.attention_norm,
        shape.epsilon,
        scales.residual,
        NextInput(scales.middle, scales.ffn_input),
    )
    middle, x = passes.layer_norm(passes.add_residual(state.residual, attended, attention_output), attention_norm)

    ffn_in = rounded("ffn_in", x, acts.ffn_hidden)
    gelu = requantiser_for(2.0**-scales.gelu_fraction_bits / scales.ffn_active.scale.astype(np.float64), f"{name}.gelu")
    zero_point = scales.ffn_active.zero_point
    active = passes.ffn_in(x, ffn_in, shape.activation, scales.gelu_fraction_bits, gelu, zero_point)

    missing = acts.ffn_sum - from_residual(middle, scales.middle)
    ffn_out = rounded("ffn_out", active, missing)
    ffn_norm = quantise_norm(f"{name}.ffn_norm", layer.ffn_norm, shape.epsilon, scales.middle, following)
    residual, x = passes.layer_norm(passes.add_residual(middle, active, ffn_out), ffn_norm)
    quantised = QuantisedLayer(
        query=query,
        key=key,
        value=value,
        scores=scores,
        context=context,
        attention_output=attention_output,
        attention_norm=attention_norm,
        ffn_in=ffn_in,
        gelu_fraction_bits=scales.gelu_fraction_bits,
        gelu=gelu,
        gelu_zero_point=zero_point,
        ffn_out=ffn_out,
        ffn_norm=ffn_norm,
    )
    return quantised, replace(state, residual=residual, x=x)
