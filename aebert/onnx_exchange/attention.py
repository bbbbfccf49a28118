"""Multi-head attention in an ONNX graph: written out, or one of the fused operators."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import FloatArray, Linear
from aebert.onnx_exchange.graph import Graph, Node
from aebert.onnx_exchange.graph_patterns import close, find_linear, sum_terms
from aebert.onnx_exchange.operators import MICROSOFT
from aebert.onnx_exchange.tensor_layout import Traced, trace

_PRODUCTS = ("MatMul", f"{MICROSOFT}FusedMatMul")


@dataclass(frozen=True)
class FoundAttention:
    """The three projections of ``input``; scores are divided by the square root of the head size."""

    input: str
    query: Linear
    key: Linear
    value: Linear
    heads: int


@dataclass(frozen=True)
class _Projected:
    """``scale`` times the outputs of ``linear`` on ``input``, cut into heads."""

    input: str
    linear: Linear
    heads: int
    scale: float = 1.0


def find_attention(graph: Graph, context: str, hidden: str) -> FoundAttention:
    """The attention that makes ``context`` [.., tokens, hidden] from ``hidden``. Raises AebertError for none."""
    made = trace(graph, context)
    node = graph.producers.get(made.source)
    if node is None or made.scale != 1.0:
        raise graph.refuse(node or context, "attention (softmax of query times key, times value)")
    if node.op == f"{MICROSOFT}Attention":
        return _packed_attention(graph, node, made)
    if node.op == f"{MICROSOFT}MultiHeadAttention":
        return _multi_head_attention(graph, node, made)
    if node.op == "Attention":
        return _standard_attention(graph, node, made)
    if node.op not in _PRODUCTS:
        raise graph.refuse(node, "attention (softmax of query times key, times value)")
    return _written_out(graph, node, made, graph.descendants(hidden))


def _attention(
    graph: Graph, node: Node, query: _Projected, key: _Projected, value: _Projected, scale: float
) -> FoundAttention:
    """``scale`` is what the scores are multiplied by beside the scales of query and key."""
    if not query.input == key.input == value.input:
        raise graph.refuse(node, "query, key and value of the same hidden states (self-attention)")
    if not query.heads == key.heads == value.heads:
        raise graph.refuse(node, f"one number of heads, found {query.heads}, {key.heads} and {value.heads}")
    widths = [each.linear.weight.shape for each in (query, key, value)]
    if widths.count(widths[0]) != 3:
        raise graph.refuse(node, f"query, key and value of one size, found {widths}")
    # Only the product of the factors on both sides and behind counts; exporters share the usual one out in many ways.
    factor = scale * query.scale * key.scale * math.sqrt(widths[0][0] / query.heads)
    return FoundAttention(
        query.input, _scaled(query.linear, factor), key.linear, _scaled(value.linear, value.scale), query.heads
    )


def _scaled(linear: Linear, factor: float) -> Linear:
    if close(factor, 1.0):
        return linear
    by = np.float32(factor)
    return Linear((linear.weight * by).astype(np.float32), (linear.bias * by).astype(np.float32))


def _written_out(graph: Graph, product: Node, made: Traced, moving: frozenset[str]) -> FoundAttention:
    if product.number("transA", 0) or product.number("transB", 0):
        raise graph.refuse(product, "probabilities times values, neither transposed")
    value = _project(graph, product.inputs[1], product)
    _check_joined(graph, product, made, value.heads)
    scores, scale = _scores_under(graph, _softmax_under(graph, product), moving)
    query = _project(graph, scores.inputs[0], scores)
    key = _project(graph, scores.inputs[1], scores, tokens_last=not scores.number("transB", 0))
    return _attention(graph, scores, query, key, value, scale)


def _softmax_under(graph: Graph, product: Node) -> Node:
    """Softmax over the last axis, also inside the guard that turns rows without any key to zeros."""
    value = product.inputs[0]
    node = graph.maker(value)
    while node is not None and node.op == "Where":
        condition = graph.maker(node.inputs[0])
        if condition is None or condition.op != "IsNaN" or graph.scalar(node.inputs[1]) != 0.0:
            break
        value = node.inputs[2]
        node = graph.maker(value)
    if node is None or node.op != "Softmax":
        raise graph.refuse(node or value, "softmax of the attention scores")
    if node.number("axis", -1) not in (-1, len(graph.shape(node.inputs[0])) - 1):
        raise graph.refuse(node, "softmax over the keys, the last axis")
    return node


def _scores_under(graph: Graph, softmax: Node, moving: frozenset[str]) -> tuple[Node, float]:
    """The product of query and key under scaling and masking, and the scale."""
    value, scale = softmax.inputs[0], 1.0
    while True:
        node = graph.maker(value)
        if node is None:
            raise graph.refuse(value, "scores of query times key")
        if node.op in _PRODUCTS:
            return node, scale * node.number("alpha", 1.0)
        operands = [read for read in node.inputs if read in moving]
        factors = [graph.scalar(read) for read in node.inputs if read not in moving]
        if len(operands) != 1 or node.op not in ("Add", "Where", "Mul", "Div"):
            raise graph.refuse(node, "scores of query times key, scaled by a constant, with a mask at most")
        if node.op in ("Mul", "Div"):
            if not factors[0] or (node.op == "Div" and operands[0] != node.inputs[0]):
                raise graph.refuse(node, "scores scaled by a constant")
            scale *= factors[0] if node.op == "Mul" else 1.0 / factors[0]
        value = operands[0]


def _project(graph: Graph, operand: str, product: Node, tokens_last: bool = False) -> _Projected:
    """``operand`` of ``product``: [.., heads, tokens, size], or [.., heads, size, tokens] with ``tokens_last``."""
    traced = trace(graph, operand)
    found = find_linear(graph, sum_terms(graph, traced.source, lambda _: False), product)
    index = np.swapaxes(traced.index, -1, -2) if tokens_last else traced.index
    columns = _head_columns(graph, product, index, found.linear.bias.size)
    flat, linear = columns.reshape(-1), found.linear
    if not np.array_equal(flat, np.arange(linear.bias.size)):
        linear = Linear(np.ascontiguousarray(linear.weight[flat]), np.ascontiguousarray(linear.bias[flat]))
    return _Projected(found.input, linear, columns.shape[0], traced.scale)


def _head_columns(graph: Graph, node: Node, index: npt.NDArray[np.int64], outputs: int) -> npt.NDArray[np.int64]:
    """Which of a layer's ``outputs`` are read by each head, [heads, size]; ``index`` points into [tokens, outputs]."""
    expected = f"heads cut from {outputs} outputs of a layer, the same for every token"
    tokens = graph.batch * graph.length
    if index.ndim < 3 or index.shape[-2] != graph.length or index.size % tokens:
        raise graph.refuse(node, expected)
    split = index.reshape(graph.batch, -1, graph.length, index.shape[-1])
    columns = split[0, :, 0, :]
    first = (np.arange(tokens) * outputs).reshape(graph.batch, 1, graph.length, 1)
    if columns.max(initial=0) >= outputs or not np.array_equal(split, first + columns[:, None, :]):
        raise graph.refuse(node, expected)
    return columns


def _check_joined(graph: Graph, node: Node, made: Traced, heads: int) -> None:
    """The heads' results stand side by side again."""
    tokens = graph.batch * graph.length
    if made.index.size % (tokens * heads) == 0:
        natural = np.arange(made.index.size).reshape(graph.batch, heads, graph.length, -1).transpose(0, 2, 1, 3)
        if np.array_equal(made.index.reshape(-1), natural.reshape(-1)):
            return
    raise graph.refuse(node, f"the results of {heads} heads side by side behind it")


def _packed_attention(graph: Graph, node: Node, made: Traced) -> FoundAttention:
    """onnxruntime's Attention: one weight [hidden, 3 hidden] for query, key and value."""
    _check_bidirectional(graph, node, made, node.number("unidirectional", 0) or node.number("do_rotary", 0))
    weight = graph.weights(node.inputs[1], node, "weights")
    bias = graph.weights(node.inputs[2], node, "a bias")
    if weight.ndim != 2 or weight.shape[1] % 3 or bias.shape != weight.shape[1:] or any(node.inputs[4:5]):
        raise graph.refuse(node, "weights [hidden, 3 x hidden], a bias [3 x hidden] and no past")
    heads, source = int(node.number("num_heads", 1)), graph.rows(node.inputs[0])
    query, key, value = (
        _Projected(source, Linear(np.ascontiguousarray(part.T), np.ascontiguousarray(offset)), heads)
        for part, offset in zip(np.split(weight, 3, axis=1), np.split(bias, 3), strict=True)
    )
    return _attention(graph, node, query, key, value, _score_scale(graph, node, query))


def _multi_head_attention(graph: Graph, node: Node, made: Traced) -> FoundAttention:
    """onnxruntime's MultiHeadAttention: three projections [.., tokens, hidden], their biases perhaps inside."""
    _check_bidirectional(graph, node, made, node.number("unidirectional", 0))
    if len(node.inputs) < 3 or not all(node.inputs[:3]) or any(node.inputs[6:]):
        raise graph.refuse(node, "query, key and value, and no past")
    heads = int(node.number("num_heads", 1))
    parts = [_whole_projection(graph, value, node, heads) for value in node.inputs[:3]]
    if len(node.inputs) > 3 and node.inputs[3]:
        biases = graph.weights(node.inputs[3], node, "a bias")
        if biases.size != sum(part.linear.bias.size for part in parts):
            raise graph.refuse(node, "a bias [3 x hidden]")
        parts = [_with_bias(part, bias) for part, bias in zip(parts, np.split(biases, 3), strict=True)]
    return _attention(graph, node, parts[0], parts[1], parts[2], _score_scale(graph, node, parts[0]))


def _standard_attention(graph: Graph, node: Node, made: Traced) -> FoundAttention:
    """ONNX's own Attention (opset 23): heads on an axis of their own, or side by side."""
    if node.number("is_causal", 0) or node.number("softcap", 0) or any(node.inputs[4:6]):
        raise graph.refuse(node, "attention without a causal mask, soft cap or past")
    if len(graph.shape(node.inputs[0])) == 3:
        _check_joined(graph, node, made, 1)
        heads = int(node.number("q_num_heads", 1))
        parts = [_whole_projection(graph, value, node, heads) for value in node.inputs[:3]]
    else:
        parts = [_project(graph, value, node) for value in node.inputs[:3]]
        _check_joined(graph, node, made, parts[0].heads)
    return _attention(graph, node, parts[0], parts[1], parts[2], _score_scale(graph, node, parts[0]))


def _whole_projection(graph: Graph, value: str, node: Node, heads: int) -> _Projected:
    traced = trace(graph, value)
    found = find_linear(graph, sum_terms(graph, traced.source, lambda _: False), node)
    if not np.array_equal(traced.index.reshape(-1), np.arange(traced.index.size)):
        raise graph.refuse(node, "query, key and value [batch, tokens, hidden] as a layer put them out")
    return _Projected(found.input, found.linear, heads, traced.scale)


def _with_bias(part: _Projected, bias: FloatArray) -> _Projected:
    total = bias if not part.linear.bias.any() else part.linear.bias + bias
    return replace(part, linear=Linear(part.linear.weight, np.ascontiguousarray(total)))


def _score_scale(graph: Graph, node: Node, query: _Projected) -> float:
    """The operator's own scale; 0 and absent mean the usual one."""
    return node.number("scale", 0.0) or 1.0 / math.sqrt(query.linear.bias.size / query.heads)


def _check_bidirectional(graph: Graph, node: Node, made: Traced, other: float) -> None:
    if other:
        raise graph.refuse(node, "attention to all tokens, without rotary positions")
    _check_joined(graph, node, made, 1)
