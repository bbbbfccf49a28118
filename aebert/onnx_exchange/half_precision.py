"""A graph in half precision as the same graph in float32: what fp16 and bf16 hold, float32 holds exactly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from aebert.onnx_exchange.onnx_file import OnnxFile

_HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})


def widened(file: OnnxFile) -> OnnxFile:
    """``file`` with every half-precision tensor, type and conversion in float32; as it is where there is none."""
    graph = file.model.graph
    if not any(tensor.data_type in _HALF for tensor in graph.initializer) and not any(_attributes_of(graph)):
        return file
    model = onnx.ModelProto()
    model.CopyFrom(file.model)
    graph = model.graph
    for tensor in graph.initializer:
        _widen_tensor(file, tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if _is_half(node, attribute):
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t"):
                _widen_tensor(file, attribute.t)
    _widen_types([*graph.input, *graph.output, *graph.value_info])
    return OnnxFile(file.path, file.folder, model)


def holds_bfloat16(file: OnnxFile) -> bool:
    """Whether a weight of ``file`` is in bf16."""
    return any(tensor.data_type == TensorProto.BFLOAT16 for tensor in file.model.graph.initializer)


def _attributes_of(graph: onnx.GraphProto) -> Iterable[bool]:
    for node in graph.node:
        for attribute in node.attribute:
            yield _is_half(node, attribute) or (attribute.HasField("t") and attribute.t.data_type in _HALF)


def _is_half(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> bool:
    return node.op_type == "Cast" and attribute.name == "to" and attribute.i in _HALF


def _widen_tensor(file: OnnxFile, tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _HALF:
        tensor.CopyFrom(numpy_helper.from_array(file.array(tensor).astype(np.float32), tensor.name))


def _widen_types(values: Iterable[onnx.ValueInfoProto]) -> None:
    for value in values:
        if value.type.tensor_type.elem_type in _HALF:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
