"""Prepared weights on the device and in the type that products take there, as many as a limit allows."""

from __future__ import annotations

import torch

from aebert.models.encoder import Encoder, MatrixName
from aebert.search.scoring.linear_cache import LinearCache, PreparedLinear
from aebert.search.scoring.prepared_weights import NormName, PreparedNorm
from aebert.search.scoring.shared_evaluation import Weights

# MiniLM-L6 fits at all 16 levels in bf16; for BERT-base, matrices come back from the prepared files in milliseconds.
CACHE_BYTES = 768 * 2**20


class PlacedWeights:
    """``Weights`` of ``prepared`` on ``device`` in ``dtype``; LayerNorms stay float32. ``limit`` in bytes."""

    def __init__(self, prepared: Weights, device: torch.device, dtype: torch.dtype, limit: int = CACHE_BYTES) -> None:
        self._prepared, self._device, self._dtype = prepared, device, dtype
        self.cache = LinearCache(limit)
        layers = range(prepared.encoder.shape.layers)
        norms: list[NormName] = ["attention", "ffn"]
        self._norms = {(layer, name): self._placed_norm(layer, name) for layer in layers for name in norms}

    @property
    def encoder(self) -> Encoder:
        return self._prepared.encoder

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        return self._prepared.site_of(layer, name)

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        # A matrix that the pattern leaves dense has one form, whatever count it is asked for.
        key = kept if self.site_of(layer, name) is not None else -1
        return self.cache.get((layer, name, key), lambda: self._placed(layer, name, kept))

    def norm(self, layer: int, name: NormName) -> PreparedNorm:
        return self._norms[layer, name]

    def _placed(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        found = self._prepared.linear(layer, name, kept)
        return PreparedLinear(found.weight.to(self._device, self._dtype), found.bias.to(self._device, self._dtype))

    def _placed_norm(self, layer: int, name: NormName) -> PreparedNorm:
        found = self._prepared.norm(layer, name)
        return PreparedNorm(found.gamma.to(self._device), found.beta.to(self._device), found.epsilon)
