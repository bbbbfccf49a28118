"""Quantised encoders that lack heads: nothing reads their context."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLinear
from aebert.quantisation.flat_tensors import sealed


def without_heads(
    quantised: QuantisedEncoder, removed: Sequence[Collection[int]], *, pruned: bool = False
) -> QuantisedEncoder:
    """``quantised`` whose layers lack the heads ``removed`` [layers]: attention_output has no weights for them and,
    where they are ``pruned`` as a pattern does it, query, key and value neither."""
    size = quantised.shape.head_size
    layers = [
        _lacking(layer, np.array([head * size + at for head in heads for at in range(size)], np.int64), pruned)
        for layer, heads in zip(quantised.layers, removed, strict=True)
    ]
    return sealed(replace(quantised, layers=tuple(layers)))


def _lacking(layer: QuantisedLayer, channels: npt.NDArray[np.int64], pruned: bool) -> QuantisedLayer:
    output = layer.attention_output.weight.copy()
    output[:, channels] = 0
    lacking = replace(layer, attention_output=replace(layer.attention_output, weight=output))
    if not pruned:
        return lacking

    def empty(linear: QuantisedLinear) -> QuantisedLinear:
        weight = linear.weight.copy()
        weight[channels] = 0
        return replace(linear, weight=weight)

    return replace(lacking, query=empty(layer.query), key=empty(layer.key), value=empty(layer.value))
