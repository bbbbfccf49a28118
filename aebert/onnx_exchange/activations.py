"""The FFN's activation function in an ONNX graph, in any of the forms exporters write."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from aebert.models.fp32_forward import activate
from aebert.numerics.activation import FfnActivation
from aebert.onnx_exchange.graph import Graph, Node
from aebert.onnx_exchange.graph_patterns import close, split_constant, sum_terms
from aebert.onnx_exchange.operators import MICROSOFT

_FAST_GELU = f"{MICROSOFT}FastGelu"
# 1 / sqrt 2 as exporters write it in float32, and as half precision (fp16 and bf16 alike) rounds it or its inverse.
_ROOT_HALF = (math.sqrt(0.5), 0.70703125, 1 / 1.4140625)
# Of values of a few units in float32, computed in another order.
_TOLERANCE = 1e-4


def find_activation(graph: Graph, value: str, whole: Callable[[str], bool]) -> tuple[tuple[str, ...], FfnActivation]:
    """The terms whose sum goes through an activation function to make ``value``, and which one it is.

    Raises AebertError for a function that the accelerator has no table for.
    """
    node = graph.maker(value)
    if node is not None and node.op == "Relu":
        return sum_terms(graph, node.inputs[0], whole), "relu"
    if node is not None and (
        node.op == _FAST_GELU or (node.op == "Gelu" and node.text("approximate", "none") == "tanh")
    ):
        bias = tuple(graph.passed(read) for read in node.inputs[1:2] if read)
        return (*sum_terms(graph, node.inputs[0], whole), *bias), "gelu_tanh"
    source = _written_out_tanh(graph, value)
    if source is not None:
        return sum_terms(graph, source, whole), "gelu_tanh"
    return find_gelu(graph, value, whole), "gelu"


def _written_out_tanh(graph: Graph, value: str) -> str | None:
    """``x`` of ``x (1 + tanh(..)) / 2``, where the run shows that the whole is GELU's approximation by tanh.

    Exporters write the polynomial inside in many ways, so its values are compared, not its nodes.
    """
    value = graph.rows(value)
    constant, factors = _factors(graph, value)
    if len(factors) != 2 or not close(constant, 0.5):
        return None
    for gate, other in (factors, factors[::-1]):
        node = graph.producers.get(gate)
        inner = None if node is None or node.op != "Add" else graph.producers.get(split_constant(graph, node)[0])
        if inner is not None and inner.op == "Tanh":
            source = graph.rows(other)
            inputs = torch.from_numpy(np.array(graph.values[other], np.float32))
            expected = activate("gelu_tanh", inputs).numpy()
            if np.allclose(graph.values[value].reshape(expected.shape), expected, atol=_TOLERANCE):
                return source
    return None


def find_gelu(graph: Graph, value: str, whole: Callable[[str], bool]) -> tuple[str, ...]:
    """The terms whose sum goes through exact GELU to make ``value``. Raises AebertError for any other activation."""
    value = graph.rows(value)
    node = graph.producers.get(value)
    expected = "exact GELU, x (1 + erf(x / sqrt 2)) / 2"
    if node is None:
        raise graph.refuse(value, expected)
    if node.op == "Gelu" and node.text("approximate", "none") == "none":
        return sum_terms(graph, node.inputs[0], whole)
    if node.op == f"{MICROSOFT}Gelu":
        return sum_terms(graph, node.inputs[0], whole)
    if node.op == f"{MICROSOFT}BiasGelu":
        return (*sum_terms(graph, node.inputs[0], whole), graph.passed(node.inputs[1]))
    if node.op != "Mul":
        raise graph.refuse(node, expected)
    constant, factors = _factors(graph, value)
    for gate, other in (factors, factors[::-1]) if len(factors) == 2 else ():
        source = _erf_gate_source(graph, gate)
        if source is not None and source == graph.rows(other) and close(constant, 0.5):
            return sum_terms(graph, source, whole)
    raise graph.refuse(_innermost(graph, factors) or node, expected)


def _factors(graph: Graph, value: str) -> tuple[float, list[str]]:
    """``value`` as a constant times other factors, however its multiplications are nested."""
    value = graph.passed(value)
    constant = graph.scalar(value)
    if constant is not None:
        return constant, []
    node = graph.producers.get(value)
    if node is not None and node.op == "Mul":
        parts = [_factors(graph, read) for read in node.inputs]
        return math.prod(part[0] for part in parts), [factor for part in parts for factor in part[1]]
    if node is not None and node.op == "Div" and graph.scalar(node.inputs[1]):
        constant, factors = _factors(graph, node.inputs[0])
        return constant / (graph.scalar(node.inputs[1]) or 1.0), factors
    return 1.0, [value]


def _erf_gate_source(graph: Graph, value: str) -> str | None:
    """``x`` of ``1 + erf(x / sqrt 2)``."""
    node = graph.producers.get(value)
    if node is None or node.op != "Add":
        return None
    moving, one = split_constant(graph, node)
    erf = graph.producers.get(moving)
    if one is None or not close(graph.scalar(one), 1.0) or erf is None or erf.op != "Erf":
        return None
    constant, factors = _factors(graph, erf.inputs[0])
    scaled = len(factors) == 1 and any(close(constant, root) for root in _ROOT_HALF)
    return graph.rows(factors[0]) if scaled else None


def _innermost(graph: Graph, factors: Sequence[str]) -> Node | None:
    """The activation function under a gate, to name it."""
    for value in factors:
        node = graph.producers.get(value)
        if node is not None and node.op == "Add":
            moving, _ = split_constant(graph, node)
            node = graph.producers.get(moving)
        if node is not None and node.op in ("Tanh", "Sigmoid", "Erf"):
            return node
    return None
