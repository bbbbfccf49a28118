"""Scales of the inputs of the matrices: how much of a channel's range its weights take over (SmoothQuant)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aebert.models.encoder import FloatArray
from aebert.numerics.integers import INT8_MAX, UINT8_MAX
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.quantisation.weight_rounding import round_to_nearest, row_scales

# A channel's share of the largest smoothing factor: keeps dead channels from asking for an infinite ratio.
_LEAST_FACTOR = 1e-4
# No real activation is this small; a wholly pruned input must still have a ratio that a requantiser holds.
_LEAST_SCALE = 1e-6
_SYMMETRIC_ZERO_POINT = 128
# From here on ranges are taken as they are seen (docs/quantisation.md has the measurement).
_AMPLE_TOKENS = 2048


@dataclass(frozen=True)
class InputScale:
    """``scale`` float32 [channels]: the real value of one integer step, and the integer that means zero."""

    scale: FloatArray
    zero_point: int = 0


@dataclass(frozen=True)
class Reader:
    """A matrix that reads the input, its outputs weighted by how much their error matters."""

    weight: FloatArray
    importance: float


def _factors(spread: FloatArray, weight_spread: FloatArray, strength: float) -> FloatArray:
    """SmoothQuant (Xiao et al., 2023) equation 4: ``max|x|^a / max|w|^(1-a)`` per channel, dead channels floored."""
    x = np.maximum(spread, spread.max() * _LEAST_FACTOR + 1e-12)
    w = np.maximum(weight_spread, weight_spread.max() * _LEAST_FACTOR + 1e-12)
    factors: FloatArray = (x**strength / w ** (1.0 - strength)).astype(np.float32)
    return np.maximum(factors, factors.max() * np.float32(_LEAST_FACTOR))


def range_margin(tokens: int) -> float:
    """How much the range seen on ``tokens`` tokens is widened for unseen text.

    With exponential tails the largest of N values grows as ln N, so few tokens are scaled as if many had been seen.
    """
    return max(1.0, math.log(_AMPLE_TOKENS) / math.log(max(tokens, 2)))


def _floored(scale: FloatArray) -> FloatArray:
    return np.maximum(scale, _LEAST_SCALE).astype(np.float32)


def _signed(values: FloatArray, factors: FloatArray) -> InputScale:
    unit = range_margin(values.shape[0]) * float((np.abs(values).max(axis=0) / factors).max()) / INT8_MAX
    return InputScale(_floored(factors * unit))


def _unsigned(values: FloatArray, factors: FloatArray) -> InputScale:
    """The offset lets the long positive and the short negative side of GELU share 255 steps."""
    high = range_margin(values.shape[0]) * max(float((values.max(axis=0) / factors).max()), 0.0)
    low = max(float((-values.min(axis=0) / factors).max()), 0.0)
    zero_point = round(UINT8_MAX * low / max(high + low, _LEAST_SCALE))
    return InputScale(_floored(factors * ((high + low) / UINT8_MAX)), zero_point=min(zero_point, UINT8_MAX))


def _unsigned_symmetric(values: FloatArray, factors: FloatArray) -> InputScale:
    return InputScale(_signed(values, factors).scale, _SYMMETRIC_ZERO_POINT)


def quantise_values(values: FloatArray, scale: InputScale, low: int, high: int) -> FloatArray:
    """``values`` [tokens, channels] in integer steps from zero, as float32; ``low`` and ``high`` bound the word."""
    steps: FloatArray = np.rint(values / scale.scale)
    return np.clip(steps, low - scale.zero_point, high - scale.zero_point, out=steps)


def _search(
    values: FloatArray,
    readers: tuple[Reader, ...],
    config: QuantisationConfig,
    make: Callable[[FloatArray, FloatArray], InputScale],
    low: int,
    high: int,
) -> InputScale:
    """Of the smoothing strengths the one with the least error of the products."""
    rows = np.linspace(0, values.shape[0] - 1, min(config.search_tokens, values.shape[0])).astype(np.int64)
    sample = values[rows]
    stacked = np.concatenate([reader.weight * np.float32(reader.importance) for reader in readers])
    exact = sample @ stacked.T
    spread = np.abs(values).max(axis=0)
    weight_spread = np.abs(stacked).max(axis=0)
    no_bias = np.zeros(stacked.shape[0], dtype=np.float32)

    def loss(scale: InputScale) -> float:
        folded = stacked * scale.scale
        row_scale = row_scales(folded, no_bias)
        weight = round_to_nearest(folded, row_scale) * row_scale[:, None]
        error = quantise_values(sample, scale, low, high) @ weight.T - exact
        return float(np.square(error, out=error).sum())

    candidates = [make(values, _factors(spread, weight_spread, strength)) for strength in config.smoothing_strengths]
    if not candidates:
        return make(values, np.ones_like(spread))
    return min(candidates, key=loss) if len(candidates) > 1 else candidates[0]


def signed_input(values: FloatArray, readers: tuple[Reader, ...], config: QuantisationConfig) -> InputScale:
    """For an int8 input [tokens, channels] of ``readers``."""
    return _search(values, readers, config, _signed, -INT8_MAX, INT8_MAX)


def unsigned_input(values: FloatArray, readers: tuple[Reader, ...], config: QuantisationConfig) -> InputScale:
    """For the post-GELU uint8 input [tokens, channels], with a zero point."""
    make = _unsigned if config.zero_point else _unsigned_symmetric
    return _search(values, readers, config, make, 0, UINT8_MAX)
