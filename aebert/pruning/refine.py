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

from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, Linear, MatrixName
from aebert.models.fp32_forward import INPUT_NAMES, INPUT_OF, InputName, layer_output, stage_input
from aebert.models.packed_sequences import PackedStates
from aebert.pruning.compensation import Reconstruction, corrected_bias, reconstruction, solve_kept
from aebert.pruning.input_moments import cross_second, input_moments, iterate_moments
from aebert.pruning.masks import expand_units
from aebert.pruning.output_importance import Importance
from aebert.pruning.prune import PrunedEncoder, with_matrix
from aebert.pruning.saliency import sum_units
from aebert.pruning.structured_removal import structured_masks
from aebert.pruning.unit_counts import MatrixKey, Site, uniform_ratios, zeroed_units
from aebert.pruning.zero_patterns import BoolArray, Pattern, Structured
from aebert.support.errors import AebertError

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
    importance: Importance | None = None,
) -> PrunedEncoder:
    """Prune ``encoder`` under ``pattern``, with masks and weights fitted to the dense model on calibration text.

    ``ratio`` as in ``prune_encoder``; ``embeddings`` are the calibration text's; ``track`` may
    show progress over the layers. Heads and neurons, whose masks bind several matrices, are removed in turn on the
    dense model's inputs (``aebert.pruning.structured_removal``), by the ``importance`` of what they lose where that is
    given, and then the weights are fitted.
    """
    shape = encoder.shape
    ratios = ratio if isinstance(ratio, Mapping) else uniform_ratios(shape, pattern, ratio)
    counts = zeroed_units(shape, pattern, ratios)
    if isinstance(pattern, Structured):
        structured = structured_masks(encoder, pattern, counts, iterate_moments(encoder, embeddings), importance)
        return PrunedEncoder(refit_encoder(encoder, structured, embeddings, track), structured, pattern, encoder.digest)
    site_of = {(site.layer, site.matrices[0]): site for site in counts}

    def choose(key: MatrixKey, problem: Reconstruction, inverses: RidgeInverses) -> tuple[BoolArray, torch.Tensor]:
        site = site_of[key]
        return alternate(problem, site, site.units - counts[site], shape, pattern, inverses)

    layers, masks = _fit_in_order(encoder, embeddings, choose, track)
    return PrunedEncoder(make_encoder(shape, layers), masks, pattern, encoder.digest)


def refit_encoder(
    encoder: Encoder,
    masks: Mapping[MatrixKey, BoolArray],
    embeddings: PackedStates,
    track: Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]] = iter,
) -> Encoder:
    """``refine_encoder`` for given ``masks`` (True: kept, one of every matrix): the weights alone are fitted."""

    def choose(key: MatrixKey, problem: Reconstruction, inverses: RidgeInverses) -> tuple[BoolArray, torch.Tensor]:
        return masks[key], problem.weight

    layers, _ = _fit_in_order(encoder, embeddings, choose, track)
    return make_encoder(encoder.shape, layers)


def _fit_in_order(
    encoder: Encoder,
    embeddings: PackedStates,
    choose: Choose,
    track: Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]],
) -> tuple[list[EncoderLayer], dict[MatrixKey, BoolArray]]:
    """Every layer fitted on what the fitted ones below it give, with the masks."""
    dense, seen = embeddings, embeddings
    layers: list[EncoderLayer] = []
    masks: dict[MatrixKey, BoolArray] = {}
    with torch.inference_mode():
        for number, layer in enumerate(track(encoder.layers)):
            fitted, own, seen, dense = _fit_layer(number, layer, encoder.shape, choose, seen, dense)
            layers.append(fitted)
            masks |= own
    return layers, masks


def _fit_layer(
    number: int,
    layer: EncoderLayer,
    shape: EncoderShape,
    choose: Choose,
    seen: PackedStates,
    dense: PackedStates,
) -> tuple[EncoderLayer, dict[MatrixKey, BoolArray], PackedStates, PackedStates]:
    """The fitted layer, its masks, its output, and the dense layer's output."""
    dense_inputs: dict[InputName, torch.Tensor] = {}
    seen_inputs: dict[InputName, torch.Tensor] = {}
    fitted = layer
    masks: dict[MatrixKey, BoolArray] = {}
    for source in INPUT_NAMES:
        dense_inputs[source] = stage_input(source, layer, shape, dense, dense_inputs)
        seen_inputs[source] = stage_input(source, fitted, shape, seen, seen_inputs)
        moments = input_moments(seen_inputs[source])
        dense_mean = dense_inputs[source].double().mean(dim=0).numpy()
        cross = cross_second(dense_inputs[source], seen_inputs[source]) - np.outer(dense_mean, moments.mean)
        if source == "ffn_in":  # the layer's own input has had its last use
            del dense_inputs["attention"], dense_inputs["attention_output"]
            del seen_inputs["attention"], seen_inputs["attention_output"]
        inverses = RidgeInverses()
        for name in _READERS[source]:
            linear = layer.matrix(name)
            problem = reconstruction(linear, moments, cross, REFINE_RIDGE)
            mask, start = choose((number, name), problem, inverses)
            solution = solve_kept(problem, torch.from_numpy(mask), start)
            weight = (solution.double() / problem.scale).float()
            bias = corrected_bias(linear, weight, dense_mean, moments.mean)
            fitted = with_matrix(fitted, name, Linear(weight.numpy(), bias))
            masks[number, name] = mask
    outputs = seen.with_values(layer_output(fitted, shape, seen_inputs))
    return fitted, masks, outputs, dense.with_values(layer_output(layer, shape, dense_inputs))


class RidgeInverses:
    """Inverses of ``hessian + rho I``, each computed once for all matrices that read the same inputs."""

    def __init__(self) -> None:
        self._made: dict[float, torch.Tensor] = {}

    def of(self, hessian: torch.Tensor, rho: float) -> torch.Tensor:
        """[inputs, inputs] float32. Every call is for the same ``hessian``."""
        if rho not in self._made:
            regularised = hessian + rho * torch.eye(len(hessian))
            self._made[rho] = torch.cholesky_inverse(torch.linalg.cholesky(regularised))
        return self._made[rho]


# The mask of a matrix, and scaled weights to start its conjugate gradients from.
Choose = Callable[[MatrixKey, Reconstruction, RidgeInverses], tuple[BoolArray, torch.Tensor]]


def alternate(
    problem: Reconstruction,
    site: Site,
    kept: int,
    shape: EncoderShape,
    pattern: Pattern,
    inverses: RidgeInverses | None = None,
) -> tuple[BoolArray, torch.Tensor]:
    """ADMM between the least-squares problem and the pattern: a mask with ``kept`` units, and weights to start from.

    ``inverses``: those of this problem's Hessian, shared with others that have the same one.
    """
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
    inverses = inverses or RidgeInverses()
    for iteration in range(ADMM_ITERATIONS):
        rho = FIRST_RHO * RHO_GROWTH ** (iteration // ITERATIONS_PER_RHO)
        inverse = inverses.of(problem.hessian, rho)
        dense = (problem.target - dual + rho * sparse) @ inverse
        mask = project(dense + dual / rho)
        sparse = (dense + dual / rho) * torch.from_numpy(mask)
        dual = dual + rho * (dense - sparse)
    return mask, sparse
