"""The passes of one layer, each a function of integer arrays; the numbers refer to docs/numerics.md."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from aebert.numerics.activation import FfnActivation
from aebert.numerics.integers import (
    CONTEXT_SHIFT,
    EXP_ENTRIES,
    GELU_DELTA_BITS,
    GELU_ENTRIES,
    GELU_INDEX_BITS,
    NORM_MAX,
    RECIPROCAL_BITS,
    Int64Array,
    activation_delta_table,
    exp_table,
    inverse_sqrt,
    requantise,
    rounding_shift,
    saturate8,
    saturate16,
    saturate_unsigned8,
)
from aebert.numerics.quantised import QuantisedLayerNorm, QuantisedLinear, Requantiser
from aebert.numerics.reference.matmul import exact_matmul

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
UInt8Array = npt.NDArray[np.uint8]

_exp_table = cache(exp_table)
_activation_delta_table = cache(activation_delta_table)


def _requantise(value: npt.NDArray[np.integer[Any]], requantiser: Requantiser) -> Int64Array:
    return requantise(value, requantiser.multiplier, requantiser.shift)


def linear(inputs: Int8Array | UInt8Array, matrix: QuantisedLinear) -> Int64Array:
    """``rq(W x + b)``, not yet saturated: inputs [tokens, inputs] to int64 [tokens, outputs]."""
    return _requantise(exact_matmul(inputs, matrix.weight) + matrix.bias, matrix.requantiser)


def project(inputs: Int8Array, matrix: QuantisedLinear) -> Int8Array:
    """Pass 1: one of query, key, value."""
    return saturate8(linear(inputs, matrix))


def split_heads(tokens: Int8Array, sequences: int, heads: int) -> Int8Array:
    """[sequences * L, heads * D] to [sequences, heads, L, D]."""
    return tokens.reshape(sequences, tokens.shape[0] // sequences, heads, -1).transpose(0, 2, 1, 3)


def join_heads(split: Int8Array) -> Int8Array:
    """The inverse of ``split_heads``."""
    sequences, heads, length, size = split.shape
    return split.transpose(0, 2, 1, 3).reshape(sequences * length, heads * size)


def attention_scores(query: Int8Array, key: Int8Array, requantiser: Requantiser) -> Int16Array:
    """Pass 2: query and key [..., heads, L, D] to int16 [..., heads, L, L]."""
    per_head = Requantiser(requantiser.multiplier[:, None, None], requantiser.shift[:, None, None])
    return saturate16(_requantise(exact_matmul(query, key), per_head))


def softmax(scores: Int16Array) -> UInt8Array:
    """Pass 3 without its reciprocal: scores [..., L] to un-normalised probabilities."""
    wide = scores.astype(np.int32)
    below_maximum = wide.max(axis=-1, keepdims=True) - wide
    probabilities: UInt8Array = _exp_table()[np.minimum(below_maximum, EXP_ENTRIES - 1)]
    return probabilities


def attention_context(probabilities: UInt8Array, value: Int8Array, requantiser: Requantiser) -> Int8Array:
    """Pass 4: probabilities [S, heads, L, L], value [S, heads, L, D] to context [S, heads, L, D]."""
    heads, size = value.shape[-3], value.shape[-1]
    row_sum = probabilities.sum(axis=-1, keepdims=True, dtype=np.int64)
    reciprocal = (1 << RECIPROCAL_BITS) // row_sum
    weighted = exact_matmul(probabilities, np.swapaxes(value, -1, -2))
    average = rounding_shift(weighted * reciprocal, CONTEXT_SHIFT)
    per_channel = Requantiser(requantiser.multiplier.reshape(heads, 1, size), requantiser.shift.reshape(heads, 1, size))
    return saturate8(_requantise(average, per_channel))


def add_residual(residual: Int16Array, inputs: Int8Array | UInt8Array, matrix: QuantisedLinear) -> Int16Array:
    """Passes 5 and 8 up to their LayerNorm: ``sat16(r + rq(W x + b))``."""
    return saturate16(residual.astype(np.int64) + linear(inputs, matrix))


def layer_norm(summed: Int16Array, norm: QuantisedLayerNorm) -> tuple[Int16Array, Int8Array]:
    """Passes 6 and 9: ``y`` [tokens, H] to the residual and the next matmul's input, both [tokens, H]."""
    hidden = summed.shape[-1]
    y = summed.astype(np.int64)
    total = y.sum(axis=-1, keepdims=True)
    total_of_squares = (y * y).sum(axis=-1, keepdims=True)
    inverse, k = inverse_sqrt(hidden * total_of_squares - total * total + norm.epsilon)
    normalised = np.clip(rounding_shift((hidden * y - total) * inverse, 20 + k), -NORM_MAX, NORM_MAX)
    residual = saturate16(rounding_shift(normalised * norm.gain + norm.offset, norm.shift))
    return residual, saturate8(_requantise(residual, norm.requantiser))


def activate(activation: FfnActivation, hidden: Int16Array, fraction_bits: int) -> Int64Array:
    """The table part of pass 7: ``h`` to ``g``, both with ``fraction_bits`` fraction bits."""
    wide = hidden.astype(np.int64)
    index = np.minimum(np.abs(wide) >> (fraction_bits - GELU_INDEX_BITS), GELU_ENTRIES - 1)
    delta = rounding_shift(_activation_delta_table(activation), GELU_DELTA_BITS - fraction_bits)
    result: Int64Array = np.maximum(wide, 0) - delta[index]
    return result


def ffn_in(
    inputs: Int8Array,
    matrix: QuantisedLinear,
    activation: FfnActivation,
    fraction_bits: int,
    after: Requantiser,
    zero: int,
) -> UInt8Array:
    """Pass 7: FFN-in, its activation function, requantisation with zero point: [tokens, H] to [tokens, F]."""
    hidden = saturate16(linear(inputs, matrix))
    return saturate_unsigned8(_requantise(activate(activation, hidden, fraction_bits), after) + zero)
