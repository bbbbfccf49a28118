"""A whole model in typed form: what a Hugging Face directory and an ONNX file both describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aebert.models.encoder import Encoder, FloatArray, LayerNorm, Linear
from aebert.models.sentence_modules import SentenceModules

Family = Literal["bert", "roberta", "distilbert", "electra"]
Activation = Literal["tanh", "relu", "gelu"]


@dataclass(frozen=True)
class Embeddings:
    """The sum of table rows, its LayerNorm, and ELECTRA's projection to the encoder's width if there is one.

    ``words`` [vocabulary, width], ``positions`` [positions, width], ``types`` [types, width] or None. ``padding_id`` is
    None where positions count from 0; otherwise tokens other than it are numbered from ``padding_id + 1`` on (RoBERTa).
    """

    words: FloatArray
    positions: FloatArray
    types: FloatArray | None
    norm: LayerNorm
    padding_id: int | None = None
    projection: Linear | None = None


@dataclass(frozen=True)
class ClassifierHead:
    """Sequence classification on the first token: ``output(activation(dense(h[:, 0])))``."""

    dense: Linear
    activation: Activation
    output: Linear


@dataclass(frozen=True)
class TransformerModel:
    """An encoder and what is known of its surroundings.

    ``pooler`` is ``tanh(pooler(h[:, 0]))``; a BERT model with a head has it inside the head and None here.
    ``sentence`` is what a sentence-transformers folder makes embeddings with, None where a model does not say.
    """

    family: Family
    encoder: Encoder
    embeddings: Embeddings | None = None
    pooler: Linear | None = None
    head: ClassifierHead | None = None
    sentence: SentenceModules | None = None
