"""The typed description of an encoder that every later step works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from aebert.numerics.activation import FfnActivation

FloatArray = npt.NDArray[np.float32]

MatrixName = Literal["query", "key", "value", "attention_output", "ffn_in", "ffn_out"]
MATRIX_NAMES: tuple[MatrixName, ...] = get_args(MatrixName)


@dataclass(frozen=True)
class Linear:
    """A fully connected layer: ``weight`` [outputs, inputs] and ``bias`` [outputs], both float32."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class LayerNorm:
    """``gamma`` and ``beta``, each [hidden], float32."""

    gamma: FloatArray
    beta: FloatArray


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of a post-LayerNorm encoder, and the activation function of its FFNs."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    epsilon: float
    max_positions: int
    activation: FfnActivation = "gelu"

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


def matrix_sizes(shape: EncoderShape, name: MatrixName) -> tuple[int, int]:
    """(outputs, inputs)."""
    return {
        "ffn_in": (shape.ffn, shape.hidden),
        "ffn_out": (shape.hidden, shape.ffn),
    }.get(name, (shape.hidden, shape.hidden))


def kept_heads(attention_output: npt.NDArray[np.generic], heads: int) -> tuple[int, ...]:
    """Those of ``heads`` heads whose context the weights of ``attention_output`` [outputs, inputs] read."""
    read = (attention_output != 0).any(axis=0).reshape(heads, -1).any(axis=1)
    return tuple(np.flatnonzero(read).tolist())


@dataclass(frozen=True)
class EncoderLayer:
    """One Transformer layer: the six prunable matrices and the two LayerNorms."""

    query: Linear
    key: Linear
    value: Linear
    attention_output: Linear
    ffn_in: Linear
    ffn_out: Linear
    attention_norm: LayerNorm
    ffn_norm: LayerNorm

    def matrix(self, name: MatrixName) -> Linear:
        linear: Linear = getattr(self, name)
        return linear


@dataclass(frozen=True)
class Encoder:
    """The stack of Transformer layers; embeddings, pooler and head stay on the host.

    ``digest`` is the SHA-256 (hex) over the shape and all weights in a fixed order.
    """

    shape: EncoderShape
    layers: tuple[EncoderLayer, ...]
    digest: str

    def matrices(self) -> Iterator[tuple[int, MatrixName, Linear]]:
        """Every prunable matrix with its layer number, in the order of the data flow."""
        for number, layer in enumerate(self.layers):
            for name in MATRIX_NAMES:
                yield number, name, layer.matrix(name)
