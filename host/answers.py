"""What a model says about texts, ready to be printed: labels where it has a head, embeddings where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aebert.models.text import Text
from host.runtime import AcceleratedModel


@dataclass(frozen=True)
class Answer:
    """``scores`` are the softmax of the head's logits by label, empty without a head; ``embedding`` has length 1."""

    text: Text
    scores: dict[str, float]
    embedding: tuple[float, ...]

    @property
    def label(self) -> str | None:
        """The likeliest."""
        return max(self.scores, key=lambda label: self.scores[label]) if self.scores else None


def answer_texts(model: AcceleratedModel, texts: Sequence[Text], *, embeddings: bool = False) -> list[Answer]:
    """Labels, or ``embeddings`` (also when the model has no head). A head with one output gives its plain value."""
    if embeddings or not model.host.has_classifier:
        vectors = model.embeddings(texts).tolist()
        return [Answer(text, {}, tuple(vector)) for text, vector in zip(texts, vectors, strict=True)]
    logits = model.logits(texts)
    scores = logits if logits.shape[1] == 1 else torch.softmax(logits, dim=1)
    names = {int(number): name for number, name in (model.host.module.config.id2label or {}).items()}
    labels = [names.get(number, str(number)) for number in range(logits.shape[1])]
    return [
        Answer(text, dict(zip(labels, row, strict=True)), ()) for text, row in zip(texts, scores.tolist(), strict=True)
    ]
