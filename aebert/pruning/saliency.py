"""How much a unit matters: the scores that patterns select by."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from aebert.encoder import EncoderLayer, EncoderShape, FloatArray
from aebert.errors import AebertError
from aebert.pruning.counts import FFN_MATRICES, Site
from aebert.pruning.moments import InputMoments, LayerMoments
from aebert.pruning.patterns import Float64Array, Pattern, Structured

Saliency = Literal["magnitude", "activation"]
SALIENCIES: tuple[Saliency, ...] = get_args(Saliency)


def weight_scores(weight: FloatArray, moments: InputMoments | None) -> Float64Array:
    """The square of |w| (magnitude), or of |w| times its input channel's norm (activation), [outputs, inputs]."""
    squared: Float64Array = np.square(weight, dtype=np.float64)
    return squared if moments is None else squared * moments.channel_power


def sum_units(scores: Float64Array, unit_shape: tuple[int, int]) -> Float64Array:
    """The sum of ``scores`` [outputs, inputs] over each unit: [outputs / rows, inputs / columns]."""
    rows, columns = unit_shape
    outputs, inputs = scores.shape
    if (rows, columns) == (1, 1):
        return scores
    summed: Float64Array = scores.reshape(outputs // rows, rows, inputs // columns, columns).sum(axis=(1, 3))
    return summed


def site_scores(
    site: Site, layer: EncoderLayer, shape: EncoderShape, pattern: Pattern, moments: LayerMoments | None
) -> Float64Array:
    """The score of each unit of a site; with ``moments`` activation-aware, otherwise by magnitude.

    A matrix alone gives [row groups, column groups]. Heads and neurons give one score each: by magnitude over all
    their weights; activation-aware over the matrix that carries their output onward (attention output, FFN out).
    """
    if not isinstance(pattern, Structured):
        (name,) = site.matrices
        alone = weight_scores(layer.matrix(name).weight, moments.of(name) if moments else None)
        return sum_units(alone, pattern.unit_shape)
    *producers, consumer = site.matrices
    carried = weight_scores(layer.matrix(consumer).weight, moments.of(consumer) if moments else None)
    scores: Float64Array = carried.sum(axis=0)
    if moments is None:
        for name in producers:
            scores = scores + weight_scores(layer.matrix(name).weight, None).sum(axis=1)
    if site.matrices != FFN_MATRICES:
        scores = scores.reshape(shape.heads, -1).sum(axis=1)
    return scores


def check_saliency(saliency: str) -> Saliency:
    """The saliency of that name, or AebertError with the names there are."""
    for known in SALIENCIES:
        if saliency == known:
            return known
    raise AebertError(f"saliency {saliency!r} is not known; choose {' or '.join(SALIENCIES)}")
