"""Random fp32 encoders and embeddings for tests of the quantiser, with the outlier channels that real ones have."""

from __future__ import annotations

import numpy as np
import torch

from aebert.models import make_encoder
from aebert.models.encoder import Encoder, EncoderLayer, EncoderShape, FloatArray, LayerNorm, Linear
from aebert.models.packed_sequences import PackedStates, pack

OUTLIER = 20.0


def _linear(random: np.random.Generator, outputs: int, inputs: int, density: float) -> Linear:
    weight = random.normal(0.0, 1.0 / np.sqrt(inputs), (outputs, inputs))
    kept = random.random((outputs, inputs)) < density
    return Linear((weight * kept).astype(np.float32), random.normal(0.0, 0.1, outputs).astype(np.float32))


def _norm(random: np.random.Generator, hidden: int) -> LayerNorm:
    gamma = random.normal(1.0, 0.1, hidden)
    gamma[random.integers(hidden)] *= OUTLIER
    return LayerNorm(gamma.astype(np.float32), random.normal(0.0, 0.1, hidden).astype(np.float32))


def random_encoder(shape: EncoderShape, seed: int, density: float = 1.0) -> Encoder:
    """Random weights; ``density`` is the share that is not zero."""
    random = np.random.default_rng(seed)
    hidden, ffn = shape.hidden, shape.ffn
    layers = [
        EncoderLayer(
            query=_linear(random, hidden, hidden, density),
            key=_linear(random, hidden, hidden, density),
            value=_linear(random, hidden, hidden, density),
            attention_output=_linear(random, hidden, hidden, density),
            ffn_in=_linear(random, ffn, hidden, density),
            ffn_out=_linear(random, hidden, ffn, density),
            attention_norm=_norm(random, hidden),
            ffn_norm=_norm(random, hidden),
        )
        for _ in range(shape.layers)
    ]
    return make_encoder(shape, layers)


def random_embeddings(shape: EncoderShape, lengths: tuple[int, ...], seed: int) -> PackedStates:
    """Embeddings of sequences of these lengths, with one outlier channel."""
    random = np.random.default_rng(seed)
    scale: FloatArray = np.ones(shape.hidden, dtype=np.float32)
    scale[0] = OUTLIER
    return pack(
        [
            torch.from_numpy(random.normal(0.0, 1.0, (length, shape.hidden)).astype(np.float32) * scale)
            for length in lengths
        ]
    )
