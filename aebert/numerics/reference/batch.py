"""Sequences of different lengths laid end to end, without padding.

Matmuls and LayerNorm see one long list of tokens; attention sees each sequence by itself, those of equal length at
once. Padding never exists, so it can reach neither a result nor a statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class LengthGroup:
    """``count`` sequences of ``length`` tokens from row ``start`` of the joined tokens on."""

    start: int
    count: int
    length: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.count * self.length)


@dataclass(frozen=True)
class SequenceBatch:
    """How sequences lie in the joined tokens: sorted by length; ``order[i]`` is the original number of the i-th."""

    groups: tuple[LengthGroup, ...]
    order: tuple[int, ...]

    @classmethod
    def of_lengths(cls, lengths: Sequence[int]) -> SequenceBatch:
        """The layout for sequences of these lengths (each at least 1)."""
        order = sorted(range(len(lengths)), key=lambda number: lengths[number])
        groups: list[LengthGroup] = []
        start = 0
        for length in sorted(set(lengths)):
            count = sum(1 for each in lengths if each == length)
            groups.append(LengthGroup(start, count, length))
            start += count * length
        return cls(tuple(groups), tuple(order))

    @property
    def tokens(self) -> int:
        """Rows of the joined tokens."""
        return sum(group.count * group.length for group in self.groups)

    def join(self, sequences: Sequence[npt.NDArray[Scalar]]) -> npt.NDArray[Scalar]:
        """Sequences [tokens_i, channels] in original order to joined tokens [sum of tokens, channels]."""
        return np.concatenate([sequences[number] for number in self.order], axis=0)

    def split(self, joined: npt.NDArray[Scalar]) -> list[npt.NDArray[Scalar]]:
        """The inverse of ``join``."""
        slots: dict[int, npt.NDArray[Scalar]] = {}
        originals = iter(self.order)
        for group in self.groups:
            for sequence in joined[group.rows].reshape(group.count, group.length, -1):
                slots[next(originals)] = sequence
        return [slots[number] for number in range(len(self.order))]
