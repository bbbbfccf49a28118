"""Heads or neurons of one layer removed step by step, each step chosen by the weights as corrected so far.

Heads and neurons go where the matrix that carries them onward (attention output, FFN out) loses least by it. With its
least-squares weights V on the channels that are left, and the inverse of their regularised covariance, taking the
channels G of a unit away raises the output's squared error by ``tr(V_G [H^-1]_GG^-1 V_G^T)`` once all other weights
make up for it (optimal brain surgeon for groups of columns; Kurtic et al., ZipLM, NeurIPS 2023). What they make up
for it with, and the inverse for those that are left, follow by block elimination: all counts of a site cost about as
much as one inverse.

Where it is known how much each direction of the output matters (``aebert.pruning.output_importance``), the error is
weighted with it. The weights that make up for what is gone are the same: each row of V is fitted by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.encoder import Encoder, FloatArray
from aebert.pruning.compensation import Reconstruction, reconstruction
from aebert.pruning.input_moments import LayerMoments
from aebert.pruning.masks import expand_units
from aebert.pruning.output_importance import Importance
from aebert.pruning.unit_counts import MatrixKey, Site
from aebert.pruning.zero_patterns import BoolArray, IntArray, Structured

# Of a site's units, how many go at once at most: a 64th of 1536 neurons leaves as little error as one after another.
_STEPS = 64
# Of an output's importance, what every direction has alike: the information is a mean over few tokens.
EVEN_SHARE = 0.1


@dataclass(frozen=True)
class StructuredLevel:
    """``left`` [units] are kept; ``weight`` [outputs, inputs] float32 is the carrying matrix corrected for it."""

    left: BoolArray
    weight: FloatArray


class StructuredRemoval:
    """The units of one site, whose ``problem`` is that of the matrix which carries them onward.

    Unit u owns the input channels ``u * n`` to ``(u + 1) * n`` of that matrix, where it has ``units * n`` of them.
    ``importance`` [outputs, outputs] of the matrix' outputs to the prediction; None: all matter alike.
    ``rank`` [units] is the place of every unit in the order in which units are kept, as far as ``levels`` has gone.
    """

    def __init__(self, problem: Reconstruction, units: int, importance: torch.Tensor | None = None) -> None:
        inputs = problem.hessian.shape[0]
        self._inputs, self._channels, self._scale = inputs, inputs // units, problem.scale
        self._step = max(units // _STEPS, 1)
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(problem.hessian.double()))
        self._weight = problem.target.double() @ self._inverse
        self._root = None if importance is None else _root(importance)
        self._left = np.arange(units)
        self.rank: IntArray = np.zeros(units, np.int64)
        self._rank_those_left()

    def levels(self, counts: Sequence[int]) -> Iterator[StructuredLevel]:
        """The site at each of ``counts`` kept units, which must fall."""
        for count in counts:
            while len(self._left) > count:
                self._remove(self.rank[self._left] >= max(len(self._left) - self._step, count))
                self._rank_those_left()
            left = np.zeros(len(self.rank), bool)
            left[self._left] = True
            channels = np.repeat(left, self._channels)
            weight = np.zeros((len(self._weight), self._inputs), np.float32)
            weight[:, channels] = (self._weight / self._scale[torch.from_numpy(channels)]).float().numpy()
            yield StructuredLevel(left, weight)

    def _rank_those_left(self) -> None:
        """Those that cost most to remove come first; ties go to the lower index."""
        units, size = len(self._left), self._channels
        blocks = self._inverse.view(units, size, units, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        weighted = self._weight if self._root is None else self._root @ self._weight
        weight = weighted.view(len(weighted), units, size).permute(1, 2, 0)  # [units, channels, outputs]
        costs = (weight * torch.linalg.solve(blocks, weight)).sum(dim=(1, 2))
        order = np.argsort(-costs.numpy(), kind="stable")
        self.rank[self._left[order]] = np.arange(units)

    def _remove(self, gone: BoolArray) -> None:
        """Take the units away of those left that are ``gone``, the others making up for it."""
        going = torch.from_numpy(np.repeat(gone, self._channels))
        kept_rows = self._inverse[~going]
        across = kept_rows[:, going]
        shares = torch.linalg.solve(self._inverse[going][:, going], across.T)  # [going, kept]
        self._weight = self._weight[:, ~going] - self._weight[:, going] @ shares
        self._inverse = kept_rows[:, ~going] - across @ shares
        self._left = self._left[~gone]


def _root(importance: torch.Tensor) -> torch.Tensor:
    """R [outputs, outputs] with ``R^T R`` the importance, its mean 1, a share of it spread evenly."""
    mean = importance.diagonal().mean()
    if not mean > 0:
        return torch.eye(len(importance), dtype=torch.float64)
    blended = (1 - EVEN_SHARE) * importance / mean + EVEN_SHARE * torch.eye(len(importance), dtype=torch.float64)
    root: torch.Tensor = torch.linalg.cholesky(blended, upper=True)
    return root


def structured_masks(
    encoder: Encoder,
    pattern: Structured,
    zeroed: Mapping[Site, int],
    moments: Iterable[LayerMoments],
    importance: Importance | None = None,
) -> dict[MatrixKey, BoolArray]:
    """The masks of all matrices (True: kept) with ``zeroed`` units of each site gone, those that cost least in turn.

    ``moments`` of the dense inputs, one for each layer, are consumed in order. ``importance`` of the outputs to the
    prediction; None: all matter alike.
    """
    masks = {(layer, name): np.ones(linear.weight.shape, bool) for layer, name, linear in encoder.matrices()}
    for (number, layer), own in zip(enumerate(encoder.layers), moments, strict=True):
        for site, count in zeroed.items():
            if site.layer == number and count:
                carrier = site.matrices[-1]
                problem = reconstruction(layer.matrix(carrier), own.of(carrier))
                removal = StructuredRemoval(problem, site.units, (importance or {}).get((number, carrier)))
                (level,) = removal.levels([site.units - count])
                expanded = expand_units(level.left, site, encoder.shape, pattern)
                masks |= {(number, name): mask for name, mask in expanded.items()}
    return masks
