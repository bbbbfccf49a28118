"""The prune step: counts -> scores -> masks -> compensation, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, Linear, MatrixName
from aebert.pruning.compensation import compensate_kept
from aebert.pruning.input_moments import LayerMoments
from aebert.pruning.masks import expand_units
from aebert.pruning.saliency import Saliency, site_scores
from aebert.pruning.unit_counts import MatrixKey, Site, uniform_ratios, zeroed_units
from aebert.pruning.zero_patterns import BoolArray, Pattern
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class PrunedEncoder:
    """A candidate applied to a model: ``encoder`` with the zeros in it, and ``masks`` (True = kept) per matrix."""

    encoder: Encoder
    masks: Mapping[MatrixKey, BoolArray]
    pattern: Pattern
    source_digest: str


def prune_encoder(
    encoder: Encoder,
    pattern: Pattern,
    ratio: float | Mapping[MatrixKey, float],
    saliency: Saliency = "magnitude",
    moments: Iterable[LayerMoments] | None = None,
    compensate: bool = False,
) -> PrunedEncoder:
    """Zero the least important units of ``encoder`` under ``pattern``.

    ``ratio`` is the overall ratio, the same in every matrix the pattern can prune, or one ratio per (layer, matrix).
    ``moments`` (one per layer, consumed in order, see ``iterate_moments``) are needed for saliencies other than
    magnitude and for ``compensate``, which corrects the kept weights by least squares.

    Raises AebertError for ratios that the pattern cannot meet and for shapes it does not divide.
    """
    shape = encoder.shape
    ratios = ratio if isinstance(ratio, Mapping) else uniform_ratios(shape, pattern, ratio)
    counts = zeroed_units(shape, pattern, ratios)
    if moments is None and (compensate or saliency != "magnitude"):
        raise AebertError("saliencies other than magnitude, and compensation, need moments from calibration text")
    per_layer: Iterable[LayerMoments | None] = [None] * shape.layers if moments is None else moments
    layers = []
    masks: dict[MatrixKey, BoolArray] = {}
    for (number, layer), layer_moments in zip(enumerate(encoder.layers), per_layer, strict=True):
        sites = {site: count for site, count in counts.items() if site.layer == number}
        layer_masks = select_masks(layer, encoder, pattern, sites, saliency, layer_moments)
        layers.append(apply_masks(layer, layer_masks, layer_moments if compensate else None))
        masks |= {(number, name): mask for name, mask in layer_masks.items()}
    return PrunedEncoder(make_encoder(shape, layers), masks, pattern, encoder.digest)


def select_masks(
    layer: EncoderLayer,
    encoder: Encoder,
    pattern: Pattern,
    zeroed: Mapping[Site, int],
    saliency: Saliency,
    moments: LayerMoments | None,
) -> dict[MatrixName, BoolArray]:
    """The masks of all six matrices of a layer; ``zeroed`` says how many units of each site become zero."""
    masks: dict[MatrixName, BoolArray] = {
        name: np.ones(layer.matrix(name).weight.shape, dtype=bool) for name in MATRIX_NAMES
    }
    for site, count in zeroed.items():
        scores = site_scores(site, layer, encoder.shape, pattern, saliency, moments)
        masks |= expand_units(pattern.select(scores, site.units - count), site, encoder.shape, pattern)
    return masks


def apply_masks(
    layer: EncoderLayer, masks: Mapping[MatrixName, BoolArray], moments: LayerMoments | None
) -> EncoderLayer:
    """The layer with zeros where a mask is False; with ``moments`` the kept weights are corrected by least squares."""
    fitted = layer
    for name in MATRIX_NAMES:
        linear, mask = layer.matrix(name), masks[name]
        if moments is None:
            pruned = Linear(np.where(mask, linear.weight, np.float32(0)), linear.bias)
        else:
            pruned = compensate_kept(linear, mask, moments.of(name))
        fitted = with_matrix(fitted, name, pruned)
    return fitted


def with_matrix(layer: EncoderLayer, name: MatrixName, linear: Linear) -> EncoderLayer:
    """The layer with one of its prunable matrices replaced."""
    matrices = {other: layer.matrix(other) for other in MATRIX_NAMES} | {name: linear}
    return EncoderLayer(**matrices, attention_norm=layer.attention_norm, ffn_norm=layer.ffn_norm)
