"""Random quantised encoders of any small shape whose activations spread over their ranges as real ones do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aebert.encoder import EncoderShape
from aebert.quantisation.requantiser import requantiser_for
from aebert.quantisation.tensors import sealed
from aebert.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLayerNorm, QuantisedLinear, Requantiser

# Standard deviations, in integer units, that the random scales aim at.
WEIGHT_SPREAD = 30.0
INT8_SPREAD = 40.0
RESIDUAL_SPREAD = 3000.0
SCORE_SPREAD = 100.0
GELU_SPREAD_REAL = 1.5
GELU_OUT_SPREAD = 50.0
NORM_UNIT = 4096.0


def random_shape(layers: int, hidden: int, heads: int, ffn: int) -> EncoderShape:
    """A shape with BERT's epsilon and 512 positions."""
    return EncoderShape(layers=layers, hidden=hidden, heads=heads, ffn=ffn, epsilon=1e-12, max_positions=512)


class _Draw:
    def __init__(self, seed: int, density: float) -> None:
        self._random = np.random.default_rng(seed)
        self._density = density

    def integer(self, low: int, high: int) -> int:
        return int(self._random.integers(low, high + 1))

    def requantiser(self, ratio: float, channels: int) -> Requantiser:
        """Ratios around ``ratio``, a factor of 1.5 either way."""
        spread = np.exp(self._random.uniform(-np.log(1.5), np.log(1.5), channels))
        return requantiser_for(ratio * spread, "random")

    def linear(self, outputs: int, inputs: int, input_spread: float, output_spread: float) -> QuantisedLinear:
        """``output_spread`` is that of the requantised result."""
        dense = np.clip(np.rint(self._random.normal(0.0, WEIGHT_SPREAD, (outputs, inputs))), -127, 127)
        kept = self._random.random((outputs, inputs)) < self._density
        accumulated = WEIGHT_SPREAD * input_spread * float(np.sqrt(max(1.0, inputs * self._density)))
        bias = np.rint(self._random.normal(0.0, 0.3 * accumulated, outputs))
        return QuantisedLinear(
            weight=(dense * kept).astype(np.int8),
            bias=bias.astype(np.int32),
            requantiser=self.requantiser(output_spread / accumulated, outputs),
        )

    def norm(self, hidden: int) -> QuantisedLayerNorm:
        shift = self.integer(10, 15)
        unit = RESIDUAL_SPREAD * 2.0**shift
        gain: npt.NDArray[np.float64] = np.rint(self._random.normal(1.0, 0.3, hidden) * unit / NORM_UNIT)
        offset: npt.NDArray[np.float64] = np.rint(self._random.normal(0.0, 0.2, hidden) * unit)
        return QuantisedLayerNorm(
            gain=gain.astype(np.int32),
            offset=offset.astype(np.int32),
            shift=shift,
            epsilon=self.integer(1, 1000),
            requantiser=self.requantiser(INT8_SPREAD / RESIDUAL_SPREAD, hidden),
            scale=1.0 / RESIDUAL_SPREAD,
        )

    def layer(self, shape: EncoderShape) -> QuantisedLayer:
        hidden, ffn = shape.hidden, shape.ffn
        fraction_bits = self.integer(9, 12)
        zero_point = self.integer(0, 40)
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
            gelu_zero_point=zero_point,
            ffn_out=self.linear(hidden, ffn, GELU_OUT_SPREAD, RESIDUAL_SPREAD),
            ffn_norm=self.norm(hidden),
        )


def random_quantised_encoder(shape: EncoderShape, seed: int, density: float = 1.0) -> QuantisedEncoder:
    """A valid encoder; ``density`` is the share of weights that may be other than zero (anywhere)."""
    draw = _Draw(seed, density)
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
