"""The prune step: patterns, saliency, exact ratios, masks, and least-squares compensation."""

from aebert.pruning.patterns import parse_pattern
from aebert.pruning.prune import PrunedEncoder, prune_encoder

__all__ = ["PrunedEncoder", "parse_pattern", "prune_encoder"]
