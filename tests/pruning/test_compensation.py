"""The least-squares correction solves its normal equations, by conjugate gradients, with the stated ridge and bias."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from aebert.models.encoder import Linear
from aebert.pruning.compensation import (
    RIDGE,
    Reconstruction,
    compensate_kept,
    corrected_bias,
    reconstruction,
    regularised_covariance,
    solve_kept,
)
from aebert.pruning.input_moments import InputMoments

INPUTS = 6


def _moments(seed: int = 0) -> InputMoments:
    random = np.random.default_rng(seed)
    samples = random.normal(size=(500, INPUTS)) @ random.normal(size=(INPUTS, INPUTS)) + random.normal(size=INPUTS)
    return InputMoments(500, samples.mean(axis=0), samples.T @ samples / 500)


def _linear(seed: int = 1, outputs: int = 5) -> Linear:
    random = np.random.default_rng(seed)
    return Linear(
        random.normal(size=(outputs, INPUTS)).astype(np.float32), random.normal(size=outputs).astype(np.float32)
    )


def _hessian(moments: InputMoments, ridge: float = RIDGE) -> np.ndarray:
    covariance = moments.second - np.outer(moments.mean, moments.mean)
    return covariance + ridge * np.trace(covariance) / INPUTS * np.eye(INPUTS)


def test_the_ridge_is_a_share_of_the_mean_variance() -> None:
    moments = _moments()
    np.testing.assert_allclose(regularised_covariance(moments).numpy(), _hessian(moments))
    np.testing.assert_allclose(regularised_covariance(moments, 0.5).numpy(), _hessian(moments, 0.5))


def test_inputs_without_variance_still_give_a_positive_diagonal() -> None:
    still = InputMoments(3, np.zeros(2), np.zeros((2, 2)))
    diagonal = regularised_covariance(still).diagonal().numpy()
    assert (diagonal > 0).all()
    assert diagonal.max() < 1e-20


def test_a_problem_is_scaled_to_a_unit_diagonal_and_back() -> None:
    moments, linear = _moments(), _linear()
    problem = reconstruction(linear, moments, ridge=0.2)
    scale = np.sqrt(np.diagonal(_hessian(moments, 0.2)))
    np.testing.assert_allclose(problem.scale.numpy(), scale)
    np.testing.assert_allclose(problem.hessian.numpy(), _hessian(moments, 0.2) / np.outer(scale, scale), rtol=1e-6)
    np.testing.assert_allclose(problem.weight.numpy(), linear.weight * scale, rtol=1e-6)
    np.testing.assert_allclose(problem.target.numpy() * scale, linear.weight @ _hessian(moments, 0.2), rtol=1e-4)


def test_a_cross_covariance_moves_the_target_with_the_same_ridge() -> None:
    moments, linear = _moments(), _linear()
    cross = np.random.default_rng(4).normal(size=(INPUTS, INPUTS))
    problem = reconstruction(linear, moments, cross, ridge=0.2)
    covariance = moments.second - np.outer(moments.mean, moments.mean)
    right = cross + 0.2 * np.trace(covariance) / INPUTS * np.eye(INPUTS)
    np.testing.assert_allclose(
        problem.target.numpy() * problem.scale.numpy(), linear.weight @ right, rtol=1e-4, atol=1e-5
    )


def _stiff() -> tuple[Reconstruction, torch.Tensor]:
    """Six unknowns whose Hessian has a condition of a thousand, and its exact solution."""
    random = np.random.default_rng(3)
    basis, _ = np.linalg.qr(random.normal(size=(INPUTS, INPUTS)))
    hessian = basis @ np.diag(np.logspace(0, 3, INPUTS)) @ basis.T
    exact = random.normal(size=(4, INPUTS))
    target = torch.from_numpy(exact @ hessian)
    problem = Reconstruction(torch.zeros(4, INPUTS).double(), torch.from_numpy(hessian), target, torch.ones(INPUTS))
    return problem, torch.from_numpy(exact)


def test_conjugate_gradients_need_as_many_steps_as_there_are_unknowns() -> None:
    """Steepest descent, on this problem, is still far off after as many."""
    problem, exact = _stiff()
    mask = torch.ones(4, INPUTS, dtype=torch.bool)
    solved = solve_kept(problem, mask, torch.zeros(4, INPUTS).double(), tolerance=0.0, max_iterations=INPUTS)
    assert float((solved - exact).norm() / exact.norm()) < 1e-6
    before = solve_kept(problem, mask, torch.zeros(4, INPUTS).double(), tolerance=0.0, max_iterations=INPUTS - 1)
    assert float((before - exact).norm() / exact.norm()) > 1e-3
    descent = torch.zeros(4, INPUTS).double()
    for _ in range(INPUTS):
        residual = problem.target - descent @ problem.hessian
        curvature = (residual * (residual @ problem.hessian)).sum(dim=1, keepdim=True)
        descent = descent + residual.square().sum(dim=1, keepdim=True) / curvature * residual
    assert float((descent - exact).norm() / exact.norm()) > 0.1


def test_iterations_stop_once_one_gains_little_beside_all_before_it() -> None:
    problem, exact = _stiff()
    mask = torch.ones(4, INPUTS, dtype=torch.bool)
    start = torch.zeros(4, INPUTS).double()
    steps = [solve_kept(problem, mask, start, tolerance=0.0, max_iterations=count) for count in range(7)]
    errors = [float((((each - exact) @ problem.hessian) * (each - exact)).sum()) for each in steps]
    gains = [before - after for before, after in pairwise(errors)]
    small = [gain <= 0.02 * sum(gains[: count + 1]) for count, gain in enumerate(gains)]
    assert True in small[1:5], "the problem is one that stops in the middle"
    torch.testing.assert_close(solve_kept(problem, mask, start, tolerance=0.02), steps[small.index(True) + 1])


def test_a_start_near_the_target_is_still_improved() -> None:
    """Few weights are gone, so the residual is a thousandth of the target; a good part of the error can be undone."""
    problem = reconstruction(_linear(), _moments())
    mask = torch.ones(5, INPUTS, dtype=torch.bool)
    smallest = int(problem.weight[0].abs().argmin())
    mask[0, smallest] = False
    near = problem.weight.clone()
    near[0, smallest] *= 1e-3
    given = Reconstruction(near, problem.hessian, near @ problem.hessian, problem.scale)
    start = near * mask
    assert float((given.target - start @ given.hessian).norm()) < 3e-3 * float(given.target.norm())

    def error(weight: torch.Tensor) -> float:
        return float((((weight - near) @ given.hessian) * (weight - near)).sum())

    assert error(solve_kept(given, mask, start)) < 0.7 * error(start)


def test_masked_weights_stay_zero_and_the_start_counts_only_where_kept() -> None:
    problem = reconstruction(_linear(), _moments())
    mask = torch.rand(5, INPUTS, generator=torch.Generator().manual_seed(0)) < 0.5
    solved = solve_kept(problem, mask, problem.weight, tolerance=0.0, max_iterations=30)
    assert not solved[~mask].any()
    from_zero = solve_kept(problem, mask, torch.zeros_like(problem.weight), tolerance=0.0, max_iterations=30)
    torch.testing.assert_close(solved, from_zero, rtol=1e-3, atol=1e-4)
    for row in range(5):
        kept = mask[row]
        exact = torch.linalg.solve(problem.hessian[kept][:, kept], problem.target[row, kept])
        torch.testing.assert_close(solved[row, kept], exact, rtol=1e-3, atol=1e-4)


def test_rows_chosen_are_the_same_problem() -> None:
    problem = reconstruction(_linear(), _moments())
    chosen = torch.tensor([True, False, True, False, False])
    some = problem.rows(chosen)
    torch.testing.assert_close(some.weight, problem.weight[[0, 2]])
    torch.testing.assert_close(some.target, problem.target[[0, 2]])
    assert some.hessian is problem.hessian


def test_whole_and_empty_rows_are_left_as_they_are_and_partial_ones_corrected() -> None:
    linear, moments = _linear(), _moments()
    mask = np.zeros((5, INPUTS), bool)
    mask[0], mask[1, :3], mask[2, 2:] = True, True, True
    corrected = compensate_kept(linear, mask, moments)
    np.testing.assert_array_equal(corrected.weight[0], linear.weight[0])
    assert not corrected.weight[3:].any()
    hessian = _hessian(moments)
    for row in (1, 2):
        kept = mask[row]
        exact = np.linalg.solve(hessian[np.ix_(kept, kept)], (linear.weight[row] @ hessian)[kept])
        np.testing.assert_allclose(corrected.weight[row, kept], exact, rtol=0.05, atol=0.02)
        assert not corrected.weight[row, ~kept].any()
    given = compensate_kept(linear, mask, moments, reconstruction(linear, moments))
    np.testing.assert_array_equal(given.weight, corrected.weight)
    np.testing.assert_array_equal(compensate_kept(linear, mask > 2, moments).weight, np.zeros((5, INPUTS)))


def test_the_bias_takes_up_the_difference_of_the_means() -> None:
    linear = Linear(np.array([[1.0, 2.0]], np.float32), np.array([10.0], np.float32))
    weight = torch.tensor([[3.0, 0.0]])
    bias = corrected_bias(linear, weight, np.array([5.0, 7.0]), np.array([11.0, 13.0]))
    assert bias.tolist() == [10.0 + (5.0 + 14.0) - 33.0]
    assert bias.dtype == np.float32


@pytest.mark.parametrize("seed", range(3))
def test_the_corrected_matrix_gives_the_mean_output_of_the_dense_one(seed: int) -> None:
    linear, moments = _linear(seed), _moments(seed + 9)
    mask = np.random.default_rng(seed).random((5, INPUTS)) < 0.6
    corrected = compensate_kept(linear, mask, moments)
    np.testing.assert_allclose(
        corrected.weight @ moments.mean + corrected.bias, linear.weight @ moments.mean + linear.bias, atol=1e-4
    )
