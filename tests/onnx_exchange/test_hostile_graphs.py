"""Graphs that no exporter writes: sizes below zero, functions that call themselves, far too many nodes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from aebert.onnx_exchange.onnx_file import LARGEST_GRAPH, read_onnx_file
from aebert.support.errors import AebertError
from tests.support.command_line import aebert

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
RESULT = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
DEEPER_THAN_ANY_EXPORT = 70


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    functions: list[onnx.FunctionProto] | None = None,
    tensors: list[onnx.TensorProto] | None = None,
) -> Path:
    """A graph from x to y, unchecked."""
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", sides[:1], sides[1:], initializer=tensors or [])
    path.write_bytes(
        helper.make_model(graph, opset_imports=OPSETS, functions=functions or []).SerializeToString(deterministic=True)
    )
    return path


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """``name`` calls ``calls`` one after another."""
    places = ["x", *(f"t{number}" for number in range(1, len(calls))), "y"]
    nodes = [
        helper.make_node(call, [before], [after], domain="" if call == "Identity" else "own")
        for call, before, after in zip(calls, places[:-1], places[1:], strict=True)
    ]
    return helper.make_function("own", name, ["x"], ["y"], nodes, OPSETS)


def call(name: str) -> list[onnx.NodeProto]:
    return [helper.make_node(name, ["x"], ["y"], domain="own")]


def refusal(path: Path) -> str:
    """What both the parser and the command say, in one line."""
    with pytest.raises(AebertError) as raised:
        read_onnx_file(path)
    done = aebert("import", path, "-o", path.parent / "out")
    assert (done.exit_code, done.stderr) == (2, f"aebert: error: {raised.value}.\n")
    return str(raised.value)


def negative_tensor() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weights")
    tensor.dims[:] = [-2, -2]
    return tensor


@pytest.mark.parametrize("place", ["initializer", "constant", "function", "branch"])
def test_a_tensor_of_negative_size_is_named_wherever_it_stands(tmp_path: Path, place: str) -> None:
    path = tmp_path / "m.onnx"
    constant = helper.make_node("Constant", [], ["y"], value=negative_tensor())
    if place == "initializer":
        save(path, [helper.make_node("Identity", ["weights"], ["y"])], tensors=[negative_tensor()])
    elif place == "constant":
        save(path, [constant])
    elif place == "function":
        save(path, call("f"), [helper.make_function("own", "f", ["x"], ["y"], [constant], OPSETS)])
    else:
        branch = helper.make_graph(
            [constant], "branch", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
        )
        save(path, [helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)])
    assert "tensor 'weights' has sizes [-2, -2]; export the model again" in refusal(path)


def test_external_data_of_a_branch_stays_in_the_folder_too(tmp_path: Path) -> None:
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [RESULT])
    path = save(tmp_path / "m.onnx", [helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)])
    assert "'../secret', outside the model's folder; refused" in refusal(path)


@pytest.mark.parametrize(
    "functions",
    [
        [function("f", "f")],
        [function("f", "g"), function("g", "f")],
        [function("f", "Identity", "g"), function("g", "h"), function("h", "Identity", "f")],
        [function(f"f{n}" if n else "f", f"f{n + 1}") for n in range(DEEPER_THAN_ANY_EXPORT)]
        + [function(f"f{DEEPER_THAN_ANY_EXPORT}", "Identity")],
    ],
    ids=["itself", "each other", "in a ring", "too deep"],
)
def test_functions_that_call_themselves_are_refused(tmp_path: Path, functions: list[onnx.FunctionProto]) -> None:
    assert "calls itself, or too many others" in refusal(save(tmp_path / "m.onnx", call("f"), functions))


def test_functions_that_double_until_memory_is_full_are_counted_and_not_inlined(tmp_path: Path) -> None:
    functions = [function(f"f{n}" if n else "f", f"f{n + 1}", f"f{n + 1}") for n in range(40)]
    path = save(tmp_path / "m.onnx", call("f"), [*functions, function("f40", "Identity")])
    assert f"more than {LARGEST_GRAPH}; no encoder is so large" in refusal(path)


def test_three_hundred_thousand_nodes_are_refused_before_anything_looks_at_them(tmp_path: Path) -> None:
    graph = onnx.GraphProto(name="graph")
    graph.node.extend([helper.make_node("Identity", ["x"], ["y"])] * 300_000)
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8, graph=graph, opset_import=OPSETS[:1]).SerializeToString())
    assert "300000 nodes, more than 50000" in refusal(path)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    kind=st.integers(-1, 40),
    content=st.binary(max_size=40),
)
def test_a_tensor_of_any_type_size_and_content_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kind: int, content: bytes
) -> None:
    tensor = TensorProto(name="w", data_type=kind, dims=sizes, raw_data=content)
    path = save(
        tmp_path_factory.mktemp("any") / "m.onnx", [helper.make_node("Identity", ["w"], ["y"])], tensors=[tensor]
    )
    with contextlib.suppress(AebertError):
        read_onnx_file(path).array(tensor)
