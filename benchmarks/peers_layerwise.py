"""Pruners of others that go through the layers one by one, written from their papers.

All see the same calibration rows without labels, and none fine-tunes. Like their authors' code, Wanda, SparseGPT and
ALPS go through the layers in order, each on the inputs that the pruned layers below it give, and reproduce the layer's
own dense outputs on those inputs; ours fits those of the dense model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderShape, Linear
from aebert.models.fp32_forward import layer_forward
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates
from aebert.pruning.compensation import reconstruction, solve_kept
from aebert.pruning.input_moments import InputMoments, layer_moments
from aebert.pruning.masks import expand_units
from aebert.pruning.prune import with_matrix
from aebert.pruning.refine import alternate
from aebert.pruning.saliency import sum_units, weight_scores
from aebert.pruning.unit_counts import Site, list_sites, uniform_ratios, zeroed_units
from aebert.pruning.zero_patterns import Block, ColumnBlock, Pattern, RowBlock, Vector
from aebert.tasks import Example, Task

SPARSEGPT_BLOCK = 128
SPARSEGPT_DAMPING = 0.01


@dataclass(frozen=True)
class Given:
    """A task's dense model, and the rows that every method may look at, without their labels unless it searches.

    ``searches``: where the summaries of searches are kept.
    """

    directory: Path
    host: HostModel
    encoder: Encoder
    task: Task
    rows: Sequence[Example]
    prepared: Path
    candidates: int
    searches: Path

    def states(self) -> PackedStates:
        return self.host.embed_texts(self.host.tokenise([row.text for row in self.rows], MAX_TOKENS))


# Those whose masks belong to one matrix.
Unbound = Block | ColumnBlock | RowBlock | Vector
# A matrix, the moments of its inputs, its site, how many units it keeps: the pruned matrix.
PruneMatrix = Callable[[Linear, InputMoments, Site, int, EncoderShape, Unbound], Linear]


def in_order(given: Given, pattern: Unbound, ratio: float, prune: PruneMatrix) -> Encoder:
    """Layer by layer on the inputs that the pruned layers below give; one ratio everywhere."""
    encoder, states = given.encoder, given.states()
    zeroed = zeroed_units(encoder.shape, pattern, uniform_ratios(encoder.shape, pattern, ratio))
    sites = {(site.layer, site.matrices[0]): site for site in list_sites(encoder.shape, pattern)}
    layers = []
    for number, layer in enumerate(encoder.layers):
        moments, _ = layer_moments(layer, encoder.shape, states)
        pruned = layer
        for name in MATRIX_NAMES:
            site = sites[number, name]
            kept = site.units - zeroed[site]
            made = prune(layer.matrix(name), moments.of(name), site, kept, encoder.shape, pattern)
            pruned = with_matrix(pruned, name, made)
        layers.append(pruned)
        states = layer_forward(pruned, encoder.shape, states)
    return make_encoder(encoder.shape, layers)


def wanda(
    linear: Linear, moments: InputMoments, site: Site, kept: int, shape: EncoderShape, pattern: Unbound
) -> Linear:
    """Wanda (Sun et al., ICLR 2024): |w| times the norm of its input, weights of one output compared; no correction."""
    grouped = RowBlock(1, 1) if pattern == Block(1, 1) else pattern
    scores = sum_units(weight_scores(linear.weight, "activation", moments), pattern.unit_shape)
    (mask,) = expand_units(grouped.select(scores, kept), site, shape, pattern).values()
    return Linear(np.where(mask, linear.weight, np.float32(0)), linear.bias)


def sparsegpt(
    linear: Linear, moments: InputMoments, site: Site, kept: int, shape: EncoderShape, pattern: Unbound
) -> Linear:
    """SparseGPT (Frantar & Alistarh, ICML 2023): block by block of 128 columns, those with the least w^2 / [H^-1]_cc^2
    (of H's Cholesky factor) go, and columns to their right make up for each, one after another."""
    return sparsegpt_on(sparsegpt_factor(moments), linear, kept, pattern)


def sparsegpt_factor(moments: InputMoments) -> torch.Tensor:
    """The upper Cholesky factor of the damped second moments' inverse, [inputs, inputs]; all counts share it."""
    second = torch.from_numpy(moments.second)
    second = second + SPARSEGPT_DAMPING * second.diagonal().mean() * torch.eye(len(second), dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(second))
    factor: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor


def sparsegpt_on(factor: torch.Tensor, linear: Linear, kept: int, pattern: Unbound) -> Linear:
    """``sparsegpt`` with ``sparsegpt_factor`` of the matrix's inputs."""
    weight = torch.from_numpy(linear.weight).double()
    rows, columns = pattern.unit_shape
    inputs = weight.shape[1]
    done = 0
    for first in range(0, inputs, SPARSEGPT_BLOCK):
        last = min(first + SPARSEGPT_BLOCK, inputs)
        share = round(kept * last / inputs) - done
        done += share
        own = factor[first:last, first:last]
        scores = (weight[:, first:last].square() / own.diagonal().square()).numpy()
        chosen = pattern.select(sum_units(scores, (rows, columns)), share)
        mask = torch.from_numpy(np.repeat(np.repeat(chosen, rows, axis=0), columns, axis=1))
        errors = torch.zeros_like(weight[:, first:last])
        for column in range(last - first):
            value = weight[:, first + column]
            error = torch.where(mask[:, column], 0.0, value) / own[column, column]
            weight[:, first + column : last] -= error[:, None] * own[column, column:]
            weight[:, first + column] = torch.where(mask[:, column], value, 0.0)
            errors[:, column] = error
        weight[:, last:] -= errors @ factor[first:last, last:]
    return Linear(weight.float().numpy(), linear.bias)


def alps(linear: Linear, moments: InputMoments, site: Site, kept: int, shape: EncoderShape, pattern: Pattern) -> Linear:
    """ALPS (Meng et al., NeurIPS 2024): ADMM between the layer's least-squares problem and the support, then conjugate
    gradients on the support. On raw second moments, as published: no mean is taken out and no bias corrected."""
    raw = InputMoments(moments.tokens, np.zeros_like(moments.mean), moments.second)
    problem = reconstruction(linear, raw, ridge=0.01)
    mask, start = alternate(problem, site, kept, shape, pattern)
    solution = solve_kept(problem, torch.from_numpy(mask), start)
    return Linear((solution.double() / problem.scale).float().numpy(), linear.bias)
