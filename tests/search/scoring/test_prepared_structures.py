"""Heads and neurons as they are prepared: masks that nest, the carrying matrix solved exactly, all else as it was."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES, FloatArray
from aebert.models.host_model import load_host_model
from aebert.pruning.compensation import Reconstruction, reconstruction
from aebert.pruning.output_importance import output_importance
from aebert.pruning.structured_removal import StructuredRemoval
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.scoring.embedded_rows import prepare_rows
from aebert.search.scoring.prepared_weights import PreparedWeights, Recipe, prepare_weights
from aebert.search.space.grid import Grid, make_grid
from tests.support.tiny_search import tiny_texts


def _prepared(model: Path, directory: Path, recipe: Recipe) -> tuple[PreparedWeights, Grid]:
    host, encoder = load_host_model(model), load_encoder(model)
    grid = make_grid(encoder.shape, parse_pattern("head+neuron"), levels=4)
    rows = prepare_rows(host, encoder, tiny_texts(), None, directory)
    return prepare_weights(directory / "weights", host, encoder, grid.pattern, recipe, grid.counts, rows), grid


def _lost(problem: Reconstruction, weight: FloatArray) -> float:
    """The squared error of the output, per token."""
    lost = torch.from_numpy(weight) * problem.scale - problem.weight.double()
    return float(((lost @ problem.hessian.double()) * lost).sum())


def test_heads_and_neurons_are_removed_by_second_order_unless_another_saliency_is_asked_for() -> None:
    structured, vectors = parse_pattern("head+neuron"), parse_pattern("vector:4x1")
    assert Recipe().criterion(structured) == "second-order"
    assert Recipe().criterion(vectors) == "activation"
    assert Recipe(compensate=False).criterion(structured) == "activation"
    assert Recipe("magnitude").criterion(structured) == "magnitude"
    assert Recipe().removes_gradually(structured)
    assert not Recipe("magnitude").removes_gradually(structured)


def test_every_count_has_the_least_squares_weights_of_its_mask(tiny_bert: Path, tmp_path: Path) -> None:
    weights, grid = _prepared(tiny_bert, tmp_path, Recipe())
    rows = prepare_rows(load_host_model(tiny_bert), load_encoder(tiny_bert), tiny_texts(), None, tmp_path)
    for level in range(1, grid.levels):
        kept = grid.counts[:, level].copy()
        kept[1] = min(kept[1] + 1, grid.sites[1].units - 1)  # neurons of the first layer: between two levels
        (candidate,) = grid.candidates(kept[None])
        masks, made = weights.masks(candidate), weights.apply(candidate)
        for site, count in zip(grid.sites, kept, strict=True):
            *producers, carrier = site.matrices
            left = masks[site.layer, carrier].any(axis=0)
            assert left.sum() == count * len(left) // site.units
            for name in producers:
                dense, own = weights.encoder.layers[site.layer].matrix(name), made.layers[site.layer].matrix(name)
                np.testing.assert_allclose(own.weight, np.where(left[:, None], dense.weight, 0), rtol=1e-3, atol=1e-6)
                np.testing.assert_array_equal(own.bias[left], dense.bias[left])  # the others are not seen
            problem = reconstruction(
                weights.encoder.layers[site.layer].matrix(carrier), rows.moments(site.layer).of(carrier)
            )
            chosen = torch.from_numpy(left)
            hessian, target = problem.hessian.double(), problem.target.double()
            best = torch.linalg.solve(hessian[chosen][:, chosen], target[:, chosen].T).T / problem.scale[chosen]
            own_weight = made.layers[site.layer].matrix(carrier).weight
            most = np.zeros_like(own_weight)
            most[:, left] = best.numpy()
            # Stored in halves, and between levels by conjugate gradients, which stop early.
            most_more = 1.05 if count not in grid.counts[grid.sites.index(site)] else 1.001
            assert _lost(problem, own_weight) <= most_more * _lost(problem, most)
            assert not own_weight[:, ~left].any()


def test_what_goes_first_is_what_the_prediction_loses_least_by(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    model = tiny_classifiers["bert"]
    host, encoder = load_host_model(model), load_encoder(model)
    weights, grid = _prepared(model, tmp_path, Recipe())
    rows = prepare_rows(host, encoder, tiny_texts(), None, tmp_path)
    importance = output_importance(host, encoder, [chunk.embeddings for chunk in rows.chunks])
    (candidate,) = grid.candidates(grid.counts[:, 2][None])
    differ = 0
    for site, kept in zip(grid.sites, candidate.kept, strict=True):
        carrier = site.matrices[-1]
        problem = reconstruction(encoder.layers[site.layer].matrix(carrier), rows.moments(site.layer).of(carrier))
        (expected,) = StructuredRemoval(problem, site.units, importance[site.layer, carrier]).levels([kept])
        (even,) = StructuredRemoval(problem, site.units).levels([kept])
        left = weights.masks(candidate)[site.layer, carrier].any(axis=0).reshape(site.units, -1)[:, 0]
        np.testing.assert_array_equal(left, expected.left)
        differ += bool((expected.left != even.left).any())
    assert differ


def test_masks_nest_from_level_to_level(tiny_bert: Path, tmp_path: Path) -> None:
    weights, grid = _prepared(tiny_bert, tmp_path, Recipe())
    candidates = [grid.candidates(grid.counts[:, level][None])[0] for level in range(grid.levels)]
    for lighter, heavier in itertools.pairwise(candidates):
        outer, inner = weights.masks(lighter), weights.masks(heavier)
        assert all((outer[key] | ~inner[key]).all() for key in outer)
        assert {name for _, name in outer} == set(MATRIX_NAMES)


@pytest.mark.parametrize("recipe", [Recipe("activation"), Recipe("second-order", gradual=False)])
def test_removing_gradually_leaves_less_than_one_ranking(tiny_bert: Path, tmp_path: Path, recipe: Recipe) -> None:
    """The carrying matrices' error, with all sites at half."""
    errors = []
    rows = prepare_rows(load_host_model(tiny_bert), load_encoder(tiny_bert), tiny_texts(), None, tmp_path / "a")
    for number, each in enumerate((Recipe(), recipe)):
        weights, grid = _prepared(tiny_bert, tmp_path / str(number), each)
        (candidate,) = grid.candidates(grid.counts[:, grid.levels // 2][None])
        made, error = weights.apply(candidate), 0.0
        for site in grid.sites:
            carrier = site.matrices[-1]
            moments = rows.moments(site.layer).of(carrier)
            lost = (
                made.layers[site.layer].matrix(carrier).weight
                - weights.encoder.layers[site.layer].matrix(carrier).weight
            ).astype(np.float64)
            error += float(((lost @ moments.covariance) * lost).sum())
        errors.append(error)
    assert errors[0] < errors[1]
