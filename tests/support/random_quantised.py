"""Random quantised encoders of any small shape, drawn from all that docs/numerics.md allows.

``random_quantised_encoder`` keeps activations spread over their ranges, as real ones are, so that a wrong bit anywhere
reaches the outputs; ``random_extreme_encoder`` draws every number at or near an end of its range.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape
from aebert.numerics.integers import (
    GAIN_LIMIT,
    GELU_DELTA_BITS,
    GELU_INDEX_BITS,
    MULTIPLIER_MAX,
    NORM_SHIFT_MAX,
    SHIFT_MAX,
    UINT8_MAX,
)
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLayerNorm, QuantisedLinear, Requantiser
from aebert.quantisation.flat_tensors import sealed

# Standard deviations, in integer units, that the random scales aim at.
WEIGHT_SPREAD = 30.0
INT8_SPREAD = 40.0
RESIDUAL_SPREAD = 3000.0
SCORE_SPREAD = 100.0
GELU_SPREAD_REAL = 1.5
GELU_OUT_SPREAD = 50.0
NORM_UNIT = 4096.0
EPSILON_MAX = 1 << 50
# Channels in so many that any multiplier and shift of the contract may have, whatever becomes of their values.
WILD_CHANNELS = 1 / 16


def random_shape(layers: int, hidden: int, heads: int, ffn: int) -> EncoderShape:
    """A shape with BERT's epsilon and 512 positions."""
    return EncoderShape(layers=layers, hidden=hidden, heads=heads, ffn=ffn, epsilon=1e-12, max_positions=512)


class _Draw:
    def __init__(self, seed: int, density: float) -> None:
        self._random = np.random.default_rng(seed)
        self._density = density

    def integer(self, low: int, high: int) -> int:
        return int(self._random.integers(low, high + 1))

    def epsilon(self) -> int:
        """As small as BERT's, or of any size."""
        return self.integer(1, 1000) if self.integer(0, 1) else int(np.exp2(self._random.uniform(0, 50)))

    def zero_point(self) -> int:
        return self.integer(0, 40) if self.integer(0, 3) else self.integer(0, UINT8_MAX)

    def requantiser(self, ratio: float | npt.NDArray[np.float64], channels: int) -> Requantiser:
        """Ratios around ``ratio``, a factor of 1.5 either way, spelt with any shift; a few channels are wild."""
        wanted = ratio * np.exp(self._random.uniform(-np.log(1.5), np.log(1.5), channels))
        longest = np.clip(np.floor(np.log2(MULTIPLIER_MAX / wanted)), 1, SHIFT_MAX).astype(np.int64)
        # A shift shorter than this leaves the multiplier nothing: below 1 it would round to 0.
        shortest = np.clip(np.ceil(-np.log2(wanted)), 1, longest).astype(np.int64)
        shift = self._random.integers(shortest, longest + 1)
        multiplier = np.rint(np.ldexp(wanted, shift))
        wild = self._random.random(channels) < WILD_CHANNELS
        shift = np.where(wild, self._random.integers(1, SHIFT_MAX + 1, channels), shift)
        multiplier = np.where(wild, self._random.integers(0, MULTIPLIER_MAX + 1, channels), multiplier)
        return Requantiser(np.clip(multiplier, 0, MULTIPLIER_MAX).astype(np.uint16), shift.astype(np.uint8))

    def linear(self, outputs: int, inputs: int, input_spread: float, output_spread: float) -> QuantisedLinear:
        """``output_spread`` is that of the requantised result. Outputs differ widely in the size of their weights."""
        spread = WEIGHT_SPREAD ** self._random.uniform(0.0, 1.0, (outputs, 1))
        dense = np.clip(np.rint(self._random.normal(0.0, spread, (outputs, inputs))), -127, 127)
        kept = self._random.random((outputs, inputs)) < self._density
        weight = (dense * kept).astype(np.int8)
        norm = np.sqrt(np.square(weight, dtype=np.float64).sum(axis=1))
        accumulated = np.maximum(norm, 1.0) * input_spread
        return QuantisedLinear(
            weight=weight,
            bias=np.rint(self._random.normal(0.0, 0.3 * accumulated)).astype(np.int32),
            requantiser=self.requantiser(output_spread / accumulated, outputs),
        )

    def norm(self, hidden: int) -> QuantisedLayerNorm:
        shift = self.integer(1, NORM_SHIFT_MAX)
        epsilon = self.epsilon()
        # Epsilon is compared with the squared deviation from the mean, in units of H^2.
        deviation = 1.4 * hidden * RESIDUAL_SPREAD
        normalised = NORM_UNIT * deviation / np.sqrt(deviation**2 + epsilon)
        unit = RESIDUAL_SPREAD * 2.0**shift
        gain = np.rint(self._random.normal(1.0, 0.3, hidden) * unit / normalised)
        offset: npt.NDArray[np.float64] = np.rint(self._random.normal(0.0, 0.2, hidden) * unit)
        return QuantisedLayerNorm(
            gain=np.clip(gain, 1 - GAIN_LIMIT, GAIN_LIMIT - 1).astype(np.int32),
            offset=offset.astype(np.int32),
            shift=shift,
            epsilon=epsilon,
            requantiser=self.requantiser(INT8_SPREAD / RESIDUAL_SPREAD, hidden),
            scale=1.0 / RESIDUAL_SPREAD,
        )

    def layer(self, shape: EncoderShape) -> QuantisedLayer:
        hidden, ffn = shape.hidden, shape.ffn
        fraction_bits = self.integer(GELU_INDEX_BITS, GELU_DELTA_BITS - 1)
        gelu_spread = GELU_SPREAD_REAL * 2.0**fraction_bits
        return QuantisedLayer(
            query=self.linear(hidden, hidden, INT8_SPREAD, INT8_SPREAD),
            key=self.linear(hidden, hidden, INT8_SPREAD, INT8_SPREAD),
            value=self.linear(hidden, hidden, INT8_SPREAD, INT8_SPREAD),
            scores=self.requantiser(SCORE_SPREAD / (INT8_SPREAD**2 * float(np.sqrt(shape.head_size))), shape.heads),
            context=self.requantiser(2.0 / 256.0, hidden),
            attention_output=self.linear(hidden, hidden, INT8_SPREAD, RESIDUAL_SPREAD),
            attention_norm=self.norm(hidden),
            ffn_in=self.linear(ffn, hidden, INT8_SPREAD, gelu_spread),
            gelu_fraction_bits=fraction_bits,
            gelu=self.requantiser(GELU_OUT_SPREAD / gelu_spread, ffn),
            gelu_zero_point=self.zero_point(),
            ffn_out=self.linear(hidden, ffn, GELU_OUT_SPREAD, RESIDUAL_SPREAD),
            ffn_norm=self.norm(hidden),
        )


class _ExtremeDraw(_Draw):
    """Every number at an end of its range or next to it, or anywhere in it."""

    def integers(self, low: int, high: int, shape: int | tuple[int, ...]) -> npt.NDArray[np.int64]:
        ends = np.array([low, low + 1, high - 1, high])
        anywhere = self._random.integers(low, high + 1, shape)
        return np.where(self._random.random(shape) < 0.5, self._random.choice(ends, shape), anywhere)

    def epsilon(self) -> int:
        return int(self._random.choice([1, 2, (1 << 32) - 1, 1 << 32, EPSILON_MAX - 1, EPSILON_MAX]))

    def zero_point(self) -> int:
        return int(self.integers(0, UINT8_MAX, 1)[0])

    def requantiser(self, ratio: float | npt.NDArray[np.float64], channels: int) -> Requantiser:
        return Requantiser(
            self.integers(0, MULTIPLIER_MAX, channels).astype(np.uint16),
            self.integers(1, SHIFT_MAX, channels).astype(np.uint8),
        )

    def linear(self, outputs: int, inputs: int, input_spread: float, output_spread: float) -> QuantisedLinear:
        """Sums as large as the contract allows: a bias may take the whole of int32 that the weights leave."""
        weight = self.integers(-127, 127, (outputs, inputs))
        weight[self._random.random((outputs, inputs)) >= self._density] = 0
        room = (1 << 31) - 1 - UINT8_MAX * np.abs(weight).sum(axis=1)
        return QuantisedLinear(
            weight=weight.astype(np.int8),
            bias=(self.integers(-1000, 1000, outputs) * room // 1000).astype(np.int32),
            requantiser=self.requantiser(1.0, outputs),
        )

    def norm(self, hidden: int) -> QuantisedLayerNorm:
        return QuantisedLayerNorm(
            gain=self.integers(1 - GAIN_LIMIT, GAIN_LIMIT - 1, hidden).astype(np.int32),
            offset=self.integers(-(1 << 31), (1 << 31) - 1, hidden).astype(np.int32),
            shift=int(self.integers(1, NORM_SHIFT_MAX, 1)[0]),
            epsilon=self.epsilon(),
            requantiser=self.requantiser(1.0, hidden),
            scale=1.0,
        )


def random_quantised_encoder(shape: EncoderShape, seed: int, density: float = 1.0) -> QuantisedEncoder:
    """A valid encoder; ``density`` is the share of weights that may be other than zero (anywhere)."""
    return _encoder(shape, seed, _Draw(seed, density))


def random_extreme_encoder(shape: EncoderShape, seed: int, density: float = 1.0) -> QuantisedEncoder:
    """A valid encoder with numbers from the ends of their ranges; most of its results are saturated or zero."""
    return _encoder(shape, seed, _ExtremeDraw(seed, density))


def _encoder(shape: EncoderShape, seed: int, draw: _Draw) -> QuantisedEncoder:
    return sealed(
        QuantisedEncoder(
            shape=shape,
            input_scale=1.0 / RESIDUAL_SPREAD,
            input_requantiser=draw.requantiser(INT8_SPREAD / RESIDUAL_SPREAD, shape.hidden),
            layers=tuple(draw.layer(shape) for _ in range(shape.layers)),
            subnet_digest=f"random-{seed}",
            digest="",
        )
    )


def random_residual(shape: EncoderShape, tokens: int, seed: int) -> npt.NDArray[np.int16]:
    """An encoder input int16 [tokens, hidden] of plausible spread."""
    values = np.random.default_rng(seed).normal(0.0, RESIDUAL_SPREAD, (tokens, shape.hidden))
    residual: npt.NDArray[np.int16] = np.clip(np.rint(values), -32767, 32767).astype(np.int16)
    return residual
