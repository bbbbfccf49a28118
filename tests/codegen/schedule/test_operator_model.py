"""What an operator costs in its place: its family, its own width, what is merged into it, and the fitted delays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codegen.schedule.graph import (
    Access,
    Dependence,
    DesignContext,
    LoopGraph,
    Operand,
    Operation,
    Storage,
    StorageKind,
    Timing,
)
from codegen.schedule.operator_families import classify, edition
from codegen.schedule.operator_model import fitted_model

ALVEO, ZCU104, ZYNQ = "xcu280-fsvh2892-2L-e", "xczu7ev-ffvc1156-2-e", "xc7z020-clg400-1"
OUTSIDE = Operand(32)


def graph_of(*operations: Operation, part: str = ALVEO, clock: float = 10.0, version: str = "2022.2") -> LoopGraph:
    dependences = tuple(
        Dependence(operand.source, sink)
        for sink, operation in enumerate(operations)
        for operand in operation.operands
        if operand.source is not None
    )
    return LoopGraph("process", "Loop", DesignContext(clock, part, version), operations, dependences)


def last(graph: LoopGraph) -> Timing:
    return fitted_model().timing(graph, graph.operations[-1])


def binary(opcode: str, bits: int, first: Operand = OUTSIDE, second: Operand = OUTSIDE) -> Operation:
    return Operation(opcode, "x", bits, (replace(first, bits=bits), replace(second, bits=bits)))


# Delays that schedule reports print, each in repositories of its own.
@pytest.mark.parametrize(
    ("part", "version", "operation", "delay"),
    [
        (ALVEO, "2022.2", binary("add", 32), 0.88),
        (ZCU104, "2022.2", binary("add", 32), 1.01),
        ("xck26-sfvc784-2LV-c", "2025.2", binary("add", 16), 0.84),
        ("xcvu11p-flga2577-1-e", "2022.1", binary("add", 64), 1.36),
        (ZYNQ, "2022.1", binary("add", 32), 2.55),
        (ALVEO, "2022.2", Operation("icmp", "x", 1, (Operand(16), Operand(16))), 0.67),
        (ALVEO, "2023.1", Operation("icmp", "x", 1, (Operand(16), Operand(16))), 0.78),
        (ZYNQ, "2024.2", Operation("icmp", "x", 1, (Operand(32), Operand(32))), 2.55),
        (ALVEO, "2022.2", binary("xor", 8), 0.22),
        (ZYNQ, "2025.2", binary("urem", 16), 3.64),
    ],
)
def test_fitted_delays(part: str, version: str, operation: Operation, delay: float) -> None:
    assert last(graph_of(operation, part=part, version=version)).delay_ns == pytest.approx(delay, abs=0.011)


def test_a_division_takes_a_cycle_for_each_bit_and_three() -> None:
    assert [last(graph_of(binary("urem", bits))).latency for bits in (5, 8, 64)] == [8, 11, 67]


@pytest.mark.parametrize("opcode", ["shl", "lshr", "or"])
def test_a_shift_by_a_constant_and_an_or_with_one_are_wires(opcode: str) -> None:
    assert last(graph_of(binary(opcode, 32, second=Operand(32, constant=3)))) == Timing(0, 0.0)
    assert last(graph_of(binary(opcode, 32))).delay_ns > 0.1


def test_the_width_is_that_before_the_extension() -> None:
    narrow = Operation("zext", "wide", 32, (Operand(8),))
    extended = graph_of(narrow, binary("add", 32, Operand(32, 0), Operand(32, 0)))
    assert classify(extended, extended.operations[1]) == ("add", 8)
    compared = graph_of(narrow, binary("icmp", 32, Operand(32, 0), Operand(32, constant=200)))
    assert classify(compared, compared.operations[1]) == ("icmp", 8)


def test_a_sum_with_a_merged_sum_is_an_adder_of_three_inputs() -> None:
    inner = replace(binary("add", 16), merged=True)
    graph = graph_of(inner, binary("add", 16, Operand(16, 0)), part=ZYNQ)
    assert classify(graph, graph.operations[0]) is None
    assert classify(graph, graph.operations[1]) == ("sum_of_three", 16)
    assert last(graph).delay_ns == pytest.approx(3.90)


@pytest.mark.parametrize(("version", "product", "total"), [("2022.2", 2, 1), ("2020.1", 0, 0)])
def test_a_product_that_is_merged_takes_the_first_states_of_a_dsp_slice(version: str, product: int, total: int) -> None:
    graph = graph_of(
        replace(binary("mul", 16), merged=True),
        Operation("sext", "wide", 20, (Operand(16, 0),)),
        binary("add", 20, Operand(20, 1)),
        part=ZYNQ if version == "2022.2" else "xcvu9p-flgb2104-1-e",
        version=version,
    )
    assert classify(graph, graph.operations[2]) == ("sum_in_slice", 1)
    assert fitted_model().timing(graph, graph.operations[0]).latency == product
    assert last(graph).latency == total


def test_a_lut_costs_what_the_slowest_that_shares_it_does() -> None:
    shift = replace(binary("lshr", 64), merged=True)
    alone, together = graph_of(binary("and", 64)), graph_of(shift, binary("and", 64, Operand(64, 0)))
    assert last(together).delay_ns > last(alone).delay_ns
    assert last(together).delay_ns == last(graph_of(binary("lshr", 64))).delay_ns


@pytest.mark.parametrize(("sources", "delay"), [(1, 0.0), (2, 1.58)])
def test_a_register_with_one_value_has_no_multiplexer(sources: int, delay: float) -> None:
    store = Operation("store", "r", 0, (Operand(32),), access=Access("r"))
    register = Storage("r", StorageKind.REGISTER, 32, sources=sources)
    graph = replace(graph_of(store, part=ZYNQ), storages={"r": register})
    assert last(graph).delay_ns == delay


def test_an_axi_stream_is_charged_in_one_state_from_2024_on() -> None:
    write = Operation("write", "s", 0, (Operand(32),), access=Access("s"))
    storages = {"s": Storage("s", StorageKind.AXI_STREAM, 32)}
    found = [last(replace(graph_of(write, part=ZYNQ, version=v), storages=storages)) for v in ("2022.2", "2024.2")]
    assert found == [Timing(1, 0.0), Timing(0, 1.29)]


def test_editions() -> None:
    assert [edition("icmp", version) for version in ("2022.2", "2023.1")] == ["icmp", "icmp 2023.1"]
    assert edition("add", "2025.2") == "add"
