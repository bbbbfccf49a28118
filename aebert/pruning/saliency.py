"""How much a unit matters: the scores that patterns select by."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
import torch

from aebert.models.encoder import EncoderLayer, EncoderShape, FloatArray
from aebert.pruning.compensation import regularised_covariance
from aebert.pruning.input_moments import InputMoments, LayerMoments
from aebert.pruning.unit_counts import FFN_MATRICES, Site
from aebert.pruning.zero_patterns import Float64Array, Pattern, Structured
from aebert.support.errors import AebertError
from aebert.support.extensions import find_method, method_name

SaliencyName = Literal["magnitude", "activation", "second-order"]
SALIENCIES: tuple[SaliencyName, ...] = get_args(SaliencyName)


class SaliencyMethod(Protocol):
    """A saliency of one's own: how much each weight of one matrix matters."""

    def __call__(self, weight: FloatArray, moments: InputMoments) -> Float64Array:
        """``weight`` [outputs, inputs] and the moments of its inputs -> finite scores [outputs, inputs], higher is
        kept first. Scores of a unit's weights are added up, so they have to be on one scale within a matrix."""
        ...


# One of SALIENCIES, the name under which a package offers one, or the method itself.
Saliency = str | SaliencyMethod


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
        raise AebertError(f"{method_name(saliency)} saliency needs moments from calibration text")
    if saliency == "activation":
        return squared * channel_importance("activation", moments)
    if saliency == "second-order":
        return squared * channel_importance("second-order", moments)
    return _own_scores(weight, saliency, moments)


def _own_scores(weight: FloatArray, saliency: Saliency, moments: InputMoments) -> Float64Array:
    method = find_method("saliency", saliency, SALIENCIES) if isinstance(saliency, str) else saliency
    if not callable(method):
        raise AebertError(
            f"saliency {method_name(saliency)!r}: is no function of weight and moments; see docs/own_methods.md"
        )
    scores: Float64Array = np.asarray(method(weight, moments), np.float64)
    if scores.shape != weight.shape or not np.isfinite(scores).all():
        raise AebertError(
            f"saliency {method_name(saliency)!r}: gave scores of shape {scores.shape} for weights of shape "
            f"{weight.shape}, or some that are not finite; give one finite score per weight"
        )
    return scores


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


def check_saliency(saliency: Saliency) -> Saliency:
    """``saliency``, or AebertError with the names there are where it is none of them."""
    if isinstance(saliency, str) and saliency not in SALIENCIES:
        find_method("saliency", saliency, SALIENCIES)
    return saliency
