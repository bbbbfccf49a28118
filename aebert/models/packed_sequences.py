"""Sequences of different lengths without padding: states of all tokens in one array, sorted by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch


@dataclass(frozen=True)
class PackedStates:
    """``values`` [tokens, hidden] float32 of all sequences one after another; ``lengths`` of each, ascending."""

    values: torch.Tensor
    lengths: tuple[int, ...]

    def with_values(self, values: torch.Tensor) -> PackedStates:
        """The same sequences with other values."""
        return PackedStates(values, self.lengths)

    def equal_length_runs(self) -> Iterator[tuple[int, int, int]]:
        """``(first token, sequences, length)`` of each run of sequences of one length."""
        first = 0
        for length, run in groupby(self.lengths):
            sequences = len(list(run))
            yield first, sequences, length
            first += sequences * length


def pack(sequences: Sequence[torch.Tensor]) -> PackedStates:
    """Pack states [length, hidden] of each sequence; the order becomes that of the lengths (stable)."""
    ordered = sorted(sequences, key=len)
    return PackedStates(torch.cat(list(ordered)), tuple(len(states) for states in ordered))


def first_tokens(states: PackedStates) -> torch.Tensor:
    """The index of each sequence's first token, [sequences]."""
    lengths = torch.tensor(states.lengths)
    return lengths.cumsum(0) - lengths
