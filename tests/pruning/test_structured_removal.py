"""Removal of heads and neurons against what it says of itself: exact least squares, and every removal tried out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from aebert.models.encoder import Linear
from aebert.pruning.compensation import Reconstruction, reconstruction
from aebert.pruning.input_moments import InputMoments
from aebert.pruning.structured_removal import EVEN_SHARE, StructuredRemoval
from aebert.pruning.zero_patterns import BoolArray, Float64Array


def _problem(seed: int, inputs: int, cross: bool = False) -> Reconstruction:
    random = np.random.default_rng(seed)
    samples = random.normal(size=(500, inputs)) @ random.normal(size=(inputs, inputs))
    moments = InputMoments(500, samples.mean(axis=0), samples.T @ samples / 500)
    linear = Linear(random.normal(size=(6, inputs)).astype(np.float32), np.zeros(6, np.float32))
    other = samples + random.normal(size=samples.shape)
    seen = (other - other.mean(axis=0)).T @ (samples - samples.mean(axis=0)) / 500 if cross else None
    return reconstruction(linear, moments, seen, ridge=0.03)


def _best(problem: Reconstruction, channels: BoolArray) -> tuple[Float64Array, float]:
    """The least-squares weights on some input channels, real ones, and the objective but for a constant."""
    hessian, target = problem.hessian.double().numpy(), problem.target.double().numpy()
    weight = np.zeros_like(target)
    weight[:, channels] = np.linalg.solve(hessian[np.ix_(channels, channels)], target[:, channels].T).T
    objective = float(((weight @ hessian - 2 * target) * weight).sum())
    return weight / problem.scale.numpy(), objective


@pytest.mark.parametrize(("units", "size"), [(12, 1), (6, 2), (4, 3)])
@pytest.mark.parametrize("cross", [False, True])
def test_each_step_removes_what_costs_least_and_the_rest_is_solved_exactly(units: int, size: int, cross: bool) -> None:
    """Few units: one goes at a time, and it is the one whose removal, all others solved anew, leaves least error."""
    for seed in range(3):
        problem = _problem(seed, units * size, cross)
        before = np.ones(units, bool)
        for level in StructuredRemoval(problem, units).levels(range(units - 1, 0, -1)):
            tried = {}
            for unit in np.flatnonzero(before):
                left = before.copy()
                left[unit] = False
                tried[unit] = _best(problem, np.repeat(left, size))[1]
            cheapest = min(tried, key=lambda unit: tried[unit])
            assert np.flatnonzero(before & ~level.left).tolist() == [cheapest]
            expected, _ = _best(problem, np.repeat(level.left, size))
            np.testing.assert_allclose(level.weight, expected, rtol=1e-4, atol=1e-4)
            assert not level.weight[:, ~np.repeat(level.left, size)].any()
            before = level.left


@pytest.mark.parametrize(("units", "size"), [(12, 1), (4, 3)])
def test_what_a_removal_costs_is_weighted_with_the_importance_of_the_outputs(units: int, size: int) -> None:
    different = False
    for seed in range(3):
        problem = _problem(seed, units * size)
        factor = torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 6)))
        importance = factor.T @ factor
        blended = (1 - EVEN_SHARE) * importance / importance.diagonal().mean() + EVEN_SHARE * torch.eye(6)
        before = np.ones(units, bool)
        counts = range(units - 1, 0, -1)
        own, plain = (StructuredRemoval(problem, units, each).levels(counts) for each in (importance, None))
        for level, even in zip(own, plain, strict=True):
            tried = {}
            for unit in np.flatnonzero(before):
                left = before.copy()
                left[unit] = False
                weight = torch.from_numpy(_best(problem, np.repeat(left, size))[0]) * problem.scale
                lost = weight - problem.weight.double()
                tried[unit] = float(((lost @ problem.hessian.double()).T @ blended @ lost).trace())
            assert np.flatnonzero(before & ~level.left).tolist() == [min(tried, key=lambda unit: tried[unit])]
            expected, _ = _best(problem, np.repeat(level.left, size))
            np.testing.assert_allclose(level.weight, expected, rtol=1e-4, atol=1e-4)
            different |= bool((level.left != even.left).any())
            before = level.left
    assert different


def test_outputs_that_matter_nothing_are_as_if_nothing_were_known() -> None:
    (known,) = StructuredRemoval(_problem(0, 12), 12, torch.zeros(6, 6, dtype=torch.float64)).levels([5])
    (unknown,) = StructuredRemoval(_problem(0, 12), 12).levels([5])
    np.testing.assert_array_equal(known.left, unknown.left)


def test_the_ranking_holds_the_masks_of_all_counts() -> None:
    removal = StructuredRemoval(_problem(0, 12), 12)
    levels = {int(level.left.sum()): level.left for level in removal.levels([12, 9, 5, 2])}
    assert sorted(removal.rank.tolist()) == list(range(12))
    for count, left in levels.items():
        np.testing.assert_array_equal(removal.rank < count, left)


def test_many_units_go_a_64th_at_a_time_to_the_exact_count() -> None:
    removal = StructuredRemoval(_problem(1, 200), 200)
    for count, level in zip((200, 151, 150, 7, 0), removal.levels([200, 151, 150, 7, 0]), strict=True):
        assert level.left.sum() == count
        expected, _ = _best(_problem(1, 200), level.left)
        np.testing.assert_allclose(level.weight, expected, rtol=1e-3, atol=1e-3)


def test_it_comes_close_to_the_best_choice_there_is() -> None:
    """All 70 ways to keep 4 of 8: what is left beside the best is less than a tenth of the spread."""
    behind = []
    for seed in range(6):
        problem = _problem(seed, 8)
        (level,) = StructuredRemoval(problem, 8).levels([4])
        own = _best(problem, level.left)[1]
        every = []
        for chosen in itertools.combinations(range(8), 4):
            left = np.zeros(8, bool)
            left[list(chosen)] = True
            every.append(_best(problem, left)[1])
        behind.append((own - min(every)) / (np.median(every) - min(every)))
    assert np.mean(behind) < 0.1
