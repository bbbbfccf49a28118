"""What docs/numerics.md can hold: checked before quantising, after it, and on loading."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape
from aebert.numerics.integers import (
    GAIN_LIMIT,
    GELU_DELTA_BITS,
    GELU_INDEX_BITS,
    INT8_MAX,
    MAX_HIDDEN,
    NORM_SHIFT_MAX,
    SHIFT_MAX,
    UINT8_MAX,
)
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLayerNorm, QuantisedLinear, Requantiser
from aebert.support.errors import AebertError

_ACCUMULATOR_LIMIT = 1 << 31
_EPSILON_LIMIT = 1 << 50


def check_shape(shape: EncoderShape) -> None:
    """Raises AebertError for sizes that the integer contract does not cover."""
    if min(shape.layers, shape.hidden, shape.heads, shape.ffn) < 1:
        raise AebertError("encoder: layers, hidden, heads and FFN sizes must be at least 1; check config.json")
    if shape.hidden > MAX_HIDDEN:
        raise AebertError(f"hidden size {shape.hidden}: LayerNorm sums hold at most {MAX_HIDDEN}; use a smaller model")
    if shape.hidden % shape.heads:
        raise AebertError(f"hidden size {shape.hidden}: not a multiple of {shape.heads} heads; check config.json")


def _expect(name: str, array: npt.NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        expected = np.dtype(dtype)
        raise AebertError(
            f"{name}: {array.dtype} {list(array.shape)}, expected {expected} {list(shape)}; quantise the subnet again"
        )


def _expect_range(name: str, low: int, high: int, array: npt.NDArray[Any] | int) -> None:
    if np.min(array) < low or np.max(array) > high:
        raise AebertError(f"{name}: values outside [{low}, {high}]; quantise the subnet again")


def _check_requantiser(name: str, requantiser: Requantiser, channels: int) -> None:
    _expect(f"{name}.multiplier", requantiser.multiplier, np.uint16, (channels,))
    _expect(f"{name}.shift", requantiser.shift, np.uint8, (channels,))
    _expect_range(f"{name}.shift", 1, SHIFT_MAX, requantiser.shift)


def _check_linear(name: str, linear: QuantisedLinear, outputs: int, inputs: int) -> None:
    _expect(f"{name}.weight", linear.weight, np.int8, (outputs, inputs))
    _expect(f"{name}.bias", linear.bias, np.int32, (outputs,))
    _check_requantiser(f"{name}.requantiser", linear.requantiser, outputs)
    _expect_range(f"{name}.weight", -INT8_MAX, INT8_MAX, linear.weight)
    magnitude = np.abs(linear.weight.astype(np.int16)).sum(axis=1, dtype=np.int64)
    worst = int((magnitude * UINT8_MAX + np.abs(linear.bias.astype(np.int64))).max())
    if worst >= _ACCUMULATOR_LIMIT:
        raise AebertError(f"{name}: a sum may reach {worst}, over the int32 accumulator; use a smaller FFN size")


def _check_norm(name: str, norm: QuantisedLayerNorm, hidden: int) -> None:
    _expect(f"{name}.gain", norm.gain, np.int32, (hidden,))
    _expect(f"{name}.offset", norm.offset, np.int32, (hidden,))
    _check_requantiser(f"{name}.requantiser", norm.requantiser, hidden)
    _expect_range(f"{name}.gain", 1 - GAIN_LIMIT, GAIN_LIMIT - 1, norm.gain)
    _expect_range(f"{name}.shift", 1, NORM_SHIFT_MAX, norm.shift)
    _expect_range(f"{name}.epsilon", 1, _EPSILON_LIMIT, norm.epsilon)
    if not (np.isfinite(norm.scale) and norm.scale > 0):
        raise AebertError(f"{name}.scale: {norm.scale} is no positive number; quantise the subnet again")


def _check_layer(name: str, layer: QuantisedLayer, shape: EncoderShape) -> None:
    hidden, ffn = shape.hidden, shape.ffn
    for matrix in ("query", "key", "value", "attention_output"):
        _check_linear(f"{name}.{matrix}", getattr(layer, matrix), hidden, hidden)
    _check_linear(f"{name}.ffn_in", layer.ffn_in, ffn, hidden)
    _check_linear(f"{name}.ffn_out", layer.ffn_out, hidden, ffn)
    _check_norm(f"{name}.attention_norm", layer.attention_norm, hidden)
    _check_norm(f"{name}.ffn_norm", layer.ffn_norm, hidden)
    _check_requantiser(f"{name}.scores", layer.scores, shape.heads)
    _check_requantiser(f"{name}.context", layer.context, hidden)
    _check_requantiser(f"{name}.gelu", layer.gelu, ffn)
    _expect_range(f"{name}.gelu_fraction_bits", GELU_INDEX_BITS, GELU_DELTA_BITS - 1, layer.gelu_fraction_bits)
    _expect_range(f"{name}.gelu_zero_point", 0, UINT8_MAX, layer.gelu_zero_point)


def check_contract(encoder: QuantisedEncoder) -> None:
    """Raises AebertError, naming the array, for anything that docs/numerics.md does not allow."""
    check_shape(encoder.shape)
    if len(encoder.layers) != encoder.shape.layers:
        raise AebertError(f"layers: {len(encoder.layers)}, expected {encoder.shape.layers}; quantise the subnet again")
    if not (np.isfinite(encoder.input_scale) and encoder.input_scale > 0):
        raise AebertError(f"input_scale: {encoder.input_scale} is no positive number; quantise the subnet again")
    _check_requantiser("input_requantiser", encoder.input_requantiser, encoder.shape.hidden)
    for number, layer in enumerate(encoder.layers):
        _check_layer(f"layers.{number}", layer, encoder.shape)
