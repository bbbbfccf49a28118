"""One layer in float32 with chosen quantisers switched on: what each of them alone does to the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray, LayerNorm, Linear, MatrixName
from aebert.models.fp32_forward import activate, apply_linear, apply_norm
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.activation import FfnActivation
from aebert.numerics.integers import EXP_STEPS_PER_NAT, INT8_MAX, UINT8_MAX, saturate16
from aebert.numerics.quantised import QuantisedLayer, QuantisedLayerNorm
from aebert.numerics.reference import from_residual, passes, to_residual
from aebert.quantisation.input_scales import InputScale, quantise_values
from aebert.quantisation.integer_layer import matrix_steps
from aebert.quantisation.layer_scales import LayerScales
from aebert.quantisation.requantiser import ratio_of

Source = Literal[
    "weights",
    "attention_input",
    "query",
    "key",
    "value",
    "softmax",
    "context",
    "ffn_input",
    "gelu",
    "ffn_active",
    "residual",
    "layer_norm",
]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True)
class SimulatedLayer:
    """A layer both ways, with the scales that lie between."""

    exact: EncoderLayer
    quantised: QuantisedLayer
    scales: LayerScales
    shape: EncoderShape


def _scaled(values: torch.Tensor, scale: InputScale, low: int, high: int) -> torch.Tensor:
    return torch.from_numpy(quantise_values(values.numpy(), scale, low, high) * scale.scale)


def _signed(values: torch.Tensor, scale: FloatArray) -> torch.Tensor:
    return _scaled(values, InputScale(scale), -INT8_MAX, INT8_MAX)


def _residual(values: torch.Tensor, scale: float) -> torch.Tensor:
    return torch.from_numpy(from_residual(to_residual(values.numpy(), scale), scale))


def real_linear(simulated: SimulatedLayer, name: MatrixName) -> Linear:
    """The weights and bias that the integers of matrix ``name`` stand for, zero point taken out."""
    steps = matrix_steps(simulated.scales, name)
    quantised = simulated.quantised.matrix(name)
    row_scale = ratio_of(quantised.requantiser) * steps.output
    offset = steps.input.zero_point * quantised.weight.sum(axis=1, dtype=np.int64)
    return Linear(
        weight=(quantised.weight * row_scale[:, None] / steps.input.scale).astype(np.float32),
        bias=((quantised.bias + offset) * row_scale).astype(np.float32),
    )


def _integer_softmax(scores: torch.Tensor) -> torch.Tensor:
    steps = np.rint(scores.numpy() * EXP_STEPS_PER_NAT).astype(np.int64)
    e = passes.softmax(saturate16(steps)).astype(np.float32)
    return torch.from_numpy(e / e.sum(axis=-1, keepdims=True))


def _integer_activation(activation: FfnActivation, hidden: torch.Tensor, fraction_bits: int) -> torch.Tensor:
    unit = 2.0**-fraction_bits
    h: npt.NDArray[np.int16] = to_residual(hidden.numpy(), unit)
    return torch.from_numpy((passes.activate(activation, h, fraction_bits) * unit).astype(np.float32))


def _active(simulated: SimulatedLayer, hidden: torch.Tensor, integer: bool) -> torch.Tensor:
    activation = simulated.shape.activation
    if integer:
        return _integer_activation(activation, hidden, simulated.scales.gelu_fraction_bits)
    return activate(activation, hidden)


def _integer_norm(summed: torch.Tensor, scale: float, norm: QuantisedLayerNorm) -> torch.Tensor:
    residual, _ = passes.layer_norm(to_residual(summed.numpy(), scale), norm)
    return torch.from_numpy(from_residual(residual, norm.scale))


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, states: PackedStates, heads: int, integer: bool
) -> torch.Tensor:
    context = torch.empty_like(query)
    for first, sequences, length in states.equal_length_runs():
        last = first + sequences * length
        q, k, v = (each[first:last].view(sequences, length, heads, -1).transpose(1, 2) for each in (query, key, value))
        scores = q @ k.transpose(-1, -2) / float(np.sqrt(q.shape[-1]))
        probabilities = _integer_softmax(scores) if integer else scores.softmax(dim=-1)
        context[first:last] = (probabilities @ v).transpose(1, 2).reshape(last - first, -1)
    return context


def simulate_layer(simulated: SimulatedLayer, states: PackedStates, sources: frozenset[Source]) -> PackedStates:
    """The layer on fp32 ``states`` with the quantisers of ``sources`` on. ``layer_norm`` rounds its input as well."""
    scales, exact, quantised = simulated.scales, simulated.exact, simulated.quantised
    output_scale = quantised.ffn_norm.scale

    def linear(name: MatrixName, inputs: torch.Tensor) -> torch.Tensor:
        return apply_linear(real_linear(simulated, name) if "weights" in sources else exact.matrix(name), inputs)

    def signed(source: Source, values: torch.Tensor, scale: FloatArray) -> torch.Tensor:
        return _signed(values, scale) if source in sources else values

    def residual(values: torch.Tensor, scale: float) -> torch.Tensor:
        return _residual(values, scale) if "residual" in sources else values

    def norm(summed: torch.Tensor, scale: float, real: LayerNorm, integer: QuantisedLayerNorm) -> torch.Tensor:
        if "layer_norm" in sources:
            return _integer_norm(summed, scale, integer)
        return apply_norm(real, summed, simulated.shape.epsilon)

    with torch.inference_mode():
        entering = residual(states.values, scales.residual)
        x = signed("attention_input", entering, scales.attention_input.scale)
        query = signed("query", linear("query", x), scales.query)
        key = signed("key", linear("key", x), scales.key)
        value = signed("value", linear("value", x), scales.value)
        attended = _attention(query, key, value, states, simulated.shape.heads, "softmax" in sources)
        context = signed("context", attended, scales.context.scale)
        summed = residual(entering + linear("attention_output", context), scales.residual)
        middle = residual(norm(summed, scales.residual, exact.attention_norm, quantised.attention_norm), scales.middle)
        hidden = linear("ffn_in", signed("ffn_input", middle, scales.ffn_input.scale))
        active = _active(simulated, hidden, "gelu" in sources)
        if "ffn_active" in sources:
            active = _scaled(active, scales.ffn_active, 0, UINT8_MAX)
        summed = residual(middle + linear("ffn_out", active), scales.middle)
        output = residual(norm(summed, scales.middle, exact.ffn_norm, quantised.ffn_norm), output_scale)
    return states.with_values(output)
