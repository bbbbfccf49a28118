"""The quantised subnet: exactly the integers that the accelerator is given, and the scales to read them by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape, MatrixName, kept_heads


@dataclass(frozen=True)
class Requantiser:
    """Per-channel multiplier (uint16) and shift (uint8), both [channels]: ``rs(z * multiplier, shift)``."""

    multiplier: npt.NDArray[np.uint16]
    shift: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class QuantisedLinear:
    """``weight`` int8 [outputs, inputs] in [-127, 127], ``bias`` int32 [outputs] in accumulator units."""

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    requantiser: Requantiser


@dataclass(frozen=True)
class QuantisedLayerNorm:
    """Integer LayerNorm: ``gain``/``offset`` int32 [hidden], the shift after them, ``epsilon`` in units of D.

    ``requantiser`` turns the residual (int16) into the next matmul's int8 input, per channel.
    ``scale`` is the real value of one unit of the residual that comes out.
    """

    gain: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int32]
    shift: int
    epsilon: int
    requantiser: Requantiser
    scale: float


@dataclass(frozen=True)
class QuantisedLayer:
    """One layer of docs/numerics.md. ``scores`` and ``context`` are [heads] and [hidden]; ``gelu`` is [ffn]."""

    query: QuantisedLinear
    key: QuantisedLinear
    value: QuantisedLinear
    scores: Requantiser
    context: Requantiser
    attention_output: QuantisedLinear
    attention_norm: QuantisedLayerNorm
    ffn_in: QuantisedLinear
    gelu_fraction_bits: int
    gelu: Requantiser
    gelu_zero_point: int
    ffn_out: QuantisedLinear
    ffn_norm: QuantisedLayerNorm

    def matrix(self, name: MatrixName) -> QuantisedLinear:
        linear: QuantisedLinear = getattr(self, name)
        return linear


@dataclass(frozen=True)
class QuantisedEncoder:
    """A quantised subnet.

    ``input_scale`` is the real value of one unit of the first residual; ``input_requantiser`` [hidden] makes the
    first int8 input from it. ``subnet_digest`` names the encoder it came from, ``digest`` (SHA-256, hex) is over
    NUMERICS_VERSION and every integer and scale here.
    """

    shape: EncoderShape
    input_scale: float
    input_requantiser: Requantiser
    layers: tuple[QuantisedLayer, ...]
    subnet_digest: str
    digest: str

    @cached_property
    def kept_heads(self) -> tuple[tuple[int, ...], ...]:
        """The heads of each layer of whose context anything is read; of the others nothing need be computed."""
        return tuple(kept_heads(layer.attention_output.weight, self.shape.heads) for layer in self.layers)

    @property
    def output_scale(self) -> float:
        """The real value of one unit of the last residual."""
        return self.layers[-1].ffn_norm.scale
