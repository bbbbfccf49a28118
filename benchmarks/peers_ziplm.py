"""ZipLM (Kurtic et al., NeurIPS 2023, arXiv 2302.04089): heads and neurons removed in turn, then a search by a table.

Every site is pruned to a ladder of sizes, the units whose removal costs least after the rest has made up for it going
first (``aebert.pruning.structured_removal``: heads one by one, neurons a 64th at a time), on the dense model's inputs.
A configuration takes one size of every site. The structured SPDY search: each site has a sensitivity, first drawn at
random, then mutated; dynamic programming finds the sizes that lose least (sensitivity times the site's relative squared
error) within the budget of the table (milliseconds, or weights); what is found is assembled and its loss, here the
divergence of the logits from the dense model's, decides. The whole model is one configuration: no fine-tuning between
steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.digest import make_encoder
from aebert.models.encoder import Encoder, EncoderLayer, FloatArray, Linear
from aebert.models.fp32_forward import encoder_forward
from aebert.models.packed_sequences import first_tokens
from aebert.pruning.compensation import corrected_bias, reconstruction
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.structured_removal import StructuredRemoval
from aebert.pruning.unit_counts import Site
from aebert.pruning.zero_patterns import BoolArray, Float64Array, Pattern
from benchmarks.peers_layerwise import Given
from benchmarks.peers_units import Budget, without_units

# Of drawn and of mutated sensitivities; published: 1000 in all, on a GPU.
DRAWN, MUTATED = 20, 60
SHARE_MUTATED = 0.1
# Neurons left shrink by this from size to size, as published; heads go one by one.
SHRINK = 0.9
BUCKETS = 4096
_ROWS = 128
# What a site costs with so many units: milliseconds or weights.
CostTable = Callable[[Site, int], float]


@dataclass(frozen=True)
class Size:
    """A site with ``units``: the layer without the others, its relative squared ``error``, and its ``cost``."""

    units: int
    kept: BoolArray
    carrier: Linear
    error: float
    cost: float


def weights_left(site: Site, units: int) -> float:
    """The table of a budget in weights."""
    return float(units * site.unit_weights)


def ziplm(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """The best configuration that keeps to the ratio; ``pattern`` is heads and neurons."""
    budget = Budget.of(given.encoder.shape, ratio)
    return ziplm_within(given, budget.sites, weights_left, budget.weights, seed)


def ziplm_within(given: Given, sites: Sequence[Site], table: CostTable, limit: float, seed: int) -> Encoder:
    """The same for any table and limit."""
    stream = np.random.default_rng(seed)
    ladders = list(make_ladders(given, table).values())
    errors = [np.array([size.error for size in own]) for own in ladders]
    costs = [np.array([size.cost for size in own]) for own in ladders]
    rows = given.rows[:: max(len(given.rows) // _ROWS, 1)]
    states = given.host.embed_texts(given.host.tokenise([row.text for row in rows]))

    def logits(encoder: Encoder) -> torch.Tensor:
        with torch.inference_mode():
            output = encoder_forward(encoder, states)
            return given.host.head(output.values[first_tokens(output)][:, None]).double()

    dense = logits(given.encoder)

    def loss(chosen: Sequence[int]) -> float:
        own = logits(assembled(given.encoder, sites, [ladders[i][place] for i, place in enumerate(chosen)]))
        if dense.shape[1] == 1:
            return float((own - dense).square().mean())
        left = dense.log_softmax(dim=1)
        return float((left.exp() * (left - own.log_softmax(dim=1))).sum(dim=1).mean())

    tried: dict[tuple[int, ...], float] = {}

    def value(sensitivities: Float64Array) -> tuple[float, tuple[int, ...]]:
        losses = [own * each for own, each in zip(errors, sensitivities, strict=True)]
        chosen = tuple(cheapest(losses, costs, limit))
        if chosen not in tried:
            tried[chosen] = loss(chosen)
        return tried[chosen], chosen

    best = np.ones(len(sites))
    lowest, configuration = value(best)
    for number in range(DRAWN + MUTATED):
        proposed = stream.uniform(size=len(sites))
        if number >= DRAWN:
            proposed = np.where(stream.uniform(size=len(sites)) < SHARE_MUTATED, proposed, best)
        own, chosen = value(proposed)
        if own < lowest:
            best, lowest, configuration = proposed, own, chosen
    return assembled(given.encoder, sites, [ladders[i][place] for i, place in enumerate(configuration)])


def make_ladders(given: Given, table: CostTable) -> Mapping[Site, list[Size]]:
    """All sizes of every site, whole first, nothing last."""
    encoder, found = given.encoder, {}
    sites = Budget.of(encoder.shape, 0.0).sites
    for layer, moments in enumerate(iterate_moments(encoder, given.states())):
        for site in (own for own in sites if own.layer == layer):
            name = site.matrices[-1]
            linear, own = encoder.layers[layer].matrix(name), moments.of(name)
            energy = _energy(linear.weight, own.second)
            sizes = []
            for level in StructuredRemoval(reconstruction(linear, own), site.units).levels(ladder(site)):
                bias = corrected_bias(linear, torch.from_numpy(level.weight), own.mean, own.mean)
                error = _energy(level.weight - linear.weight, own.covariance) / energy
                units = int(level.left.sum())
                made = Linear(level.weight, bias)
                sizes.append(Size(units, level.left, made, 0.0 if units == site.units else error, table(site, units)))
            found[site] = sizes
    return found


def ladder(site: Site) -> list[int]:
    """Falling numbers of units: heads one by one, neurons by a tenth of what is left."""
    if len(site.matrices) > 2:
        return list(range(site.units, -1, -1))
    counts = {round(site.units * SHRINK**step) for step in range(43)}
    return [*sorted(counts, reverse=True), 0]


def _energy(weight: FloatArray, second: Float64Array) -> float:
    own = weight.astype(np.float64)
    return float(((own @ second) * own).sum())


def assembled(encoder: Encoder, sites: Sequence[Site], sizes: Sequence[Size]) -> Encoder:
    layers: list[EncoderLayer] = list(encoder.layers)
    for site, size in zip(sites, sizes, strict=True):
        if size.units < site.units:
            layers[site.layer] = without_units(layers[site.layer], encoder.shape, site, size.kept, size.carrier)
    return make_encoder(encoder.shape, layers)


def cheapest(losses: Sequence[Float64Array], costs: Sequence[Float64Array], limit: float) -> list[int]:
    """One place in each of ``losses``, so that their sum is lowest and that of ``costs`` is at most ``limit``.

    Exact for costs that are multiples of ``limit / BUCKETS``; others are rounded up. Raises ValueError where none fit.
    """
    whole = [np.ceil(own / limit * BUCKETS - 1e-6).astype(int) for own in costs]
    value = np.zeros(BUCKETS + 1)
    choices = []
    for own, cost in zip(losses, whole, strict=True):
        reached = np.full((len(own), BUCKETS + 1), np.inf)
        for place, (loss, each) in enumerate(zip(own, cost, strict=True)):
            if each <= BUCKETS:
                reached[place, each:] = value[: BUCKETS + 1 - each] + loss
        choices.append(reached.argmin(axis=0))
        value = reached.min(axis=0)
    if not np.isfinite(value[BUCKETS]):
        raise ValueError(f"no configuration costs at most {limit:g}")
    left, chosen = BUCKETS, []
    for own, cost in zip(choices[::-1], whole[::-1], strict=True):
        place = int(own[left])
        chosen.append(place)
        left -= int(cost[place])
    return chosen[::-1]
