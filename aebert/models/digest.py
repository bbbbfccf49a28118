"""The name of an encoder: a digest over its shape and weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape


def encoder_digest(shape: EncoderShape, layers: Sequence[EncoderLayer]) -> str:
    """SHA-256 (hex) over the shape as JSON, then every array as little-endian float32 in the order of the data flow."""
    described = dataclasses.asdict(shape)
    if shape.activation == "gelu":
        del described["activation"]  # as before there were others
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for layer in layers:
        for name in MATRIX_NAMES:
            linear = layer.matrix(name)
            for array in (linear.weight, linear.bias):
                digest.update(np.ascontiguousarray(array, dtype="<f4").data)
        for norm in (layer.attention_norm, layer.ffn_norm):
            for array in (norm.gamma, norm.beta):
                digest.update(np.ascontiguousarray(array, dtype="<f4").data)
    return digest.hexdigest()


def make_encoder(shape: EncoderShape, layers: Sequence[EncoderLayer]) -> Encoder:
    """An encoder with its digest computed."""
    return Encoder(shape=shape, layers=tuple(layers), digest=encoder_digest(shape, layers))
