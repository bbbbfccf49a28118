"""The structured pruners of benchmarks/peers.py against small cases that can be worked out: every choice tried, every
derivative by differences, every fit by its normal equations."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from aebert.models import load_encoder
from aebert.models.encoder import Linear
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.pruning.unit_counts import Site, prunable_weights
from aebert.tasks import Example
from aebert.tasks.task import own_task
from benchmarks.peers_kprune import best_units, fitted, kprune, prediction_losses
from benchmarks.peers_kwon import kwon, label_loss, rearranged, search_masks, unit_scales
from benchmarks.peers_layerwise import Given
from benchmarks.peers_units import PATTERN, Budget, carried_by, embedded, mask_gradients, masked_layer
from benchmarks.peers_ziplm import cheapest, ladder, weights_left, ziplm, ziplm_within
from tests.support.tiny_search import tiny_texts

TASK = own_task("three", "classification", ("x", "y", "z"))
HEADS = Site(0, ("query", "key", "value", "attention_output"), 3, 5)
FILTERS = Site(0, ("ffn_in", "ffn_out"), 4, 2)


@pytest.fixture(scope="module")
def given(tiny_classifiers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Given:
    model = tiny_classifiers["bert"]
    labels = np.random.default_rng(2).integers(0, 3, 24).tolist()
    rows = [Example(text, label) for text, label in zip(tiny_texts(24), labels, strict=True)]
    folder = tmp_path_factory.mktemp("prepared")
    return Given(model, load_host_model(model), load_encoder(model), TASK, rows, folder, 4, folder)


def test_gradients_of_masks_are_those_of_differences(given: Given) -> None:
    rows = embedded(given.host, given.rows)[:3]
    sites = Budget.of(given.encoder.shape, 0.5).sites
    found = mask_gradients(given.host, given.encoder, rows, label_loss, sites)
    ordered = sorted(rows, key=lambda row: len(row[0]))
    for site, unit in [(sites[0], 1), (sites[1], 3), (sites[-2], 0), (sites[-1], 2)]:
        size = given.encoder.shape.head_size if site.units == given.encoder.shape.heads else 1
        for number, (states, label) in enumerate(ordered):
            more, less = (_masked_loss(given, states, label, site, unit, size, value) for value in (1.05, 0.95))
            expected = (more - less) / 0.1
            assert found[site][number, unit] == pytest.approx(expected, rel=0.05, abs=2e-5)


def _masked_loss(
    given: Given, states: torch.Tensor, label: int | float, site: Site, unit: int, size: int, value: float
) -> float:
    """The loss of one row with one unit, of ``size`` channels, multiplied by ``value``."""
    mask = torch.ones(1, site.units * size)
    mask[0, unit * size : (unit + 1) * size] = value
    packed = PackedStates(states, (len(states),))
    for place, layer in enumerate(given.encoder.layers):
        own = {carried_by(site): mask} if site.layer == place else {}
        packed = masked_layer(layer, given.encoder.shape, packed, own)
    logits = given.host.head(packed.values[first_tokens(packed)][:, None])
    return float(label_loss(logits.detach().double(), [label])[0])


def test_the_losses_of_predictions_add_up_to_their_fisher_information() -> None:
    """Along any direction of the logits: the variance of the score under the predicted classes."""
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    direction = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    total = torch.zeros(5, dtype=torch.float64)
    for loss in prediction_losses(3):
        moved = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(moved, []).sum(), moved)
        total += (gradient * direction).sum(dim=1).square()
    likely = (logits / 2).softmax(dim=1)
    mean = (likely * direction).sum(dim=1, keepdim=True)
    expected = (likely * (direction - mean).square()).sum(dim=1) / 4
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("weights", [0, 6, 11, 16, 23])
def test_kwons_masks_are_the_best_of_all_within_the_budget(weights: int) -> None:
    stream = np.random.default_rng(weights)
    other = Site(1, FILTERS.matrices, 4, 2)
    costs = {site: stream.uniform(size=site.units) for site in (HEADS, FILTERS, other)}
    budget = Budget((HEADS, FILTERS, other), weights)
    kept = search_masks(costs, budget)
    lost = sum(float(costs[site][~kept[site]].sum()) for site in budget.sites)
    assert sum(int(kept[site].sum()) * site.unit_weights for site in budget.sites) <= weights
    best = min(
        sum(float(own) for site, chosen in zip(budget.sites, split, strict=True) for own in costs[site][~chosen])
        for split in (np.split(np.array(bits, bool), [3, 7]) for bits in itertools.product([False, True], repeat=11))
        if sum(int(chosen.sum()) * site.unit_weights for site, chosen in zip(budget.sites, split, strict=True))
        <= weights
    )
    assert lost == pytest.approx(best)


def test_rearranging_keeps_the_number_and_ends_where_no_exchange_helps() -> None:
    for seed in range(5):
        stream = np.random.default_rng(seed)
        gradients = stream.normal(size=(6, 8))
        fisher = gradients.T @ gradients
        before = np.arange(8) < 4
        after = rearranged(before, fisher)
        assert after.sum() == 4

        def lost(mask: np.ndarray, fisher: np.ndarray = fisher) -> float:
            return float((~mask) @ fisher @ (~mask))

        assert lost(after) <= lost(before)
        for inside, outside in itertools.product(np.flatnonzero(after), np.flatnonzero(~after)):
            exchanged = after.copy()
            exchanged[[inside, outside]] = False, True
            assert lost(exchanged) >= lost(after) - 1e-9


def test_scales_and_weights_are_least_squares() -> None:
    stream = np.random.default_rng(0)
    linear = Linear(stream.normal(size=(5, 8)).astype(np.float32), stream.normal(size=5).astype(np.float32))
    inputs = torch.from_numpy(stream.normal(size=(40, 8)).astype(np.float32))
    target = torch.from_numpy(stream.normal(size=(40, 5)).astype(np.float32))
    chosen = np.array([0, 2, 3])
    parts = np.stack([(inputs[:, 2 * u : 2 * u + 2].numpy() @ linear.weight[:, 2 * u : 2 * u + 2].T) for u in chosen])
    design = np.concatenate([parts.reshape(3, -1).T, np.eye(3)])  # damped towards 1
    left = np.concatenate([(target.numpy() - linear.bias).ravel(), np.ones(3)])
    expected = np.linalg.lstsq(design, left, rcond=None)[0]
    np.testing.assert_allclose(unit_scales(linear, inputs, target, chosen, 2), expected, rtol=1e-4)
    channels = np.arange(8) % 2 == 0
    own = fitted(linear, inputs, target, channels)
    plain = np.linalg.lstsq(inputs.numpy()[:, channels], target.numpy() - linear.bias, rcond=None)[0].T
    np.testing.assert_allclose(own.weight[:, channels], plain, atol=1e-3)
    assert not own.weight[:, ~channels].any()


def test_kprune_keeps_the_units_with_most_knowledge_that_fit() -> None:
    knowledge = {HEADS: np.array([9.0, 1.0, 5.0]), FILTERS: np.array([8.0, 2.0, 7.0, 0.5])}
    kept = best_units(knowledge, Budget((HEADS, FILTERS), 12))
    assert (kept[HEADS].tolist(), kept[FILTERS].tolist()) == ([True, False, False], [True, True, True, False])


@pytest.mark.parametrize("limit", [6, 9, 14, 30])
def test_ziplms_sizes_are_the_best_of_all_within_the_table(limit: int) -> None:
    stream = np.random.default_rng(limit)
    losses = [np.sort(stream.uniform(size=size)) for size in (4, 3, 5)]
    costs = [np.sort(stream.integers(0, 12, size))[::-1].astype(float) for size in (4, 3, 5)]
    for own in costs:
        own[-1] = 0
    chosen = cheapest(losses, costs, limit)

    def total(values: list[np.ndarray], places: tuple[int, ...] | list[int]) -> float:
        return sum(float(own[place]) for own, place in zip(values, places, strict=True))

    assert total(costs, chosen) <= limit
    every = itertools.product(range(4), range(3), range(5))
    assert total(losses, chosen) == pytest.approx(min(total(losses, p) for p in every if total(costs, p) <= limit))
    with pytest.raises(ValueError, match="no configuration costs at most"):
        cheapest(losses, [own + limit for own in costs], limit)


@pytest.mark.parametrize("method", [kwon, kprune, ziplm])
def test_half_of_the_weights_go_and_whole_units_only(given: Given, method: object) -> None:
    assert callable(method)
    made = method(given, PATTERN, 0.5, 0)
    shape = given.encoder.shape
    left = 0
    for layer in made.layers:
        heads = (layer.attention_output.weight != 0).any(axis=0).reshape(shape.heads, -1)
        neurons = (layer.ffn_out.weight != 0).any(axis=0)
        assert (heads.all(axis=1) == heads.any(axis=1)).all()
        channels = heads.ravel()
        for matrix in (layer.query, layer.key, layer.value):
            assert ((matrix.weight != 0).any(axis=1) == channels).all()
        assert ((layer.ffn_in.weight != 0).any(axis=1) == neurons).all()
        left += 4 * shape.hidden * int(channels.sum()) + 2 * shape.hidden * int(neurons.sum())
    assert 0.35 * prunable_weights(shape) < left <= 0.5 * prunable_weights(shape)


def test_ziplm_obeys_the_table_that_it_is_given(given: Given) -> None:
    """A table by which neurons are free and heads cost one each: none of the neurons goes."""
    sites = Budget.of(given.encoder.shape, 0.0).sites

    def heads_alone(site: Site, units: int) -> float:
        return float(units) if len(site.matrices) > 2 else 0.0

    total = sum(site.units for site in sites if len(site.matrices) > 2)
    made = ziplm_within(given, sites, heads_alone, total / 2, 0)
    heads = 0
    for layer, dense in zip(made.layers, given.encoder.layers, strict=True):
        assert ((layer.ffn_out.weight != 0).any(axis=0) == (dense.ffn_out.weight != 0).any(axis=0)).all()
        kept = (layer.attention_output.weight != 0).any(axis=0).reshape(given.encoder.shape.heads, -1)
        heads += int(kept.any(axis=1).sum())
    assert heads <= total / 2
    states = given.states()
    assert torch.isfinite(encoder_forward(made, states).values).all()
    assert weights_left(sites[0], 2) == 2 * sites[0].unit_weights
    assert ladder(sites[0]) == list(range(sites[0].units, -1, -1))
