"""What synthesis packs into one LUT or one adder of three inputs: the marks that schedule reports show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codegen.schedule.graph import Carried, Dependence, DependenceKind, DesignContext, LoopGraph, Operand, Operation
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.packing import pack, packed
from codegen.schedule.scheduler import schedule_loop

ALVEO, ZYNQ = "xcu55c-fsvh2892-2L-e", "xc7z020-clg400-1"

# An operation: opcode, bits, and where its operands come from: another one by position, a new input (None).
Row = tuple[str, int, tuple[int | None, ...]]


def graph_of(*rows: Row, part: str = ALVEO) -> LoopGraph:
    operations = tuple(
        Operation(opcode, f"v{number}", bits, tuple(Operand(bits, source) for source in sources))
        for number, (opcode, bits, sources) in enumerate(rows)
    )
    dependences = tuple(
        Dependence(source, sink)
        for sink, (_, _, sources) in enumerate(rows)
        for source in dict.fromkeys(sources)
        if source is not None
    )
    return LoopGraph("process", "Loop", DesignContext(5.0, part), operations, dependences)


def test_logic_that_is_used_once_is_part_of_what_uses_it() -> None:
    assert packed(graph_of(("xor", 1, (None, None)), ("and", 1, (0, None)), ("select", 8, (1, None, None)))) == {0, 1}


def test_logic_that_is_used_twice_has_a_lut_of_its_own() -> None:
    rows: list[Row] = [("and", 1, (None, None)), ("or", 1, (0, None)), ("xor", 1, (0, None))]
    assert packed(graph_of(*rows)) == set()


def test_a_lut_has_at_most_five_different_inputs() -> None:
    chain: list[Row] = [("and", 1, (None, None)), *(("and", 1, (number, None)) for number in range(4))]
    assert packed(graph_of(*chain)) == {0, 1, 2}
    shared: list[Row] = [
        ("icmp", 1, (None, None)),
        ("select", 8, (0, None, None)),
        ("select", 8, (0, 1, None)),
        ("select", 8, (0, 2, None)),
    ]
    assert packed(graph_of(*shared)) == {1, 2}


def test_comparisons_and_what_a_sum_takes_are_not_packed() -> None:
    rows: list[Row] = [("icmp", 1, (None, None)), ("and", 1, (0, None)), ("select", 8, (1, None, None))]
    assert packed(graph_of(*rows, ("add", 8, (2, None)))) == {1}


def test_of_three_sums_the_outer_two_are_one_adder_and_the_right_operand_comes_first() -> None:
    rows: list[Row] = [("add", 8, (None, None)), ("add", 8, (0, None)), ("add", 8, (1, None))]
    assert packed(graph_of(*rows)) == {1}
    assert packed(graph_of(("add", 8, (None, None)), ("sub", 8, (None, None)), ("add", 8, (0, 1)))) == {1}


@pytest.mark.parametrize(("bits", "part"), [(9, ALVEO), (8, ZYNQ)])
def test_no_adder_of_three_inputs_behind_an_extension_or_on_7_series(bits: int, part: str) -> None:
    assert packed(graph_of(("add", 8, (None, None)), ("add", bits, (0, None)), part=part)) == set()


def test_what_is_stored_guards_or_ends_the_loop_is_not_packed() -> None:
    graph = graph_of(("and", 1, (None, None)), ("or", 1, (0, None)))
    assert packed(graph) == {0}
    assert packed(replace(graph, carried=(Carried(1, 0, Operand(1)),))) == set()
    assert packed(replace(graph, exit_test=0)) == set()
    guarded = Dependence(0, 1, DependenceKind.PREDICATE)
    assert packed(replace(graph, dependences=(*graph.dependences, guarded))) == set()
    assert packed(replace(graph, dependences=(replace(graph.dependences[0], distance=1),))) == set()


def test_what_is_packed_costs_nothing() -> None:
    rows: list[Row] = [("and", 1, (None, None)), ("and", 1, (0, None)), ("and", 1, (1, None))]
    graph = graph_of(*rows, part=ZYNQ)
    alone, together = (schedule_loop(each, fitted_model()).clock_ns for each in (graph, pack(graph)))
    assert alone == pytest.approx(3 * together)
