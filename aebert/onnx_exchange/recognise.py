"""An ONNX file into the typed description that a Hugging Face directory gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aebert.models.digest import make_encoder
from aebert.models.encoder import Encoder, FloatArray
from aebert.models.fp32_forward import apply_linear, apply_norm, encoder_forward
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.integers import MAX_HIDDEN, MAX_TOKENS
from aebert.onnx_exchange.classifier_head import find_head
from aebert.onnx_exchange.embeddings import FoundEmbeddings, find_embeddings
from aebert.onnx_exchange.graph import Graph
from aebert.onnx_exchange.graph_patterns import close
from aebert.onnx_exchange.layers import decimal_epsilon, find_layers, shape_of
from aebert.onnx_exchange.onnx_file import read_onnx_file
from aebert.onnx_exchange.probe import open_graph
from aebert.onnx_exchange.transformer_model import Activation, Embeddings, Family, TransformerModel
from aebert.support.errors import AebertError

# Relative to the largest hidden state: the same weights in another order of float32 operations.
TOLERANCE = 1e-4
_DISTILBERT_EPSILON = 1e-12  # fixed in its code, not in its configuration
_HEAD_OF: dict[Family, Activation] = {"bert": "tanh", "roberta": "tanh", "distilbert": "relu", "electra": "gelu"}


@dataclass(frozen=True)
class RecognisedModel:
    """``left_out`` names outputs that are not part of ``model``; ``error`` is the largest difference of hidden states
    between the graph in onnxruntime and the description in PyTorch on random input, relative to the largest of them.
    """

    model: TransformerModel
    left_out: tuple[str, ...]
    error: float


def load_onnx_encoder(path: Path | str) -> Encoder:
    """The encoder of an ONNX file, as ``aebert.models.load_encoder`` gives that of a directory."""
    return recognise(Path(path)).model.encoder


def recognise(path: Path) -> RecognisedModel:
    """Read an ONNX file by the structure of its graph, then check that the description computes what the graph does.

    Takes what torch.onnx (both exporters), Optimum and onnxruntime's optimiser write of a BERT, RoBERTa, DistilBERT or
    ELECTRA model in float32. Raises AebertError with the first node that does not fit.
    """
    graph = open_graph(read_onnx_file(path))
    found = find_embeddings(graph)
    layers = find_layers(graph, found.norms, found.hidden)
    shape = shape_of(graph, layers, _max_positions(found.embeddings))
    if shape.hidden > MAX_HIDDEN:
        raise AebertError(
            f"{path}: hidden size {shape.hidden} exceeds {MAX_HIDDEN}, the largest the LayerNorm can hold"
        )
    if found.epsilon is not None and not close(found.epsilon, layers[0].epsilon):
        raise graph.refuse(found.hidden, f"the epsilon of the layers' LayerNorms, {layers[0].epsilon:g}")
    encoder = make_encoder(shape, [each.layer for each in layers])
    output = layers[-1].output
    error = max(_encoder_error(graph, encoder, found.hidden, output), _embeddings_error(graph, found, shape.epsilon))
    if not error <= TOLERANCE:
        raise AebertError(
            f"{path}: not an encoder that can be accelerated: it looks like one, but its outputs differ by {error:.1e} "
            "from what its weights give, so it computes something else as well"
        )
    behind = find_head(graph, output)
    model = TransformerModel("bert", encoder, found.embeddings, behind.pooler, behind.head)
    return _with_family(model, behind.left_out, error)


def _max_positions(embeddings: Embeddings | None) -> int:
    if embeddings is None:
        return MAX_TOKENS
    first = 0 if embeddings.padding_id is None else embeddings.padding_id + 1
    return embeddings.positions.shape[0] - first


def _with_family(model: TransformerModel, left_out: tuple[str, ...], error: float) -> RecognisedModel:
    """The family whose Hugging Face classes compute this; a pooler or head that it does not have is left out."""
    family = _family(model)
    fits_head = model.head is None or model.head.activation == _HEAD_OF[family]
    fits_pooler = model.pooler is None or family in ("bert", "roberta")
    left_out = (*left_out, *(() if fits_head else ("head",)), *(() if fits_pooler else ("pooler",)))
    head = model.head if fits_head else None
    # A BERT classifier reads the pooler, which it then holds itself.
    pooler = model.pooler if fits_pooler and head is None else None
    return RecognisedModel(replace(model, family=family, head=head, pooler=pooler), left_out, error)


def _family(model: TransformerModel) -> Family:
    embeddings, head = model.embeddings, model.head
    if embeddings is None:
        return "bert"
    if embeddings.projection is not None:
        return "electra"
    if embeddings.padding_id is not None:
        return "roberta"
    if head is not None and head.activation == "gelu":
        return "electra"
    plain = embeddings.types is None and model.pooler is None and (head is None or head.activation == "relu")
    if plain and decimal_epsilon(model.encoder.shape.epsilon) == _DISTILBERT_EPSILON:
        return "distilbert"
    return "bert"


def _relative(got: FloatArray, expected: FloatArray) -> float:
    if not np.isfinite(expected).all():
        return float("inf")
    return float(np.abs(got - expected).max() / max(1.0, float(np.abs(expected).max())))


def _encoder_error(graph: Graph, encoder: Encoder, hidden: str, output: str) -> float:
    """On the hidden states of the run, each sequence by itself and without its masked tokens."""
    before, after = (
        graph.values[value].reshape(graph.batch, graph.length, -1).astype(np.float32) for value in (hidden, output)
    )
    worst = 0.0
    for row, valid in enumerate(graph.valid):
        states = PackedStates(torch.from_numpy(np.ascontiguousarray(before[row, :valid])), (valid,))
        got = encoder_forward(encoder, states).values.numpy()
        worst = max(worst, _relative(got, after[row, :valid]))
    return worst


def _embeddings_error(graph: Graph, found: FoundEmbeddings, epsilon: float) -> float:
    """On the token numbers of the run."""
    embeddings = found.embeddings
    if embeddings is None:
        return 0.0
    shape = (graph.batch, graph.length)
    by_role = {role: np.asarray(graph.values[name]) for name, role in graph.roles.items()}
    first = 0 if embeddings.padding_id is None else embeddings.padding_id + 1
    positions = by_role.get("positions", np.broadcast_to(first + np.arange(graph.length), shape))
    summed = embeddings.words[by_role["words"]] + embeddings.positions[positions]
    if embeddings.types is not None:
        summed = summed + embeddings.types[by_role.get("types", np.zeros(shape, np.int64))]
    states = apply_norm(embeddings.norm, torch.from_numpy(summed), epsilon)
    if embeddings.projection is not None:
        states = apply_linear(embeddings.projection, states)
    expected = graph.values[found.hidden].reshape(graph.batch, graph.length, -1)
    return max(_relative(states[row, :valid].numpy(), expected[row, :valid]) for row, valid in enumerate(graph.valid))
