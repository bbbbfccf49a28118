"""A fast post-training pruner (Kwon et al., NeurIPS 2022, arXiv 2204.09656): heads and filters by Fisher information.

Masks are chosen by the diagonal of the Fisher information of the loss (labels are used) under the budget: for every
number of heads the filters that still fit, and the cheapest of these; rearranged within each sublayer by the sublayer's
own block of it; and then what is left is scaled, one number for each unit, by least squares in order of the layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from aebert.models.encoder import Encoder, EncoderLayer, Linear
from aebert.pruning.unit_counts import Site
from aebert.pruning.zero_patterns import BoolArray, Float64Array, IntArray, Pattern
from benchmarks.peers_layerwise import Given
from benchmarks.peers_units import Budget, channels_of, embedded, mask_gradients, tune_in_order, without_units

DAMPING = 1.0
LARGEST_SCALE = 10.0


def label_loss(logits: torch.Tensor, labels: Sequence[int | float]) -> torch.Tensor:
    """Cross entropy of each row; of a regression the squared error."""
    if logits.shape[1] == 1:
        return (logits[:, 0] - torch.tensor(labels, dtype=logits.dtype)).square()
    return functional.cross_entropy(logits, torch.tensor(labels, dtype=torch.long), reduction="none")


def kwon(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """What the three steps end with; ``pattern`` is heads and neurons."""
    encoder, budget = given.encoder, Budget.of(given.encoder.shape, ratio)
    gradients = mask_gradients(given.host, encoder, embedded(given.host, given.rows), label_loss, budget.sites)
    kept = search_masks({site: np.square(own).mean(axis=0) for site, own in gradients.items()}, budget)
    for site, own in gradients.items():
        kept[site] = rearranged(kept[site], own.T @ own / len(own))

    def tune(site: Site, layers: Sequence[EncoderLayer], inputs: torch.Tensor, target: torch.Tensor) -> EncoderLayer:
        layer, chosen = layers[site.layer], kept[site]
        linear, size = layer.matrix(site.matrices[-1]), channels_of(site, encoder.shape)
        scales = np.ones(len(chosen))
        if not stopped:
            scales[chosen] = unit_scales(linear, inputs, target, np.flatnonzero(chosen), size)
            # As published: least squares that blow up are not used, nor any after them.
            if np.abs(scales).max() > LARGEST_SCALE:
                stopped.append(site)
                scales[:] = 1
        scaled = (linear.weight * np.repeat(scales, size)).astype(np.float32)
        return without_units(layer, encoder.shape, site, chosen, Linear(scaled, linear.bias))

    stopped: list[Site] = []
    return tune_in_order(encoder, given.states(), tune)


def search_masks(costs: Mapping[Site, Float64Array], budget: Budget) -> dict[Site, BoolArray]:
    """The units to keep: of all numbers of heads, each with the filters that then fit, the one that loses least.

    ``costs``: what removing each unit costs, [units].
    """
    heads, filters = (
        np.concatenate([costs[site] for site in budget.sites if (site.unit_weights == size)])
        for size in _unit_sizes(budget)
    )
    head_size, filter_size = _unit_sizes(budget)
    head_order, filter_order = np.argsort(-heads, kind="stable"), np.argsort(-filters, kind="stable")
    lost_heads, lost_filters = (
        np.concatenate([[0.0], np.cumsum(own[order])])[-1] - np.concatenate([[0.0], np.cumsum(own[order])])
        for own, order in ((heads, head_order), (filters, filter_order))
    )
    number = np.arange(min(len(heads), budget.weights // head_size) + 1)
    fitting = np.minimum((budget.weights - number * head_size) // filter_size, len(filters))
    best = int(np.argmin(lost_heads[number] + lost_filters[fitting]))
    kept_heads, kept_filters = np.zeros(len(heads), bool), np.zeros(len(filters), bool)
    kept_heads[head_order[:best]] = True
    kept_filters[filter_order[: fitting[best]]] = True
    kept, places = {}, {head_size: 0, filter_size: 0}
    for site in budget.sites:
        whole = kept_heads if site.unit_weights == head_size else kept_filters
        first = places[site.unit_weights]
        kept[site] = whole[first : first + site.units]
        places[site.unit_weights] += site.units
    return kept


def _unit_sizes(budget: Budget) -> tuple[int, int]:
    """Weights of a head and of a filter."""
    sizes = {site.unit_weights for site in budget.sites}
    return max(sizes), min(sizes)


def rearranged(kept: BoolArray, fisher: Float64Array) -> BoolArray:
    """``kept`` [units] after the exchanges that lower ``(1 - m)^T F (1 - m)`` most, one by one, until none does."""
    kept = kept.copy()
    for _ in range(len(kept)):
        gone = (~kept).astype(float)
        inside, outside = np.flatnonzero(kept), np.flatnonzero(~kept)
        if not len(inside) or not len(outside):
            break
        pull = fisher @ gone
        change = (
            (2 * pull + fisher.diagonal())[inside][:, None]
            - (2 * pull - fisher.diagonal())[outside][None, :]
            - 2 * fisher[np.ix_(inside, outside)]
        )
        going, coming = np.unravel_index(int(change.argmin()), change.shape)
        if change[going, coming] >= -1e-12 * abs(float(gone @ pull)):
            break
        kept[inside[going]], kept[outside[coming]] = False, True
    return kept


def unit_scales(
    linear: Linear, inputs: torch.Tensor, target: torch.Tensor, chosen: IntArray, size: int
) -> Float64Array:
    """The number that each of the ``chosen`` units is multiplied by, so that ``linear`` on ``inputs`` [tokens,
    channels] comes nearest to ``target`` [tokens, outputs]; damped towards 1."""
    channels = (chosen[:, None] * size + np.arange(size)).ravel()
    weight = torch.from_numpy(linear.weight[:, channels])
    own = inputs[:, torch.from_numpy(channels)]
    gram = ((own.T @ own) * (weight.T @ weight)).double()
    gram = gram.view(len(chosen), size, len(chosen), size).sum(dim=(1, 3))
    left = target - torch.from_numpy(linear.bias) - own @ weight.T
    pull = (own.T @ left * weight.T).double().sum(dim=1).view(len(chosen), size).sum(dim=1)
    damped = gram + DAMPING * torch.eye(len(chosen), dtype=torch.float64)
    scales: Float64Array = 1 + torch.linalg.solve(damped, pull).numpy()
    return scales
