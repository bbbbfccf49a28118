"""One matrix at many ratios, each made from the one before: what is removed next is chosen by the corrected weights.

From light to heavy, every level ranks the units that are left by their saliency in the weights as the level before left
them, removes the lowest, and corrects the rest by conjugate gradients that start from those weights. Masks are nested.
It is the gradual removal of OBC and ZipLM (Frantar & Alistarh 2022; Kurtic et al. 2023) in steps of a level, not of a
unit. One ranking for all ratios, and a correction of each alone, leaves more error and takes longer (docs/pruning.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.encoder import EncoderShape, Linear
from aebert.pruning.compensation import corrected_bias, reconstruction, solve_kept
from aebert.pruning.input_moments import InputMoments
from aebert.pruning.masks import expand_units
from aebert.pruning.saliency import Saliency, channel_importance, sum_units, weight_scores
from aebert.pruning.unit_counts import Site
from aebert.pruning.zero_patterns import BoolArray, Float64Array, IntArray, Pattern, Structured

# A level starts where the one before it ended, and the next one corrects on.
LEVEL_TOLERANCE = 0.02


@dataclass(frozen=True)
class GradualLevel:
    """A matrix of whose site ``kept`` units are kept: ``mask`` [outputs, inputs], and ``linear`` with it corrected."""

    kept: int
    mask: BoolArray
    linear: Linear


class GradualRemoval:
    """The levels of one matrix.

    ``rank`` [row groups, column groups] is the place of every unit in the order in which units are kept, as far as
    ``levels`` has gone: ``rank < kept`` is the mask of any count, between levels too, and keeps to the pattern.
    """

    def __init__(
        self,
        linear: Linear,
        site: Site,
        shape: EncoderShape,
        pattern: Pattern,
        saliency: Saliency,
        moments: InputMoments,
    ) -> None:
        """Raises ValueError for heads and neurons, whose masks bind several matrices."""
        if isinstance(pattern, Structured):
            raise ValueError(f"pattern {pattern} has no mask of one matrix alone")
        self._linear, self._site, self._shape, self._pattern = linear, site, shape, pattern
        self._unit_shape, self._moments = pattern.unit_shape, moments
        self._problem = reconstruction(linear, moments)
        self._saliency: Saliency = saliency
        # The inverse that this one needs is computed once for all levels.
        self._importance = channel_importance("second-order", moments) if saliency == "second-order" else None
        self.rank: IntArray = self._order(self._problem.weight, None)

    def levels(self, counts: Sequence[int]) -> Iterator[GradualLevel]:
        """The matrix at each of ``counts`` kept units, which must fall."""
        scaled = self._problem.weight
        for count in counts:
            left = self.rank < count
            (mask,) = expand_units(left, self._site, self._shape, self._pattern).values()
            scaled = solve_kept(self._problem, torch.from_numpy(mask), scaled, LEVEL_TOLERANCE)
            weight = (scaled.double() / self._problem.scale).float()
            bias = corrected_bias(self._linear, weight, self._moments.mean, self._moments.mean)
            yield GradualLevel(count, mask, Linear(weight.numpy(), bias))
            self.rank = np.where(left, self._order(scaled, left), self.rank)

    def _order(self, scaled: torch.Tensor, left: BoolArray | None) -> IntArray:
        """The order in which the pattern keeps units by their saliency; those that are not ``left`` come last."""
        weight = (scaled.double() / self._problem.scale).float().numpy()
        if self._importance is None:
            each = weight_scores(weight, self._saliency, self._moments)
        else:
            each = np.square(weight, dtype=np.float64) * self._importance
        scores: Float64Array = sum_units(each, self._unit_shape)
        if left is not None:
            # So low that no round or block with one of them is kept before one without.
            scores = np.where(left, scores, scores.min() - 1.0 - np.abs(scores).sum())
        return self._pattern.rank(scores)
