"""An encoder as it is, to be scored like a candidate: its matrices have one form each."""

from __future__ import annotations

import torch

from aebert.models.encoder import Encoder, MatrixName
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.prepared_weights import NormName, PreparedNorm


class EncoderWeights:
    """``Weights`` of ``encoder``, in which no site decides about anything."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        return None

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        found = self._encoder.layers[layer].matrix(name)
        return PreparedLinear(torch.from_numpy(found.weight), torch.from_numpy(found.bias))

    def norm(self, layer: int, name: NormName) -> PreparedNorm:
        own = self._encoder.layers[layer]
        norm = own.attention_norm if name == "attention" else own.ffn_norm
        return PreparedNorm(torch.from_numpy(norm.gamma), torch.from_numpy(norm.beta), self._encoder.shape.epsilon)
