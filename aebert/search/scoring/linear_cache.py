"""A candidate's linear map, and the cache of those that were made lately."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aebert.models.encoder import MatrixName
from aebert.support.byte_cache import ByteCache


@dataclass(frozen=True)
class PreparedLinear:
    """``weight`` [outputs, inputs] and ``bias`` [outputs] as a candidate has them; float32 where they are prepared."""

    weight: torch.Tensor
    bias: torch.Tensor

    @property
    def bytes(self) -> int:
        return self.weight.nbytes + self.bias.nbytes


# By layer, matrix and kept units.
LinearCache = ByteCache[tuple[int, MatrixName, int], PreparedLinear]
