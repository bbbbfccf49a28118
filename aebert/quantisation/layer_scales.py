"""The scales of one layer, from its fp32 activations on calibration text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray, Linear
from aebert.numerics.integers import GELU_DELTA_BITS, GELU_INDEX_BITS, INT8_MAX, INT16_MAX
from aebert.quantisation.input_scales import InputScale, Reader, range_margin, signed_input, unsigned_input
from aebert.quantisation.quantiser_options import QuantisationConfig

if TYPE_CHECKING:
    from aebert.quantisation.activations import LayerActivations

_GELU_HEADROOM = 1.5
# A channel that never moves on calibration text still gets steps, this share of its neighbours' largest.
_DEAD_CHANNEL = 1e-3


@dataclass(frozen=True)
class LayerScales:
    """Real values of one integer step.

    ``residual`` is the layer's input residual, which also holds the sum before the first LayerNorm, ``middle`` the
    one between the two LayerNorms. ``query``, ``key`` and ``value`` are float32 [hidden]; the product of query's and
    key's is the same for all channels of a head, ``score`` float32 [heads].
    """

    residual: float
    middle: float
    attention_input: InputScale
    query: FloatArray
    key: FloatArray
    score: FloatArray
    value: FloatArray
    context: InputScale
    ffn_input: InputScale
    gelu_fraction_bits: int
    ffn_active: InputScale


def residual_scale(headroom: float, *tensors: FloatArray) -> float:
    """One int16 step for a stream that carries all of ``tensors``, with room for more."""
    return headroom * max(max(float(np.abs(each).max()) for each in tensors), 1e-6) / INT16_MAX


def plain_input(values: FloatArray) -> InputScale:
    """One scale per channel, at its calibrated range."""
    return InputScale(_ranges(values) / np.float32(INT8_MAX))


def _ranges(values: FloatArray) -> FloatArray:
    ranges: FloatArray = np.abs(values).max(axis=0) * np.float32(range_margin(values.shape[0]))
    return np.maximum(ranges, max(float(ranges.max()) * _DEAD_CHANNEL, 1e-9)).astype(np.float32)


def _query_key_scales(
    acts: LayerActivations, shape: EncoderShape, balance: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Range moves between the two sides of a channel's product; only what is left needs a common step."""
    query, key = (_ranges(each).reshape(shape.heads, shape.head_size) for each in (acts.query, acts.key))
    factors = np.sqrt(query / key) if balance else np.ones_like(query)
    query_unit = (query / factors).max(axis=1, keepdims=True) / INT8_MAX
    key_unit = (key * factors).max(axis=1, keepdims=True) / INT8_MAX
    return (factors * query_unit).ravel(), (key_unit / factors).ravel(), (query_unit * key_unit).ravel()


def _reader(linear: Linear, outputs: FloatArray) -> Reader:
    return Reader(linear.weight, 1.0 / max(float(np.sqrt(np.mean(np.square(outputs)))), 1e-9))


def _gelu_fraction_bits(hidden: FloatArray) -> int:
    # Only the positive side needs room: GELU is zero where the negative side would saturate.
    largest = max(float(hidden.max()) * _GELU_HEADROOM, 1.0)
    return min(max(math.floor(math.log2(INT16_MAX / largest)), GELU_INDEX_BITS), GELU_DELTA_BITS - 1)


def layer_scales(
    layer: EncoderLayer, shape: EncoderShape, acts: LayerActivations, config: QuantisationConfig
) -> LayerScales:
    """Search the scales of one layer."""
    readers = tuple(
        _reader(linear, outputs)
        for linear, outputs in ((layer.query, acts.query), (layer.key, acts.key), (layer.value, acts.value))
    )
    query, key, score = _query_key_scales(acts, shape, config.balance_query_key)
    return LayerScales(
        residual=residual_scale(config.headroom, acts.input, acts.attention_sum),
        middle=residual_scale(config.headroom, acts.middle, acts.ffn_sum),
        attention_input=signed_input(acts.input, readers, config),
        query=query,
        key=key,
        score=score,
        value=plain_input(acts.value).scale,
        context=signed_input(acts.context, (Reader(layer.attention_output.weight, 1.0),), config),
        ffn_input=signed_input(acts.middle, (Reader(layer.ffn_in.weight, 1.0),), config),
        gelu_fraction_bits=_gelu_fraction_bits(acts.ffn_hidden),
        ffn_active=unsigned_input(acts.ffn_active, (Reader(layer.ffn_out.weight, 1.0),), config),
    )
