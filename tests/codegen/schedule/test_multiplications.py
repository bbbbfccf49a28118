"""Multiplications: the latency that Vitis chose under its clock, and the delay that it charged."""

from __future__ import annotations

import pytest

from codegen.schedule.graph import DesignContext, LoopGraph, Operand, Operation
from codegen.schedule.multiplications import Multiplications, operand_bits
from codegen.schedule.operator_model import fitted_model

ALVEO, ZYNQ = "xcu55c-fsvh2892-2L-e", "xc7z020-clg400-1"


def product(context: DesignContext, first: int, second: int) -> LoopGraph:
    """A product of two operands that are extended to the width of the result, as synthesis writes it."""
    wide = first + second
    operations = (
        Operation("zext", "a", wide, (Operand(first),)),
        Operation("zext", "b", wide, (Operand(second),)),
        Operation("mul", "c", wide, (Operand(wide, 0), Operand(wide, 1))),
    )
    return LoopGraph("process", "Loop", context, operations, ())


# Clock, uncertainty, operands, latency and delay of schedule reports (Vitis HLS 2021.2 to 2025.2); the last three are
# known by csynth's name alone: mul_64ns_66ns_129_5_1.
@pytest.mark.parametrize(
    ("part", "clock", "uncertainty", "first", "second", "latency", "delay"),
    [
        (ALVEO, 5.0, 1.35, 40, 40, 0, 3.38),
        (ALVEO, 5.0, 1.35, 49, 44, 1, 2.93),
        (ALVEO, 5.0, 1.35, 54, 6, 1, 2.94),
        (ALVEO, 5.0, 1.35, 71, 4, 1, 3.61),
        (ZYNQ, 13.0, 3.51, 32, 33, 0, 8.49),
        (ZYNQ, 13.0, 3.51, 64, 65, 2, 9.17),
        (ZYNQ, 10.0, 2.7, 32, 32, 1, 6.91),
        (ZYNQ, 10.0, 1.0, 43, 36, 1, 8.05),
        (ZYNQ, 10.0, 1.0, 92, 6, 4, 6.97),
        (ZYNQ, 7.0, 0.7, 34, 33, 2, 5.74),
        (ALVEO, 3.33, 0.9, 64, 66, 4, None),
        (ALVEO, 4.0, 1.08, 64, 66, 4, None),
        (ALVEO, 4.55, 1.23, 32, 34, 0, None),
    ],
)
def test_latency_and_delay_are_those_that_vitis_chose(
    part: str, clock: float, uncertainty: float, first: int, second: int, latency: int, delay: float | None
) -> None:
    graph = product(DesignContext(clock, part, clock_uncertainty_ns=uncertainty), first, second)
    found = fitted_model().timing(graph, graph.operations[-1])
    assert found.latency == latency
    assert delay is None or found.delay_ns == pytest.approx(delay, rel=0.13)


@pytest.mark.parametrize("bits", [8, 18, 27, 35, 51, 64])
def test_a_faster_clock_never_takes_fewer_states(bits: int) -> None:
    latencies = []
    for clock in (12.0, 8.0, 5.0, 4.0, 3.3, 2.5):
        graph = product(DesignContext(clock, ALVEO), bits, bits)
        latencies.append(fitted_model().timing(graph, graph.operations[-1]).latency)
    assert latencies == sorted(latencies)


def test_no_latency_fits_then_the_deepest_is_taken() -> None:
    model = Multiplications({0: [[8, 4.0]], 1: [[8, 3.0]]}, {"a": 2.0}, {}, {})
    found = model.timing(("b", "a"), "2024.2", (8, 8), 5.0)
    assert (found.latency, found.delay_ns) == (1, 6.0)
    assert model.timing(("a",), "2024.2", (8, 8), 6.0).latency == 1
    assert model.timing(("a",), "2024.2", (8, 8), 8.0).latency == 0


# Tool, clock, uncertainty, operands, states that csynth's names give: mul_18s_18s_30_4_1, mul_12s_13ns_26_4_1.
@pytest.mark.parametrize(
    ("version", "part", "clock", "first", "second", "latency"),
    [
        ("2022.2", ALVEO, 3.33, 18, 18, 3),
        ("2022.1", "xcvu9p-flga2104-2-i", 4.0, 12, 13, 3),
        ("2020.2", "xcvu11p-flga2577-1-e", 10.0, 16, 17, 3),
        ("2022.1", "xcvu9p-flga2104-2-i", 4.0, 5, 6, 0),
        ("2022.2", ALVEO, 3.33, 16, 5, 0),
        ("2023.1", "xcvu13p-flga2577-2-e", 5.0, 16, 10, 0),
    ],
)
def test_products_of_a_slice_take_its_states_until_2022_2(
    version: str, part: str, clock: float, first: int, second: int, latency: int
) -> None:
    graph = product(DesignContext(clock, part, version), first, second)
    assert fitted_model().timing(graph, graph.operations[-1]).latency == latency


def test_a_negative_constant_is_as_wide_as_its_value() -> None:
    constant = Operand(23, constant=(1 << 23) - 57)
    operations = (
        Operation("sext", "a", 23, (Operand(16),)),
        Operation("mul", "c", 23, (Operand(23, 0), constant)),
    )
    graph = LoopGraph("process", "Loop", DesignContext(5.0, ALVEO), operations, ())
    assert operand_bits(graph, operations[1]) == (7, 16)
