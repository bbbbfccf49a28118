"""Attention over many sequences at once: each sees its own tokens only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.numerics.quantised import Requantiser
from aebert.numerics.reference import passes
from aebert.numerics.reference.batch import SequenceBatch

Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Attention:
    """``context`` [tokens, H]; scores and probabilities per length group, [sequences, heads, L, L]."""

    context: Int8Array
    scores: tuple[npt.NDArray[np.int16], ...]
    probabilities: tuple[npt.NDArray[np.uint8], ...]


def attend(
    query: Int8Array,
    key: Int8Array,
    value: Int8Array,
    batch: SequenceBatch,
    score_requantiser: Requantiser,
    context_requantiser: Requantiser,
) -> Attention:
    """Passes 2 to 4 on joined tokens, [tokens, H] each; the score requantiser has one entry per head."""
    heads = score_requantiser.multiplier.size
    contexts, all_scores, all_probabilities = [], [], []
    for group in batch.groups:
        q, k, v = (passes.split_heads(each[group.rows], group.count, heads) for each in (query, key, value))
        scores = passes.attention_scores(q, k, score_requantiser)
        probabilities = passes.softmax(scores)
        contexts.append(passes.join_heads(passes.attention_context(probabilities, v, context_requantiser)))
        all_scores.append(scores)
        all_probabilities.append(probabilities)
    return Attention(np.concatenate(contexts), tuple(all_scores), tuple(all_probabilities))
