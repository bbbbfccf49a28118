"""First and second moments of the inputs of the prunable matrices on calibration text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from aebert.models.encoder import Encoder, EncoderLayer, EncoderShape, MatrixName
from aebert.models.fp32_forward import INPUT_OF, InputName, layer_forward
from aebert.models.packed_sequences import PackedStates

Float64Array = npt.NDArray[np.float64]
_CHUNK_TOKENS = 2048
_PANELS = 4


@dataclass(frozen=True)
class InputMoments:
    """Of a matrix's inputs x over ``tokens`` tokens: ``mean`` [inputs], ``second`` [inputs, inputs] = E[x x^T]."""

    tokens: int
    mean: Float64Array
    second: Float64Array

    @property
    def channel_power(self) -> Float64Array:
        """``E[x_c^2]``, [inputs]: the square of each channel's norm over the root of the number of tokens."""
        return np.ascontiguousarray(np.diagonal(self.second))

    @property
    def covariance(self) -> Float64Array:
        """[inputs, inputs]."""
        return self.second - np.outer(self.mean, self.mean)


@dataclass(frozen=True)
class LayerMoments:
    """The moments of a layer's four different inputs."""

    inputs: Mapping[InputName, InputMoments]

    def of(self, name: MatrixName) -> InputMoments:
        """The moments of the inputs of a prunable matrix."""
        return self.inputs[INPUT_OF[name]]


def input_moments(inputs: torch.Tensor) -> InputMoments:
    """Moments of ``inputs`` [tokens, inputs] float32."""
    return InputMoments(len(inputs), inputs.double().mean(dim=0).numpy(), _own_second(inputs))


def cross_second(left: torch.Tensor, right: torch.Tensor) -> Float64Array:
    """``E[left right^T]`` over the tokens, [left inputs, right inputs].

    Products are float32 within a chunk of tokens, which is twice as fast; sums over chunks are float64.
    """
    total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64)
    for first in range(0, len(left), _CHUNK_TOKENS):
        chunk = slice(first, first + _CHUNK_TOKENS)
        total += left[chunk].T @ right[chunk]
    return np.asarray((total / len(left)).numpy())


def _own_second(inputs: torch.Tensor) -> Float64Array:
    """``E[x x^T]``, [inputs, inputs], exactly symmetric; only the blocks on and above the diagonal are computed."""
    channels = inputs.shape[1]
    second = np.empty((channels, channels))
    panel = -(-channels // _PANELS)
    for first in range(0, channels, panel):
        rows = slice(first, min(first + panel, channels))
        strip = cross_second(inputs[:, rows], inputs[:, first:])
        second[rows, first:] = strip
        second[first:, rows] = strip.T
        corner = second[rows, rows]
        second[rows, rows] = (corner + corner.T) / 2
    return second


def layer_moments(layer: EncoderLayer, shape: EncoderShape, states: PackedStates) -> tuple[LayerMoments, PackedStates]:
    """Moments of one layer's inputs, and the layer's output."""
    found: dict[InputName, InputMoments] = {}

    def record(name: InputName, inputs: torch.Tensor) -> None:
        found[name] = input_moments(inputs)

    outputs = layer_forward(layer, shape, states, record)
    return LayerMoments(found), outputs


def iterate_moments(encoder: Encoder, embeddings: PackedStates) -> Iterator[LayerMoments]:
    """Layer by layer, the moments on the dense encoder; only one layer's matrices are in memory at a time."""
    states = embeddings
    for layer in encoder.layers:
        moments, states = layer_moments(layer, encoder.shape, states)
        yield moments
