"""Least-squares correction of the kept weights, so that the pruned matrix best reproduces the dense one's output.

For one matrix with dense weight W, inputs x of covariance C and kept support S, the corrected weight minimises
``trace((V - W) H (V - W)^T)`` over V with zeros outside S, with ``H = C + ridge * mean(diag C) * I``; the bias takes up
the rest of the mean. All rows are solved together by conjugate gradients on the products ``V H``, which costs the same
whether rows share a mask or not. A direct solve of each distinct mask reaches the same accuracy but is many times
slower for fine patterns (docs/pruning.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.encoder import FloatArray, Linear
from aebert.pruning.input_moments import InputMoments
from aebert.pruning.zero_patterns import BoolArray, Float64Array

RIDGE = 0.03
GAIN_TOLERANCE = 0.005
MAX_ITERATIONS = 30
_TINY = 1e-30
# Of the inputs' power: float32 sums of products are wrong by 5e-5 of it for 64 inputs that do not vary.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Reconstruction:
    """The least-squares problem of one matrix, in inputs scaled so that ``hessian`` has a unit diagonal.

    ``weight`` and ``target`` (= the right-hand side, dense weight times cross covariance) are [outputs, inputs] and
    ``hessian`` [inputs, inputs], all float32; ``scale`` [inputs] float64 divides a scaled weight back to a real one.
    """

    weight: torch.Tensor
    hessian: torch.Tensor
    target: torch.Tensor
    scale: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> Reconstruction:
        """The problem of some of the rows (a bool mask over them)."""
        return Reconstruction(self.weight[chosen], self.hessian, self.target[chosen], self.scale)


def regularised_covariance(moments: InputMoments, ridge: float = RIDGE) -> torch.Tensor:
    """The covariance with ``ridge`` times its mean diagonal added to the diagonal, [inputs, inputs] float64, or
    what its rounding errors need where the inputs hardly vary."""
    return torch.from_numpy(moments.covariance) + _ridge_term(moments, ridge)


def _ridge_term(moments: InputMoments, ridge: float) -> torch.Tensor:
    # Inputs that do not vary, behind a matrix that was dropped whole, have a covariance of rounding errors.
    inputs, power = len(moments.mean), float(moments.channel_power.mean())
    least = max(_ROUNDING * power, _TINY)
    term = max(ridge * float(np.trace(moments.covariance)) / inputs, least)
    return term * torch.eye(inputs, dtype=torch.float64)


def reconstruction(
    linear: Linear, moments: InputMoments, cross: Float64Array | None = None, ridge: float = RIDGE
) -> Reconstruction:
    """The problem of reproducing ``linear`` on inputs with ``moments``.

    ``cross`` [inputs, inputs] is the covariance of the dense model's inputs (rows) with the inputs that the pruned
    matrix will see (columns), where those differ; the outputs to reproduce are then those of the dense model.
    """
    regularised = regularised_covariance(moments, ridge)
    scale = regularised.diagonal().sqrt()
    hessian = (regularised / scale[:, None] / scale[None, :]).float()
    weight = (torch.from_numpy(linear.weight).double() * scale).float()
    if cross is None:
        target = weight @ hessian
    else:
        right = (torch.from_numpy(cross) + _ridge_term(moments, ridge)) / scale
        target = torch.from_numpy(linear.weight) @ right.float()
    return Reconstruction(weight, hessian, target, scale)


def solve_kept(
    problem: Reconstruction,
    mask: torch.Tensor,
    start: torch.Tensor,
    tolerance: float = GAIN_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> torch.Tensor:
    """Conjugate gradients over all rows at once from ``start``, until one iteration gains no more than ``tolerance`` of
    what all together have gained in the objective.

    A residual that is small beside the target would be the wrong sign to stop at: where few weights go, it is small
    from the start, and a quarter of the error that they leave can still be undone.

    ``mask`` is bool, ``start`` float32, both [outputs, inputs]; so is the scaled weight returned, zero where masked.
    """
    kept = mask.float()
    solution = start * kept
    residual = (problem.target - solution @ problem.hessian) * kept
    direction = residual.clone()
    power = residual.square().sum(dim=1, keepdim=True)
    gained = 0.0
    for _ in range(max_iterations):
        product = (direction @ problem.hessian) * kept
        step = power / ((direction * product).sum(dim=1, keepdim=True) + _TINY)
        solution += step * direction
        residual -= step * product
        gain = float((step * power).sum())
        gained += gain
        if gain <= tolerance * gained:
            break
        following = residual.square().sum(dim=1, keepdim=True)
        direction = residual + following / (power + _TINY) * direction
        power = following
    return solution


def compensate_kept(
    linear: Linear,
    mask: BoolArray,
    moments: InputMoments,
    problem: Reconstruction | None = None,
    start: FloatArray | None = None,
) -> Linear:
    """``linear`` with zeros where ``mask`` is False and the kept weights and the bias corrected by least squares.

    ``problem`` is ``reconstruction(linear, moments)`` where the caller has it already, for several masks. ``start``
    [outputs, inputs]: weights to correct from [default: those of ``linear``].
    """
    # Rows that are whole or gone (a head's query, a neuron's inputs) have nothing to correct.
    partial = torch.from_numpy(mask.any(axis=1) & ~mask.all(axis=1))
    weight = torch.from_numpy(np.where(mask, linear.weight, np.float32(0)))
    if partial.any():
        whole = problem or reconstruction(linear, moments)
        rows = whole if partial.all() else whole.rows(partial)
        scaled = rows.weight
        if start is not None:
            scaled = (torch.from_numpy(start)[partial].double() * rows.scale).float()
        solution = solve_kept(rows, torch.from_numpy(mask)[partial], scaled)
        weight[partial] = (solution.double() / rows.scale).float()
    return Linear(weight.numpy(), corrected_bias(linear, weight, moments.mean, moments.mean))


def corrected_bias(
    linear: Linear, weight: torch.Tensor, dense_mean: Float64Array, seen_mean: Float64Array
) -> FloatArray:
    """The bias that makes ``weight`` at ``seen_mean`` give the output of ``linear`` at ``dense_mean``, [outputs]."""
    shift = linear.weight.astype(np.float64) @ dense_mean - weight.double().numpy() @ seen_mean
    return (linear.bias + shift).astype(np.float32)
