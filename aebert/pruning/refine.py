"""Masks and weights chosen together, on the inputs that the pruned layers below really give.

Two improvements over selecting once and correcting afterwards, at several times the cost:

- *Alternating selection* (ADMM; Boza 2024 and ALPS, Meng et al. 2024): ``min trace((V - W) H (V - W)^T)`` with V in the
  pattern is split into a ridge solve with ``H + rho I`` and a projection onto the pattern, with ``rho`` growing until
  the support settles; conjugate gradients on that support finish.
- *Asymmetric targets*: a matrix is fitted to the dense model's outputs from the inputs of the pruned model, so each
  layer corrects what the layers below it lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from aebert.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, Linear, MatrixName
from aebert.errors import AebertError
from aebert.models.digest import make_encoder
from aebert.models.forward import INPUT_NAMES, INPUT_OF, InputName, layer_output, stage_input
from aebert.models.packed import PackedStates
from aebert.pruning.compensation import Reconstruction, corrected_bias, reconstruction, solve_kept
from aebert.pruning.counts import MatrixKey, Site, uniform_ratios, zeroed_units
from aebert.pruning.masks import expand_units
from aebert.pruning.moments import cross_second, input_moments
from aebert.pruning.patterns import BoolArray, Pattern, Structured
from aebert.pruning.prune import PrunedEncoder, with_matrix
from aebert.pruning.saliency import sum_units

# Fitting to the errors of the layers below invites over-fitting to the calibration text, hence more ridge.
REFINE_RIDGE = 0.1
ADMM_ITERATIONS = 10
FIRST_RHO = 0.1
RHO_GROWTH = 2.2
ITERATIONS_PER_RHO = 3
# Matrices with the same input are fitted together; the next ones see what those already fitted give.
_READERS: Mapping[InputName, tuple[MatrixName, ...]] = {
    source: tuple(name for name in MATRIX_NAMES if INPUT_OF[name] == source) for source in INPUT_NAMES
}


def refine_encoder(
    encoder: Encoder,
    pattern: Pattern,
    ratio: float | Mapping[MatrixKey, float],
    embeddings: PackedStates,
    track: Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]] = iter,
) -> PrunedEncoder:
    """Prune ``encoder`` under ``pattern``, with masks and weights fitted to the dense model on calibration text.

    ``ratio`` as in ``prune_encoder``; ``embeddings`` are the calibration text's; ``track`` may
    show progress over the layers. Raises AebertError for head and neuron
    patterns, whose masks bind several matrices.
    """
    if isinstance(pattern, Structured):
        raise AebertError(f"pattern {str(pattern)!r} cannot be refined; prune it with compensation instead")
    shape = encoder.shape
    ratios = ratio if isinstance(ratio, Mapping) else uniform_ratios(shape, pattern, ratio)
    counts = zeroed_units(shape, pattern, ratios)
    dense, seen = embeddings, embeddings
    layers: list[EncoderLayer] = []
    masks: dict[MatrixKey, BoolArray] = {}
    for number, layer in enumerate(track(encoder.layers)):
        sites = {site: count for site, count in counts.items() if site.layer == number}
        fitted, layer_masks, seen, dense = _refine_layer(layer, shape, pattern, sites, seen, dense)
        layers.append(fitted)
        masks |= {(number, name): mask for name, mask in layer_masks.items()}
    return PrunedEncoder(make_encoder(shape, layers), masks, pattern, encoder.digest)


def _refine_layer(
    layer: EncoderLayer,
    shape: EncoderShape,
    pattern: Pattern,
    zeroed: Mapping[Site, int],
    seen: PackedStates,
    dense: PackedStates,
) -> tuple[EncoderLayer, dict[MatrixName, BoolArray], PackedStates, PackedStates]:
    """The fitted layer, its masks, its output, and the dense layer's output."""
    site_of = {site.matrices[0]: site for site in zeroed}
    dense_inputs: dict[InputName, torch.Tensor] = {}
    seen_inputs: dict[InputName, torch.Tensor] = {}
    fitted = layer
    masks: dict[MatrixName, BoolArray] = {}
    for source in INPUT_NAMES:
        dense_inputs[source] = stage_input(source, layer, shape, dense, dense_inputs)
        seen_inputs[source] = stage_input(source, fitted, shape, seen, seen_inputs)
        moments = input_moments(seen_inputs[source])
        dense_mean = dense_inputs[source].double().mean(dim=0).numpy()
        cross = cross_second(dense_inputs[source], seen_inputs[source]) - np.outer(dense_mean, moments.mean)
        for name in _READERS[source]:
            linear, site = layer.matrix(name), site_of[name]
            problem = reconstruction(linear, moments, cross, REFINE_RIDGE)
            mask, start = alternate(problem, site, site.units - zeroed[site], shape, pattern)
            solution = solve_kept(problem, torch.from_numpy(mask), start)
            weight = (solution.double() / problem.scale).float()
            bias = corrected_bias(linear, weight, dense_mean, moments.mean)
            fitted = with_matrix(fitted, name, Linear(weight.numpy(), bias))
            masks[name] = mask
    outputs = seen.with_values(layer_output(fitted, shape, seen_inputs))
    return fitted, masks, outputs, dense.with_values(layer_output(layer, shape, dense_inputs))


def alternate(
    problem: Reconstruction, site: Site, kept: int, shape: EncoderShape, pattern: Pattern
) -> tuple[BoolArray, torch.Tensor]:
    """ADMM between the least-squares problem and the pattern: a mask with ``kept`` units, and weights to start from."""
    if isinstance(pattern, Structured):
        raise AebertError(f"pattern {str(pattern)!r} has no mask of one matrix alone")

    def project(weights: torch.Tensor) -> BoolArray:
        scores = sum_units(np.square(weights.numpy(), dtype=np.float64), pattern.unit_shape)
        (mask,) = expand_units(pattern.select(scores, kept), site, shape, pattern).values()
        return mask

    mask = project(problem.weight)
    if mask.all():
        return mask, problem.weight
    sparse = problem.weight * torch.from_numpy(mask)
    dual = torch.zeros_like(sparse)
    identity = torch.eye(len(problem.hessian))
    rho = FIRST_RHO
    inverse = identity
    for iteration in range(ADMM_ITERATIONS):
        if iteration % ITERATIONS_PER_RHO == 0:
            rho = FIRST_RHO * RHO_GROWTH ** (iteration // ITERATIONS_PER_RHO)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(problem.hessian + rho * identity))
        dense = (problem.target - dual + rho * sparse) @ inverse
        mask = project(dense + dual / rho)
        sparse = (dense + dual / rho) * torch.from_numpy(mask)
        dual = dual + rho * (dense - sparse)
    return mask, sparse
