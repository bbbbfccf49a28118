"""Linear maps kept as long as there is room: the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from aebert.encoder import MatrixName


@dataclass(frozen=True)
class PreparedLinear:
    """``weight`` [outputs, inputs] and ``bias`` [outputs] as a candidate has them; float32 where they are prepared."""

    weight: torch.Tensor
    bias: torch.Tensor

    @property
    def bytes(self) -> int:
        return self.weight.nbytes + self.bias.nbytes


class LinearCache:
    """At most ``limit`` bytes, or the latest linear map alone if it is larger. Keys: layer, matrix, kept units."""

    def __init__(self, limit: int) -> None:
        self._limit, self.bytes = limit, 0
        self._kept: OrderedDict[tuple[int, MatrixName, int], PreparedLinear] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, layer: int, name: MatrixName, kept: int, make: Callable[[], PreparedLinear]) -> PreparedLinear:
        """What is kept under the key, or else what ``make`` gives, from now on."""
        key = (layer, name, kept)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = self._kept[key] = make()
        self.bytes += made.bytes
        while self.bytes > self._limit and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1].bytes
        return made
