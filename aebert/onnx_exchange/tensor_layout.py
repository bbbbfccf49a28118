"""Where each element of a value comes from, through any chain of reshapes, transposes, slices and splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.onnx_exchange.graph import PASSING, RESHAPING, Graph, Node

_MOVING = frozenset({"Transpose", "Split", "Slice", "Gather", "Expand"}) | PASSING | RESHAPING
_SCALING = frozenset({"Mul", "Div"})


@dataclass(frozen=True)
class Traced:
    """A value is ``scale * source.flat[index]``; ``index`` has the value's shape."""

    source: str
    index: npt.NDArray[np.int64]
    scale: float


def trace(graph: Graph, value: str) -> Traced:
    """Follow ``value`` back over nodes that only move its elements or multiply all of them by one constant."""
    chain: list[tuple[Node, str]] = []
    scale = 1.0
    while True:
        node = graph.producers.get(value)
        if node is None or value in graph.static:
            break
        if node.op in _MOVING and all(read in graph.fixed for read in node.inputs[1:] if read):
            chain.append((node, value))
            value = node.inputs[0]
            continue
        factor = _factor(graph, node)
        if factor is None:
            break
        value, by = factor
        scale *= by
    shape = graph.shape(value)
    index = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64).reshape(shape)
    for node, made in reversed(chain):
        index = _moved(graph, node, made, index)
    return Traced(value, index, scale)


def _factor(graph: Graph, node: Node) -> tuple[str, float] | None:
    """The moving operand and the constant factor of a multiplication by one number."""
    if node.op not in _SCALING:
        return None
    left, right = node.inputs
    by = graph.scalar(right)
    if by is not None:
        return (left, by) if node.op == "Mul" else (left, 1.0 / by) if by else None
    by = graph.scalar(left)
    return (right, by) if by is not None and node.op == "Mul" else None


def _moved(graph: Graph, node: Node, made: str, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    shape = graph.shape(made)
    if node.op in RESHAPING:
        return index.reshape(shape)
    if node.op == "Transpose":
        permutation = node.attributes.get("perm")
        return index.transpose([int(axis) for axis in permutation] if isinstance(permutation, list) else None)
    if node.op == "Expand":
        return np.broadcast_to(index, shape)
    axis = int(node.number("axis", 0))
    if node.op == "Gather":
        return np.take(index, graph.values[node.inputs[1]], axis=axis)
    if node.op == "Split":
        sizes = [graph.shape(output)[axis] for output in node.outputs]
        first = sum(sizes[: node.outputs.index(made)])
        return np.take(index, range(first, first + sizes[node.outputs.index(made)]), axis=axis)
    if node.op == "Slice":
        return _sliced(graph, node, index)
    return index


def _sliced(graph: Graph, node: Node, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    def numbers(position: int, attribute: str) -> list[int] | None:
        if len(node.inputs) > position and node.inputs[position]:
            return [int(number) for number in graph.values[node.inputs[position]].reshape(-1)]
        given = node.attributes.get(attribute)
        return [int(number) for number in given] if isinstance(given, list) else None

    starts, ends = numbers(1, "starts") or [], numbers(2, "ends") or []
    axes = numbers(3, "axes") or list(range(len(starts)))
    steps = numbers(4, "steps") or [1] * len(starts)
    taken = [slice(None)] * index.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # A slice that counts down to the first element ends before it, which Python writes as None.
        taken[axis] = slice(start, None if step < 0 and end < -index.shape[axis] else end, step)
    return index[tuple(taken)]
