"""What stands behind the last layer in an ONNX graph: pooler, classification head, or something to leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.models.encoder import Linear
from aebert.onnx_exchange.activations import find_gelu
from aebert.onnx_exchange.graph import Graph
from aebert.onnx_exchange.graph_patterns import FUSED_GEMM, find_linear, sum_terms
from aebert.onnx_exchange.tensor_layout import trace
from aebert.onnx_exchange.transformer_model import Activation, ClassifierHead
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class FoundHead:
    """``left_out`` names the graph's outputs that are neither hidden states, pooler nor sequence classification."""

    pooler: Linear | None
    head: ClassifierHead | None
    left_out: tuple[str, ...]


def find_head(graph: Graph, hidden: str) -> FoundHead:
    """What each output of the graph computes from the last hidden states."""
    pooler: Linear | None = None
    head: ClassifierHead | None = None
    left_out: list[str] = []
    for output in graph.outputs:
        if graph.rows(output) == hidden:
            continue
        activated = _activated(graph, output, hidden)
        square = 2 * graph.shape(hidden)[-1:]
        if activated is not None and activated[0] == "tanh" and activated[1].weight.shape == square:
            pooler = activated[1]
            continue
        classified = _classified(graph, output, hidden)
        if classified is not None and head is None:
            head = classified
        else:
            left_out.append(output)
    return FoundHead(pooler, head, tuple(left_out))


def _classified(graph: Graph, output: str, hidden: str) -> ClassifierHead | None:
    try:
        last = find_linear(graph, sum_terms(graph, output, lambda _: False), output)
    except AebertError:
        return None
    activated = _activated(graph, last.input, hidden)
    return None if activated is None else ClassifierHead(activated[1], activated[0], last.linear)


def _activated(graph: Graph, value: str, hidden: str) -> tuple[Activation, Linear] | None:
    """``activation(linear(h[:, 0]))``."""
    node = graph.maker(value)
    if node is None:
        return None
    fused = node.text("activation", "") if node.op == FUSED_GEMM else ""
    name = fused or node.op
    activation: Activation = "tanh" if name == "Tanh" else "relu" if name == "Relu" else "gelu"
    try:
        if fused:
            dense = find_linear(graph, [node.outputs[0]], node, activation=fused)
        else:
            terms = (
                find_gelu(graph, value, lambda _: False)
                if activation == "gelu"
                else sum_terms(graph, node.inputs[0], lambda _: False)
            )
            dense = find_linear(graph, terms, node)
    except AebertError:
        return None
    return (activation, dense.linear) if _is_first_token(graph, dense.input, hidden) else None


def _is_first_token(graph: Graph, value: str, hidden: str) -> bool:
    traced = trace(graph, value)
    width = graph.shape(hidden)[-1]
    if traced.source != hidden or traced.scale != 1.0 or traced.index.size != graph.batch * width:
        return False
    first = np.arange(graph.batch)[:, None] * graph.length * width + np.arange(width)
    return bool(np.array_equal(traced.index.reshape(graph.batch, width), first))
