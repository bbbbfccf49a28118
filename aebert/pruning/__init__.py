"""The prune step: patterns, saliency, exact ratios, masks, and least-squares compensation.

Names are imported when they are first used: patterns need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebert.pruning.prune import PrunedEncoder, prune_encoder
    from aebert.pruning.zero_patterns import parse_pattern

_HOMES = {"PrunedEncoder": "prune", "parse_pattern": "zero_patterns", "prune_encoder": "prune"}

__all__ = ["PrunedEncoder", "parse_pattern", "prune_encoder"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'aebert.pruning' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"aebert.pruning.{_HOMES[name]}"), name)
    return value
