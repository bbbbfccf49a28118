"""One run of an ONNX file in onnxruntime that keeps every value: it tells shapes, and what is constant.

The recogniser then needs no shape inference, and a scale is a number to it whether the exporter folded it or left it to
be computed from a shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from aebert.onnx_exchange.graph import Array, Attribute, Graph, Node
from aebert.onnx_exchange.half_precision import holds_bfloat16, widened
from aebert.onnx_exchange.onnx_file import OnnxFile
from aebert.onnx_exchange.operators import KNOWN_OPERATORS, QUANTISED_OPERATORS
from aebert.onnx_exchange.sample_inputs import SampleInputs, sample_inputs
from aebert.support.errors import AebertError
from aebert.support.input_files import foreign

_SHAPE_READERS = frozenset({"Shape", "Size"})
_SILENT = 4
ONNXRUNTIME_ERRORS = (
    onnxruntime_errors.EPFail,
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NoSuchFile,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
    MemoryError,
    RuntimeError,
    ValueError,
)


def open_graph(file: OnnxFile) -> Graph:
    """``file`` as a graph with the values of one run. Raises AebertError for a node that no encoder has."""
    _refuse_quantised(file)
    file = _in_float32(file)
    nodes = tuple(_nodes(file))
    _check_order(file, nodes)
    inputs = sample_inputs(file)
    held = {tensor.name: file.array(tensor) for tensor in file.model.graph.initializer}
    values: dict[str, Array] = {**held, **inputs.feeds, **_run(file, nodes, inputs)}
    static, fixed = _constant_values(nodes, frozenset(held))
    graph = Graph(
        path=file.path,
        nodes=nodes,
        outputs=tuple(value.name for value in file.model.graph.output),
        producers={output: node for node in nodes for output in node.outputs if output},
        consumers=_consumers(nodes),
        static=static,
        fixed=fixed,
        values=values,
        roles=inputs.roles,
        batch=inputs.batch,
        length=inputs.length,
        valid=inputs.valid,
    )
    _check_inference(graph)
    return graph


def _refuse_quantised(file: OnnxFile) -> None:
    for number, node in enumerate(file.model.graph.node):
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}:"
        if f"{domain}{node.op_type}" in QUANTISED_OPERATORS:
            raise AebertError(
                f"{file.path}: a quantised graph (node {node.name or f'#{number}'!r}, {node.op_type}); "
                "import the float32 model that it was made from, this toolkit quantises it itself"
            )


def _check_inference(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op == "Dropout" and len(node.inputs) > 2 and graph.scalar(node.inputs[2]):
            raise graph.refuse(node, "a model in inference mode; call model.eval() before the export")


def _nodes(file: OnnxFile) -> list[Node]:
    nodes = []
    for number, proto in enumerate(file.model.graph.node):
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}:"
        attributes: dict[str, Attribute] = {}
        for attribute in proto.attribute:
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise AebertError(
                    f"{file.path}: not an encoder that can be accelerated: node {proto.name or f'#{number}'!r} "
                    f"({proto.op_type}): expected no control flow; export the model for one kind of input"
                )
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, int | float | bytes | list):
                attributes[attribute.name] = value
        node = Node(
            proto.name or f"#{number}", f"{domain}{proto.op_type}", tuple(proto.input), tuple(proto.output), attributes
        )
        if node.op not in KNOWN_OPERATORS:
            raise AebertError(
                f"{file.path}: not an encoder that can be accelerated: {node}: expected an operator of a float32 "
                "BERT, RoBERTa, DistilBERT or ELECTRA export"
            )
        nodes.append(node)
    return nodes


def _check_order(file: OnnxFile, nodes: Sequence[Node]) -> None:
    graph = file.model.graph
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    made: set[str] = set()
    for node in nodes:
        missing = [name for name in node.inputs if name and name not in known]
        twice = made.intersection(node.outputs)
        if missing or twice:
            what = f"reads {missing[0]!r}, which no node before it makes" if missing else f"makes {min(twice)!r} again"
            raise AebertError(f"{file.path}: {node} {what}; the graph is damaged, export the model again")
        made.update(name for name in node.outputs if name)
        known |= made
    unknown = [value.name for value in graph.output if value.name not in known]
    if unknown:
        raise AebertError(
            f"{file.path}: output {unknown[0]!r} is made by no node; the graph is damaged, export it again"
        )


def _consumers(nodes: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    consumers: dict[str, tuple[Node, ...]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.inputs):
            consumers[name] = (*consumers.get(name, ()), node)
    return consumers


def _constant_values(nodes: Sequence[Node], held: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    static, fixed = set(held), set(held)
    for node in nodes:
        # CastLike only asks for the second operand's type.
        read = [name for name in (node.inputs[:1] if node.op == "CastLike" else node.inputs) if name]
        if static.issuperset(read):
            static.update(node.outputs)
        if node.op in _SHAPE_READERS or fixed.issuperset(read):
            fixed.update(node.outputs)
    return frozenset(static), frozenset(fixed)


def _run(file: OnnxFile, nodes: Sequence[Node], inputs: SampleInputs) -> Mapping[str, Array]:
    wanted = [name for node in nodes for name in node.outputs if name]
    traced = onnx.ModelProto()
    traced.CopyFrom(file.model)
    del traced.graph.output[:]
    traced.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    with _running(file):
        arrays = _session(file, traced).run(wanted, dict(inputs.feeds))
    return dict(zip(wanted, map(np.asarray, arrays), strict=True))


def _in_float32(file: OnnxFile) -> OnnxFile:
    """The graph in float32. One in half precision must be one throughout: its types are checked as it is.

    By onnxruntime, which knows its own operators too; for bf16, which it cannot compute on a CPU, by onnx.
    """
    wide = widened(file)
    if wide is not file and holds_bfloat16(file):
        with foreign(file.path, "the types of its values do not fit together", "export it again"):
            onnx.shape_inference.infer_shapes(file.model, check_type=True, strict_mode=True)
    elif wide is not file:
        with _running(file):
            _session(file, file.model)
    return wide


def _session(file: OnnxFile, model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(file.folder.resolve()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@contextmanager
def _running(file: OnnxFile) -> Iterator[None]:
    try:
        yield
    except ONNXRUNTIME_ERRORS as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        raise AebertError(f"{file.path}: onnxruntime cannot run it ({reason})") from None
