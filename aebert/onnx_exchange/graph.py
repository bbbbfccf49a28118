"""An ONNX graph as the recogniser sees it: nodes, who makes and who reads a value, and what each value was once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from aebert.support.errors import AebertError

Array = npt.NDArray[Any]
Role = Literal["words", "types", "positions", "states", "mask"]
Attribute = int | float | str | bytes | list[int] | list[float] | list[bytes]

# Values pass through these unchanged.
PASSING = frozenset({"Identity", "Dropout", "Cast", "CastLike"})
# These leave the order of the elements alone; where the last axis keeps its length, its rows are the same rows.
RESHAPING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class Node:
    """``op`` is the type, with its domain and a colon in front unless it is one of ONNX's own."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.op})"

    def number(self, name: str, default: float) -> float:
        """A numeric attribute."""
        value = self.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def text(self, name: str, default: str) -> str:
        """A text attribute."""
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True)
class Graph:
    """``values`` are those of one run on ``batch`` sequences of ``length`` tokens (`probe`), weights among them.

    ``static`` names the values made from weights alone, ``fixed`` those that also depend on the inputs' shapes, but not
    on what is in them. ``roles`` says what each input is, ``valid`` [batch] how many tokens were not masked.
    """

    path: Path
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    producers: Mapping[str, Node]
    consumers: Mapping[str, tuple[Node, ...]]
    static: frozenset[str]
    fixed: frozenset[str]
    values: Mapping[str, Array]
    roles: Mapping[str, Role]
    batch: int
    length: int
    valid: tuple[int, ...]

    def refuse(self, at: Node | str, expected: str) -> AebertError:
        """The error for the first node (or value) that does not fit."""
        node = self.producers.get(at) if isinstance(at, str) else at
        what = f"value {at!r}" if node is None else str(node)
        return AebertError(f"{self.path}: not an encoder that can be accelerated: {what}: expected {expected}")

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of ``value`` in the run."""
        return tuple(self.values[value].shape)

    def passed(self, value: str) -> str:
        """``value`` before nodes that leave it as it is."""
        while True:
            node = self.producers.get(value)
            if node is None or node.op not in PASSING or value != node.outputs[0]:
                return value
            before, after = self.values[node.inputs[0]].dtype, self.values[value].dtype
            if before != after and not (np.issubdtype(before, np.integer) and np.issubdtype(after, np.integer)):
                return value
            value = node.inputs[0]

    def unshaped(self, value: str) -> str:
        """``value`` before nodes that leave the order of its elements as it is."""
        while True:
            value = self.passed(value)
            node = self.producers.get(value)
            if node is None or node.op not in RESHAPING:
                return value
            value = node.inputs[0]

    def rows(self, value: str) -> str:
        """``value`` before nodes that leave its rows (last axis) and their order as they are."""
        while True:
            value = self.passed(value)
            node = self.producers.get(value)
            if node is None or node.op not in RESHAPING or value in self.static:
                return value
            before, after = self.shape(node.inputs[0]), self.shape(value)
            if not before or not after or before[-1] != after[-1]:
                return value
            value = node.inputs[0]

    def maker(self, value: str) -> Node | None:
        """The node that makes ``value``, those left out that leave its rows as they are."""
        return self.producers.get(self.rows(value))

    def scalar(self, value: str) -> float | None:
        """``value`` if it is one number that does not depend on what is in the inputs."""
        if value not in self.fixed or self.values[value].size != 1:
            return None
        return float(self.values[value].reshape(()))

    def weights(self, value: str, node: Node, what: str) -> npt.NDArray[np.float32]:
        """``value`` as float32 weights. Raises AebertError unless it is made of weights alone, floating and finite."""
        if value not in self.static:
            raise self.refuse(node, f"{what} that is constant")
        array = self.values[value]
        if array.dtype != np.float32:
            raise self.refuse(node, f"{what} in float32, found {array.dtype}; export the model in float32")
        if not np.isfinite(array).all():
            raise self.refuse(node, f"finite values in {what}; save the model again")
        return np.array(array, order="C")

    def descendants(self, value: str) -> frozenset[str]:
        """All values that depend on what is in ``value``, itself included."""
        reached = {value}
        for node in self.nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(output for output in node.outputs if output not in self.fixed)
        return frozenset(reached)

    def readers(self, value: str) -> Iterator[Node]:
        """The nodes that read ``value``, also behind nodes that leave its rows as they are, in the graph's order."""
        same = {value}
        for node in self.nodes:
            for read in node.inputs:
                if read in same:
                    made = node.outputs[0]
                    if (node.op in PASSING or node.op in RESHAPING) and self.rows(made) == self.rows(value):
                        same.add(made)
                    else:
                        yield node
                    break
