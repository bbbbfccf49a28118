"""How much a unit matters: the scores that patterns select by."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

from aebert.encoder import EncoderLayer, EncoderShape, FloatArray
from aebert.errors import AebertError
from aebert.pruning.compensation import regularised_covariance
from aebert.pruning.counts import FFN_MATRICES, Site
from aebert.pruning.moments import InputMoments, LayerMoments
from aebert.pruning.patterns import Float64Array, Pattern, Structured

Saliency = Literal["magnitude", "activation", "second-order"]
SALIENCIES: tuple[Saliency, ...] = get_args(Saliency)


def channel_importance(saliency: Literal["activation", "second-order"], moments: InputMoments) -> Float64Array:
    """What the square of a weight counts for, by its input channel, [inputs].

    Activation-aware: the channel's power (Wanda, Sun et al. 2023). Second-order: ``1 / diag(H^-1)``, with H the
    regularised covariance of the inputs: half of ``w^2 / [H^-1]_cc`` is what the output's squared error grows by when w
    goes and the row's other weights make up for it (OBS, Hassibi & Stork 1993; layer-wise, Frantar & Alistarh 2022).
    """
    if saliency == "activation":
        return moments.channel_power
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(regularised_covariance(moments)))
    importance: Float64Array = 1.0 / inverse.diagonal().numpy()
    return importance


def weight_scores(weight: FloatArray, saliency: Saliency, moments: InputMoments | None) -> Float64Array:
    """The square of each weight, times what its input channel counts for, [outputs, inputs]."""
    squared: Float64Array = np.square(weight, dtype=np.float64)
    if saliency == "magnitude":
        return squared
    if moments is None:
        raise AebertError(f"{saliency} saliency needs moments from calibration text")
    return squared * channel_importance(saliency, moments)


def sum_units(scores: Float64Array, unit_shape: tuple[int, int]) -> Float64Array:
    """The sum of ``scores`` [outputs, inputs] over each unit: [outputs / rows, inputs / columns]."""
    rows, columns = unit_shape
    outputs, inputs = scores.shape
    if (rows, columns) == (1, 1):
        return scores
    summed: Float64Array = scores.reshape(outputs // rows, rows, inputs // columns, columns).sum(axis=(1, 3))
    return summed


def site_scores(
    site: Site,
    layer: EncoderLayer,
    shape: EncoderShape,
    pattern: Pattern,
    saliency: Saliency,
    moments: LayerMoments | None,
) -> Float64Array:
    """The score of each unit of a site: the sum over its weights. Magnitude needs no ``moments``, the others do.

    A matrix alone gives [row groups, column groups]. Heads and neurons give one score each: by magnitude over all
    their weights; otherwise over the matrix that carries their output onward (attention output, FFN out).
    """
    if not isinstance(pattern, Structured):
        (name,) = site.matrices
        alone = weight_scores(layer.matrix(name).weight, saliency, moments.of(name) if moments else None)
        return sum_units(alone, pattern.unit_shape)
    *producers, consumer = site.matrices
    carried = weight_scores(layer.matrix(consumer).weight, saliency, moments.of(consumer) if moments else None)
    scores: Float64Array = carried.sum(axis=0)
    if saliency == "magnitude":
        for name in producers:
            scores = scores + weight_scores(layer.matrix(name).weight, saliency, None).sum(axis=1)
    if site.matrices != FFN_MATRICES:
        scores = scores.reshape(shape.heads, -1).sum(axis=1)
    return scores


def check_saliency(saliency: str) -> Saliency:
    """The saliency of that name, or AebertError with the names there are."""
    for known in SALIENCIES:
        if saliency == known:
            return known
    raise AebertError(f"saliency {saliency!r} is not known; choose {', '.join(SALIENCIES)}")
