"""An ONNX graph under construction: nodes and constants with readable names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# Gelu is an operator from opset 20 on, which onnxruntime reads since 1.17.
OPSET = 20
IR_VERSION = 9
BATCH, TOKENS = "batch", "tokens"


class GraphBuilder:
    """Collects what `model` assembles. Values are named after the node that makes them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str) -> str:
        """An int64 input [batch, tokens]."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, [BATCH, TOKENS]))
        return name

    def output(self, name: str, value: str, axes: Sequence[str | int]) -> None:
        """Give ``value`` (float32) out as ``name``."""
        self.node("Identity", [value], name)
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)))

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """A tensor of the model; one name holds one tensor."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def scalar(self, value: float) -> str:
        """A float32 number."""
        return self.constant(f"scalar.{value!r}", np.array(value, np.float32))

    def integers(self, values: int | Sequence[int]) -> str:
        """An int64 number or list of numbers."""
        return self.constant(f"integers.{values}".replace(" ", ""), np.array(values, np.int64))

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: int | float | str | list[int]) -> str:
        """Add a node with one output, which is also its name."""
        node = helper.make_node(operator, list(inputs), [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return name

    def model(self, name: str, notes: dict[str, str]) -> onnx.ModelProto:
        """The model; ``notes`` become its metadata."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="aebert")
        helper.set_model_props(model, notes)
        return model
