"""What stands before the first layer in an ONNX graph: tables, their LayerNorm, ELECTRA's projection, or an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from aebert.models.encoder import FloatArray, LayerNorm
from aebert.onnx_exchange.graph import Graph, Node
from aebert.onnx_exchange.graph_patterns import FoundNorm, find_linear, find_norms
from aebert.onnx_exchange.operators import MICROSOFT
from aebert.onnx_exchange.tensor_layout import trace
from aebert.onnx_exchange.transformer_model import Embeddings

_EMBED = f"{MICROSOFT}EmbedLayerNormalization"


@dataclass(frozen=True)
class FoundEmbeddings:
    """``hidden`` is the value that enters the first layer, ``norms`` the LayerNorms of the graph.

    ``embeddings`` is None where the graph begins with hidden states (or embeddings) as an input.
    """

    hidden: str
    norms: tuple[FoundNorm, ...]
    embeddings: Embeddings | None
    epsilon: float | None


@dataclass(frozen=True)
class _Looked:
    """A summand of the embeddings: rows of ``table``; ``padding_id`` as in Embeddings."""

    kind: Literal["words", "positions", "types"]
    table: FloatArray
    padding_id: int | None = None


def find_embeddings(graph: Graph) -> FoundEmbeddings:
    """Where the first layer begins. Raises AebertError for the first node that does not fit."""
    norms = find_norms(graph)
    fused = next((node for node in graph.nodes if node.op == _EMBED), None)
    if fused is not None:
        return _with_projection(graph, FoundEmbeddings(fused.outputs[0], norms, _fused(graph, fused), _epsilon(fused)))
    if not norms:
        raise graph.refuse(_first_computed(graph), "an encoder, with LayerNorm behind its embeddings and in its layers")
    first = norms[0]
    states = next((name for name, role in graph.roles.items() if role == "states"), None)
    if states is not None and states in first.terms:
        others = [term for term in first.terms if term != states and term not in graph.fixed]
        # Beside a residual stands a computed branch, beside an embedding nothing but other table rows.
        if any((graph.producers.get(term) or first.node).op != "Gather" for term in others):
            return FoundEmbeddings(states, norms, None, None)
        return _with_projection(graph, FoundEmbeddings(first.output, norms, None, first.epsilon))
    embeddings = _of_terms(graph, first, [_look_up(graph, term) for term in first.terms])
    return _with_projection(graph, FoundEmbeddings(first.output, norms, embeddings, first.epsilon))


def _epsilon(node: Node) -> float:
    return node.number("epsilon", 1e-12)


def _first_computed(graph: Graph) -> Node | str:
    ordinary = ("Gather", "Add")
    return next(
        (node for node in graph.nodes if node.outputs[0] not in graph.fixed and node.op not in ordinary), "graph"
    )


def _with_projection(graph: Graph, found: FoundEmbeddings) -> FoundEmbeddings:
    """Step over a linear layer that alone reads the embeddings."""
    readers = list(graph.readers(found.hidden))
    if len(readers) != 1 or readers[0].op not in ("MatMul", "Gemm"):
        return found
    output, bias = readers[0].outputs[0], None
    added = list(graph.readers(output))
    if len(added) == 1 and added[0].op == "Add":
        bias = next((read for read in added[0].inputs if read in graph.static), None)
    terms = (graph.rows(output),) if bias is None else (graph.rows(output), bias)
    linear = find_linear(graph, terms, readers[0]).linear
    hidden = output if bias is None else added[0].outputs[0]
    norms = find_norms(graph, frozenset({hidden}))
    embeddings = None if found.embeddings is None else replace(found.embeddings, projection=linear)
    return FoundEmbeddings(hidden, norms, embeddings, found.epsilon)


def _of_terms(graph: Graph, norm: FoundNorm, looked: Sequence[_Looked]) -> Embeddings:
    tables = {each.kind: each for each in looked}
    if len(tables) != len(looked) or not {"words", "positions"} <= set(tables):
        kinds = ", ".join(each.kind for each in looked)
        raise graph.refuse(norm.node, f"the sum of word, position and perhaps type embeddings, found {kinds}")
    types = tables.get("types")
    return Embeddings(
        words=tables["words"].table,
        positions=tables["positions"].table,
        types=None if types is None else types.table,
        norm=norm.norm,
        padding_id=tables["positions"].padding_id,
    )


def _look_up(graph: Graph, term: str) -> _Looked:
    node = graph.producers.get(term)
    if node is not None and node.op == "Gather" and node.number("axis", 0) == 0 and node.inputs[0] in graph.static:
        return _gathered(graph, node)
    if term in graph.fixed:
        return _constant_rows(graph, term)
    raise graph.refuse(node or term, "a row of an embedding table (Gather from constant weights)")


def _gathered(graph: Graph, node: Node) -> _Looked:
    table = graph.weights(node.inputs[0], node, "an embedding table")
    if table.ndim != 2:
        raise graph.refuse(node, f"an embedding table of two axes, found {table.ndim}")
    role = graph.roles.get(graph.passed(graph.unshaped(node.inputs[1])))
    if role == "words":
        return _Looked("words", table)
    if role == "types":
        return _Looked("types", table)
    if role == "positions":
        return _Looked("positions", table)
    index = np.asarray(graph.values[node.inputs[1]])
    offset = int(index.reshape(-1)[0])
    if graph.length > 1 and (index == offset).all():
        # No input tells types apart: every token has this one.
        return _Looked("types", table if offset == 0 else np.ascontiguousarray(table[offset : offset + 1]))
    if index.shape[-1:] == (graph.length,):
        rows = np.broadcast_to(index.reshape(-1, graph.length), (graph.batch, graph.length))
        counting = offset + np.arange(graph.length)
        if all((row[:valid] == counting[:valid]).all() for row, valid in zip(rows, graph.valid, strict=True)):
            return _Looked("positions", table, None if offset == 0 else offset - 1)
    raise graph.refuse(node, "rows picked by an input, or by positions that count up by one")


def _constant_rows(graph: Graph, term: str) -> _Looked:
    """A slice of a table, or what constant folding left of one."""
    value = np.asarray(graph.values[term])
    rows = value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1)
    if rows.shape[0] == graph.batch * graph.length != graph.length:
        rows = rows[: graph.length]
    if rows.dtype != np.float32 or rows.shape[0] not in (1, graph.length):
        raise graph.refuse(term, "one constant row, or one for each position")
    if rows.shape[0] == 1 or (rows == rows[0]).all():
        return _Looked("types", np.ascontiguousarray(rows[:1]))
    traced = trace(graph, term)
    table = np.asarray(graph.values[traced.source])
    if traced.source in graph.static and table.dtype == np.float32 and table.ndim > 1:
        whole = table.reshape(-1, table.shape[-1])
        start = int(traced.index.reshape(-1)[0]) // whole.shape[1]
        if np.array_equal(whole[start : start + graph.length], rows):
            return _Looked("positions", np.ascontiguousarray(whole), start - 1 if start else None)
    return _Looked("positions", np.ascontiguousarray(rows))


def _fused(graph: Graph, node: Node) -> Embeddings:
    """onnxruntime's EmbedLayerNormalization; without position numbers it counts from 0."""
    given = [*node.inputs, *[""] * (9 - len(node.inputs))]
    padding_id = None
    if given[8] and graph.roles.get(graph.passed(given[8])) != "positions":
        offset = int(np.asarray(graph.values[given[8]]).reshape(-1)[0])
        padding_id = offset - 1 if offset else None
    return Embeddings(
        words=graph.weights(given[2], node, "word embeddings"),
        positions=graph.weights(given[3], node, "position embeddings"),
        types=graph.weights(given[4], node, "type embeddings") if given[4] else None,
        norm=LayerNorm(
            graph.weights(given[5], node, "LayerNorm weights"), graph.weights(given[6], node, "a LayerNorm bias")
        ),
        padding_id=padding_id,
    )
