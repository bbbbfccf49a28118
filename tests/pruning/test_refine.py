"""Refinement against its own description: ADMM step by step in float64, and targets from the dense model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aebert.models.encoder import EncoderShape, Linear
from aebert.pruning import parse_pattern
from aebert.pruning.compensation import Reconstruction, reconstruction
from aebert.pruning.input_moments import InputMoments
from aebert.pruning.refine import ADMM_ITERATIONS, FIRST_RHO, ITERATIONS_PER_RHO, RHO_GROWTH, alternate
from aebert.pruning.unit_counts import Site, list_sites
from aebert.pruning.zero_patterns import BoolArray
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=1, hidden=8, heads=2, ffn=16, epsilon=1e-12, max_positions=32)


def _problem(seed: int) -> Reconstruction:
    random = np.random.default_rng(seed)
    samples = random.normal(size=(300, 8)) @ random.normal(size=(8, 8))
    moments = InputMoments(300, samples.mean(axis=0), samples.T @ samples / 300)
    linear = Linear(random.normal(size=(8, 8)).astype(np.float32), np.zeros(8, np.float32))
    return reconstruction(linear, moments, ridge=0.1)


def _kept(weights: np.ndarray, rows: int, columns: int, kept: int) -> np.ndarray:
    """The ``kept`` blocks with the largest sum of squares."""
    blocks = np.square(weights).reshape(8 // rows, rows, 8 // columns, columns).sum(axis=(1, 3))
    chosen = np.zeros(blocks.size, bool)
    chosen[np.argsort(-blocks.ravel(), kind="stable")[:kept]] = True
    return np.kron(chosen.reshape(blocks.shape), np.ones((rows, columns))) > 0


def _admm(problem: Reconstruction, rows: int, columns: int, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """min tr((V - W) H (V - W)^T) over V in the pattern, written out: ridge solve, projection, dual step."""
    hessian, target = problem.hessian.double().numpy(), problem.target.double().numpy()
    weight = problem.weight.double().numpy()
    mask = _kept(weight, rows, columns, kept)
    sparse, dual = weight * mask, np.zeros_like(weight)
    for iteration in range(ADMM_ITERATIONS):
        rho = FIRST_RHO * RHO_GROWTH ** (iteration // ITERATIONS_PER_RHO)
        dense = np.linalg.solve(hessian + rho * np.eye(8), (target - dual + rho * sparse).T).T
        mask = _kept(dense + dual / rho, rows, columns, kept)
        sparse = (dense + dual / rho) * mask
        dual = dual + rho * (dense - sparse)
    return mask, sparse


def _site(spelling: str) -> Site:
    return list_sites(SHAPE, parse_pattern(spelling))[0]


@pytest.mark.parametrize(
    ("spelling", "rows", "columns"), [("unstructured", 1, 1), ("block:2x2", 2, 2), ("block:4x1", 4, 1)]
)
@pytest.mark.parametrize("seed", range(4))
def test_masks_and_weights_are_those_of_the_alternating_method(
    spelling: str, rows: int, columns: int, seed: int
) -> None:
    problem, site = _problem(seed), _site(spelling)
    kept = site.units // 3
    mask, start = alternate(problem, site, kept, SHAPE, parse_pattern(spelling))
    expected_mask, expected = _admm(problem, rows, columns, kept)
    np.testing.assert_array_equal(mask, expected_mask)
    np.testing.assert_allclose(start.numpy(), expected, rtol=1e-3, atol=1e-4)


def _loss(problem: Reconstruction, mask: BoolArray) -> float:
    """What the best weights on ``mask`` leave of the output's energy."""
    left = 0.0
    hessian = problem.hessian.double().numpy()
    for row, kept in zip(problem.weight.double().numpy(), mask, strict=True):
        best = np.zeros(8)
        best[kept] = np.linalg.solve(hessian[np.ix_(kept, kept)], (row @ hessian)[kept])
        left += float((best - row) @ hessian @ (best - row))
    return left


def test_its_masks_are_better_than_those_of_the_largest_weights() -> None:
    better = 0
    for seed in range(10):
        problem, site = _problem(seed), _site("unstructured")
        mask, _ = alternate(problem, site, 24, SHAPE, parse_pattern("unstructured"))
        assert mask.sum() == 24
        better += _loss(problem, mask) < _loss(problem, _kept(problem.weight.numpy(), 1, 1, 24))
    assert better >= 9


def test_a_matrix_that_keeps_everything_starts_from_its_own_weights() -> None:
    problem, site = _problem(0), _site("block:2x2")
    mask, start = alternate(problem, site, site.units, SHAPE, parse_pattern("block:2x2"))
    assert mask.all()
    torch.testing.assert_close(start, problem.weight)


def test_heads_have_no_mask_of_one_matrix_alone() -> None:
    with pytest.raises(AebertError, match="'head' has no mask of one matrix alone"):
        alternate(_problem(0), _site("head"), 1, SHAPE, parse_pattern("head"))
