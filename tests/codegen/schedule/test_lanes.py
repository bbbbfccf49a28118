"""Identical lanes are scheduled once, and the schedule is that of the whole graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.design.hardware_config import HardwareConfig
from codegen.schedule.graph import LoopGraph
from codegen.schedule.lanes import merge_lanes
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.scheduler import schedule_loop
from tests.codegen.schedule.kernels import counting_loop, graphs_of


def test_every_loop_of_the_kernel_has_the_schedule_of_its_merged_graph(graphs: tuple[LoopGraph, ...]) -> None:
    model = fitted_model()
    for graph in graphs:
        merged = merge_lanes(graph)
        whole, once = schedule_loop(graph, model), schedule_loop(merged.graph, model)
        assert (whole.initiation_interval, whole.depth) == (once.initiation_interval, once.depth), graph.label
        assert whole.clock_ns == pytest.approx(once.clock_ns), graph.label
        assert sum(merged.copies) == len(graph.operations)
        assert [whole.cycles[number] for number in range(len(graph.operations))] == [
            once.cycles[place] for place in merged.place
        ]


def test_the_engines_lanes_are_alike(graphs: tuple[LoopGraph, ...], kernel_config: HardwareConfig) -> None:
    engine = next(graph for graph in graphs if graph.label == "Steps")
    merged = merge_lanes(engine)
    products = [
        number for number, each in enumerate(merged.graph.operations) if each.opcode == "mul" and each.bits == 35
    ]
    assert (
        sum(merged.copies[number] for number in products)
        == kernel_config.tokens // 2 * kernel_config.out_lanes * kernel_config.in_lanes
    )
    assert len(products) <= kernel_config.in_lanes


def test_lanes_that_differ_stay_apart(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "void process(int n, hls::stream<int> (&in)[3], hls::stream<int> (&out)[3]) {\n"
        + counting_loop(
            "out[0].write(in[0].read() + 3);\n    out[1].write(in[1].read() + 3);\n"
            "    out[2].write((in[2].read() + 3) * 5);"
        )
        + "}\n",
    )["process.Body"]
    merged = merge_lanes(graph)
    opcodes = [operation.opcode for operation in merged.graph.operations]
    assert (opcodes.count("write"), opcodes.count("mul")) == (2, 1)


def test_accesses_of_one_port_stay_apart(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "void process(int n, hls::stream<int>& in, hls::stream<int>& out) {\n"
        + counting_loop("out.write(in.read());\n    out.write(in.read());")
        + "}\n",
    )["process.Body"]
    merged = merge_lanes(graph).graph
    assert [operation.opcode for operation in merged.operations].count("read") == 2
