"""K-prune (Park et al., ICLR 2024, arXiv 2308.03449): heads and neurons by the knowledge that they hold, from below.

What a unit is worth is the predictive knowledge that goes with it (the Fisher information of the dense model's own
predictions at a temperature: the second order of their divergence) and the representational knowledge (the energy
of what it adds to its sublayer's output). Sublayer by sublayer from the bottom, with what is left of the budget, all
units above are compared; the sublayer loses those that are not among the best; and its matrix onward is fitted to the
dense model's output. No labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from aebert.models.digest import make_encoder
from aebert.models.encoder import Encoder, EncoderLayer, Linear
from aebert.pruning.unit_counts import Site
from aebert.pruning.zero_patterns import BoolArray, Float64Array, Pattern
from benchmarks.peers_layerwise import Given
from benchmarks.peers_units import (
    Budget,
    RowLoss,
    channels_of,
    embedded,
    mask_gradients,
    tune_in_order,
    without_units,
)

TEMPERATURE = 2.0
# What representational knowledge counts for beside predictive, and a neuron's knowledge beside a head's.
REPRESENTATION, BALANCE = 0.00025, 64.0
_RIDGE = 1e-4


def kprune(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """What the last sublayer ends with; ``pattern`` is heads and neurons."""
    dense, shape = given.encoder, given.encoder.shape
    budget = Budget.of(shape, ratio)
    rows, states = embedded(given.host, given.rows), given.states()
    left = [budget.weights]

    def tune(site: Site, layers: Sequence[EncoderLayer], inputs: torch.Tensor, target: torch.Tensor) -> EncoderLayer:
        student = make_encoder(shape, layers)
        place = budget.sites.index(site)
        above = Budget(budget.sites[place:], left[0])
        kept = best_units(knowledge(given, student, rows, above.sites), above)[site]
        left[0] -= int(kept.sum()) * site.unit_weights
        layer = layers[site.layer]
        carrier = fitted(layer.matrix(site.matrices[-1]), inputs, target, np.repeat(kept, channels_of(site, shape)))
        return without_units(layer, shape, site, kept, carrier)

    return tune_in_order(dense, states, tune)


def knowledge(
    given: Given, student: Encoder, rows: Sequence[tuple[torch.Tensor, int | float]], sites: Sequence[Site]
) -> dict[Site, Float64Array]:
    """What each unit of ``sites`` holds in ``student``, [units]."""
    found = {site: np.zeros(site.units) for site in sites}
    for loss in prediction_losses(given.task.outputs):
        for site, own in mask_gradients(given.host, student, rows, loss, sites).items():
            found[site] += np.square(own).mean(axis=0) / 2
    held = representation(student, given, sites)
    return {
        site: (own + REPRESENTATION * held[site]) * (1.0 if channels_of(site, student.shape) > 1 else BALANCE)
        for site, own in found.items()
    }


def prediction_losses(outputs: int) -> list[RowLoss]:
    """Losses whose squared gradients add up to the Fisher information of the predictions: for each class the
    logarithm of its probability, times the root of it; a regression's output is the mean of a normal distribution."""
    if outputs == 1:
        return [lambda logits, _: logits[:, 0]]

    def of_class(number: int) -> RowLoss:
        def loss(logits: torch.Tensor, _: Sequence[int | float]) -> torch.Tensor:
            likely = (logits / TEMPERATURE).log_softmax(dim=1)[:, number]
            return likely * (likely / 2).exp().detach()

        return loss

    return [of_class(number) for number in range(outputs)]


def representation(student: Encoder, given: Given, sites: Sequence[Site]) -> dict[Site, Float64Array]:
    """The energy of what each unit adds to its sublayer's output, the mean over the rows."""
    found: dict[Site, Float64Array] = {}

    def tune(site: Site, layers: Sequence[EncoderLayer], inputs: torch.Tensor, target: torch.Tensor) -> EncoderLayer:
        layer = layers[site.layer]
        if site in sites:
            weight = torch.from_numpy(layer.matrix(site.matrices[-1]).weight)
            size = channels_of(site, student.shape)
            energy = ((inputs.T @ inputs) * (weight.T @ weight)).double()
            blocks = energy.view(site.units, size, site.units, size).diagonal(dim1=0, dim2=2)
            found[site] = blocks.sum(dim=(0, 1)).numpy() / len(given.rows)
        return layer

    tune_in_order(student, given.states(), tune)
    return found


def best_units(knowledge: Mapping[Site, Float64Array], budget: Budget) -> dict[Site, BoolArray]:
    """The units whose knowledge is above a threshold, the lowest one that the budget allows; of those just below it,
    the ones that still fit."""
    units = [(own, site, place) for site in budget.sites for place, own in enumerate(knowledge[site])]
    kept = {site: np.zeros(site.units, bool) for site in budget.sites}
    left = budget.weights
    for _, site, place in sorted(units, key=lambda unit: -unit[0]):
        if site.unit_weights <= left:
            kept[site][place] = True
            left -= site.unit_weights
    return kept


def fitted(linear: Linear, inputs: torch.Tensor, target: torch.Tensor, channels: BoolArray) -> Linear:
    """``linear`` on some input channels of ``inputs`` [tokens, channels], nearest to ``target`` [tokens, outputs]."""
    weight = np.zeros_like(linear.weight)
    if channels.any():
        chosen = torch.from_numpy(channels)
        own = inputs[:, chosen].double()
        second = own.T @ own
        second += _RIDGE * second.diagonal().mean() * torch.eye(len(second), dtype=torch.float64)
        across = own.T @ (target - torch.from_numpy(linear.bias)).double()
        weight[:, channels] = torch.linalg.solve(second, across).T.float().numpy()
    return Linear(weight, linear.bias)
