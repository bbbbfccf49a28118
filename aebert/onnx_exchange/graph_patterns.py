"""Linear and LayerNorm in an ONNX graph, by what they compute and in any of the forms exporters write."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aebert.models.encoder import FloatArray, LayerNorm, Linear
from aebert.onnx_exchange.graph import Graph, Node
from aebert.onnx_exchange.operators import MICROSOFT

# Constants as exporters round them: to float32, sometimes by way of a product of two of them.
_RELATIVE = 1e-5
FUSED_GEMM = f"{MICROSOFT}FusedGemm"


def close(value: float | None, expected: float) -> bool:
    """Whether a constant is ``expected``, as far as float32 goes."""
    return value is not None and math.isclose(value, expected, rel_tol=_RELATIVE)


@dataclass(frozen=True)
class FoundLinear:
    """``linear`` applied to ``input``; ``product`` is the node that multiplies."""

    input: str
    linear: Linear
    product: Node


@dataclass(frozen=True)
class FoundNorm:
    """LayerNorm at ``node`` of the sum of ``terms`` (values), each before nodes that leave its rows alone."""

    node: Node
    output: str
    terms: tuple[str, ...]
    norm: LayerNorm
    epsilon: float


def sum_terms(graph: Graph, value: str, whole: Callable[[str], bool]) -> tuple[str, ...]:
    """``value`` as a sum, however its additions are nested; a term for which ``whole`` holds is not taken apart."""
    value = graph.rows(value)
    node = graph.producers.get(value)
    if whole(value) or node is None or node.op != "Add" or value in graph.static:
        return (value,)
    return tuple(term for read in node.inputs for term in sum_terms(graph, read, whole))


def find_linear(graph: Graph, terms: Sequence[str], at: Node | str, activation: str = "") -> FoundLinear:
    """The sum of ``terms`` as one matrix product plus a bias. Raises AebertError at ``at`` or where it does not fit.

    With ``activation`` the product is onnxruntime's FusedGemm with that activation.
    """
    moving = [term for term in terms if term not in graph.static]
    if len(moving) != 1:
        raise graph.refuse(at, f"one matrix product and a bias, found a sum of {len(moving)} moving values")
    node = graph.producers.get(moving[0])
    products = (FUSED_GEMM,) if activation else ("MatMul", "Gemm", f"{MICROSOFT}FusedMatMul")
    if node is None or node.op not in products or node.text("activation", "") != activation:
        raise graph.refuse(node or moving[0], "a fully connected layer (MatMul or Gemm with constant weights)")
    if node.inputs[0] in graph.static:
        raise graph.refuse(node, "activations on the left and constant weights on the right")
    weight = graph.weights(node.inputs[1], node, "a weight")
    if weight.ndim != 2:
        raise graph.refuse(node, f"a weight of two axes, found {weight.ndim}")
    if node.op != "MatMul":
        if node.number("transA", 0) or node.number("transBatchA", 0) or node.number("transBatchB", 0):
            raise graph.refuse(node, "activations that are not transposed")
        weight = weight.T if node.number("transB", 0) else weight
        weight = _times(weight, node.number("alpha", 1.0))
    biases = [graph.weights(term, node, "a bias") for term in terms if term in graph.static]
    if len(node.inputs) > 2 and node.inputs[2]:
        biases.append(_times(graph.weights(node.inputs[2], node, "a bias"), node.number("beta", 1.0)))
    linear = Linear(np.ascontiguousarray(weight.T), _one_bias(graph, node, biases, weight.shape[1]))
    return FoundLinear(graph.rows(node.inputs[0]), linear, node)


def _times(array: FloatArray, factor: float) -> FloatArray:
    return array if factor == 1.0 else (array * np.float32(factor)).astype(np.float32)


def _one_bias(graph: Graph, node: Node, biases: Sequence[FloatArray], outputs: int) -> FloatArray:
    if any(bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)) for bias in biases):
        raise graph.refuse(node, f"a bias of {outputs} values")
    total = np.zeros(outputs, np.float32)
    for number, bias in enumerate(biases):
        spread = np.broadcast_to(bias.reshape(-1), outputs)
        total = np.array(spread if number == 0 else total + spread, dtype=np.float32)
    return total


def find_norms(graph: Graph, whole: frozenset[str] = frozenset()) -> tuple[FoundNorm, ...]:
    """Every LayerNorm in the order of the graph: fused, or written out with ReduceMean.

    Their terms are not taken apart beyond other LayerNorms and the values in ``whole``.
    """
    outputs = set(whole)
    found: list[FoundNorm] = []
    for node in graph.nodes:
        norm = _as_norm(graph, node, outputs.__contains__)
        if norm is not None:
            found.append(norm)
            outputs.add(norm.output)
    return tuple(found)


def _as_norm(graph: Graph, node: Node, whole: Callable[[str], bool]) -> FoundNorm | None:
    if node.op == "LayerNormalization":
        axis = node.number("axis", -1)
        if axis not in (-1, len(graph.shape(node.inputs[0])) - 1):
            raise graph.refuse(node, "LayerNorm over the last axis")
        terms = sum_terms(graph, node.inputs[0], whole)
        return _norm(graph, node, terms, node.inputs[1:], node.number("epsilon", 1e-5))
    if node.op == f"{MICROSOFT}SkipLayerNormalization":
        added = [*node.inputs[:2], *node.inputs[4:5]]
        terms = tuple(term for value in added if value for term in sum_terms(graph, value, whole))
        return _norm(graph, node, terms, node.inputs[2:4], node.number("epsilon", 1e-12))
    if node.op == "Add":
        return _written_out_norm(graph, node, whole)
    return None


def _norm(graph: Graph, node: Node, terms: tuple[str, ...], parameters: Sequence[str], epsilon: float) -> FoundNorm:
    width = graph.shape(node.outputs[0])[-1]
    gamma = graph.weights(parameters[0], node, "LayerNorm weights").reshape(-1)
    has_beta = len(parameters) > 1 and parameters[1]
    beta = graph.weights(parameters[1], node, "a LayerNorm bias").reshape(-1) if has_beta else np.zeros_like(gamma)
    if gamma.size != width or beta.size != width:
        raise graph.refuse(node, f"LayerNorm weights of {width} values")
    return FoundNorm(node, node.outputs[0], terms, LayerNorm(gamma, beta), epsilon)


def _written_out_norm(graph: Graph, node: Node, whole: Callable[[str], bool]) -> FoundNorm | None:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``."""
    scaled, beta = split_constant(graph, node)
    multiply = graph.producers.get(scaled)
    if beta is None or multiply is None or multiply.op != "Mul":
        return None
    normal, gamma = split_constant(graph, multiply)
    divide = graph.producers.get(normal)
    if gamma is None or divide is None or divide.op not in ("Div", "Mul"):
        return None
    centred, deviation = divide.inputs
    root = graph.producers.get(graph.passed(deviation))
    if divide.op == "Mul" and root is not None and root.op == "Reciprocal":
        root = graph.producers.get(graph.passed(root.inputs[0]))
    elif divide.op == "Mul":
        return None
    variance = None if root is None else _under_root(graph, root)
    summed = None if variance is None else graph.producers.get(variance)
    if summed is None or summed.op != "Add":
        return None
    mean_square, epsilon = split_constant(graph, summed)
    source = _centred_source(graph, centred)
    if source is None or epsilon is None or _mean_square_source(graph, mean_square) != source:
        return None
    small = graph.scalar(epsilon)
    if small is None:
        return None
    return _norm(graph, node, sum_terms(graph, source, whole), (gamma, beta), small)


def split_constant(graph: Graph, node: Node) -> tuple[str, str | None]:
    """The moving and the constant operand of an addition or multiplication."""
    left, right = (graph.passed(value) for value in node.inputs)
    if left in graph.static:
        return right, left
    return left, right if right in graph.static else None


def _under_root(graph: Graph, node: Node) -> str | None:
    if node.op == "Sqrt" or (node.op == "Pow" and close(graph.scalar(node.inputs[1]), 0.5)):
        return graph.passed(node.inputs[0])
    return None


def _mean_of(graph: Graph, value: str) -> str | None:
    """What ``value`` is the mean of, over the last axis."""
    node = graph.producers.get(graph.passed(value))
    if node is None or node.op != "ReduceMean":
        return None
    read, made = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    return graph.passed(node.inputs[0]) if made == (*read[:-1], 1) else None


def _centred_source(graph: Graph, value: str) -> str | None:
    """``x`` of ``x - mean(x)``."""
    node = graph.producers.get(graph.passed(value))
    if node is None or node.op != "Sub":
        return None
    source = graph.passed(node.inputs[0])
    return source if _mean_of(graph, node.inputs[1]) == source else None


def _mean_square_source(graph: Graph, value: str) -> str | None:
    """``x`` of ``mean((x - mean(x))^2)``."""
    square = _mean_of(graph, value)
    node = None if square is None else graph.producers.get(square)
    if node is None:
        return None
    squares = node.op == "Pow" and close(graph.scalar(node.inputs[1]), 2.0)
    if squares or (node.op == "Mul" and graph.passed(node.inputs[0]) == graph.passed(node.inputs[1])):
        return _centred_source(graph, node.inputs[0])
    return None
