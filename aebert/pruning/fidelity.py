"""What pruning alone costs: a pruned encoder's sentence embeddings beside the dense one's, both in fp32."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from aebert.models.encoder import Encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates
from aebert.models.text import Text
from aebert.support.errors import AebertError

# Of subnet.json's scores; the texts are those that ship and verify projects.
EMBEDDING_COSINE = "embedding_cosine_to_dense"
_MAX_TOKENS = 128


def embedding_cosine(dense: Encoder, pruned: Encoder, host: HostModel, texts: Sequence[Text]) -> float:
    """Mean cosine of the sentence embeddings of ``texts``, each cut to 128 tokens; ``host`` embeds and pools.

    Raises AebertError where it is no number: weights that are finite may be too large to compute with.
    """
    states = host.embed_texts(host.tokenise(texts, min(_MAX_TOKENS, dense.shape.max_positions)))

    def embedded(encoder: Encoder, inputs: PackedStates) -> torch.Tensor:
        return host.sentence.embed_packed(encoder_forward(encoder, inputs)).double()

    cosines = functional.cosine_similarity(embedded(dense, states), embedded(pruned, states), dim=1)
    mean = float(cosines.mean())
    if not math.isfinite(mean):
        raise AebertError(
            f"{host.directory}: its sentence embeddings are not finite; a weight is far too large, get the model again"
        )
    return mean
