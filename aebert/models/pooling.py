"""From the hidden states of a text's tokens to one vector: the modes of sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch

from aebert.models.packed_sequences import PackedStates

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
POOLING_MODES: tuple[PoolingMode, ...] = get_args(PoolingMode)


def pool(states: torch.Tensor, modes: Sequence[PoolingMode]) -> torch.Tensor:
    """Sequences of one length, [sequences, tokens, hidden], to [sequences, modes * hidden], in the modes' order."""
    return torch.cat([_pool_one(states, mode) for mode in modes], dim=1)


def _pool_one(states: torch.Tensor, mode: PoolingMode) -> torch.Tensor:
    tokens = states.shape[1]
    match mode:
        case "cls":
            return states[:, 0]
        case "max":
            return states.amax(dim=1)
        case "mean":
            return states.mean(dim=1)
        case "mean_sqrt_len_tokens":
            return states.sum(dim=1) / math.sqrt(tokens)
        case "weightedmean":
            weights = torch.arange(1, tokens + 1, dtype=states.dtype, device=states.device)[:, None]
            weighted: torch.Tensor = (states * weights).sum(dim=1) / weights.sum()
            return weighted
        case "lasttoken":
            return states[:, -1]


def pool_packed(states: PackedStates, modes: Sequence[PoolingMode]) -> torch.Tensor:
    """The same of packed sequences, in their order."""
    return torch.cat(
        [
            pool(states.values[first : first + sequences * length].view(sequences, length, -1), modes)
            for first, sequences, length in states.equal_length_runs()
        ]
    )
