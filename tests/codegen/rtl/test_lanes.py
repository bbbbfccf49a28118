"""Lanes of a loop's netlist: found where logic is the same, and only there; written once, connected to each its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codegen.rtl.builder import Builder
from codegen.rtl.lane_modules import move_lanes
from codegen.rtl.lanes import find_lanes
from codegen.rtl.names import Names
from codegen.rtl.nodes import Kind, Literal, Ref, RtlNode, settle, stage_text
from codegen.rtl.render import render_process
from codegen.rtl.texts import Assignment, PieceText, ProcessText, RegisterText, Wire

LANES, TERMS = 8, 6


def row_of(builder: Builder, bits: int) -> RtlNode:
    address = builder.node("address", 4, (), lambda _: "4'd0")
    return builder.node("row", bits, (address,), lambda o: o[0], Kind.REGISTERED, ram="rows")


def lane(builder: Builder, row: Ref, weights: list[Ref], number: int, change: str = "") -> RtlNode:
    """A sum of products; ``change``: what is otherwise in it."""
    total: Ref = Literal(16, 0)
    for term, weight in enumerate(weights):
        used = weights[term - 1] if change == "operand" and term == 0 else weight
        if change == "widening" and term == 0 and isinstance(weight, RtlNode):
            used = builder.resized(weight.operands[0], 16)
        operand = builder.slice(row, 8 * (LANES * term + number), 8)
        wide = builder.resized(operand, 16, signed=True)
        sign = "-" if change == "operator" and term == 0 else "+"
        start = 2 if change == "stage" and term == 0 else 0
        product = builder.node("product", 16, (wide, used), lambda o: f"{o[0]} * {o[1]}", start=start, latency=1)
        total = builder.node("total", 16, (total, product), lambda o, s=sign: f"{o[0]} {s} {o[1]}")  # type: ignore[misc]
    assert isinstance(total, RtlNode)
    return total


def built(change: str = "") -> tuple[Builder, list[RtlNode], dict[RtlNode, str]]:
    """All lanes, the last one with ``change``, and which nodes read a storage."""
    builder = Builder(Names())
    row = row_of(builder, 8 * LANES * TERMS)
    element = builder.node("tile", 16 * TERMS, (), lambda _: "tiles_data", Kind.SITE)
    weights = [builder.resized(builder.slice(element, 16 * term, 8), 16, signed=True) for term in range(TERMS)]
    results = [lane(builder, row, weights, number, change if number == LANES - 1 else "") for number in range(LANES)]
    settle(builder.piece.nodes)
    return builder, results, {row: "rows", element: "tiles"}


def test_lanes_are_found_and_what_they_share_is_in_none() -> None:
    builder, results, storages = built()
    (found,) = find_lanes(builder.piece.nodes, storages)
    assert len(found.copies) == LANES
    assert [copy[-1] for copy in found.copies] == results
    # Of each term a widening, a product and a sum; parts of the row and of the tile are operands.
    assert {len(copy) for copy in found.copies} == {3 * TERMS}
    inside = [node for copy in found.copies for node in copy]
    assert len(set(inside)) == len(inside)
    for copy in found.copies:
        for place, node in enumerate(copy):
            assert all(each not in copy[place:] for each in node.operands)


@pytest.mark.parametrize("change", ["operand", "widening", "operator", "stage"])
def test_a_lane_in_which_one_thing_is_otherwise_is_no_copy(change: str) -> None:
    builder, results, storages = built(change)
    (found,) = find_lanes(builder.piece.nodes, storages)
    assert [copy[-1] for copy in found.copies] == results[:-1]


def _more_registers(results: list[RtlNode]) -> None:
    results[-1].delays = 1


def _other_constant(results: list[RtlNode]) -> None:
    results[-1].operands = (Literal(16, 1), results[-1].operands[1])


@pytest.mark.parametrize("change", [_more_registers, _other_constant])
def test_neither_is_one_with_other_registers_or_constants(change: Callable[[list[RtlNode]], None]) -> None:
    builder, results, storages = built()
    change(results)
    (found,) = find_lanes(builder.piece.nodes, storages)
    assert results[-1] not in {node for copy in found.copies for node in copy}


def test_no_lanes_in_logic_that_stands_once() -> None:
    builder = Builder(Names())
    row = row_of(builder, 64)
    total: Ref = builder.slice(row, 0, 8)
    for place in range(1, 20):
        total = builder.node("total", 8, (total, builder.slice(row, place % 8, 8)), lambda o: f"{o[0]} + {o[1]}")
    settle(builder.piece.nodes)
    assert find_lanes(builder.piece.nodes, {row: "rows"}) == []


def test_a_module_has_the_text_of_one_lane_and_each_instance_its_own_operands() -> None:
    builder, results, storages = built()
    (found,) = find_lanes(builder.piece.nodes, storages)
    for result in results:
        result.delays = 1  # something reads it one stage later
    piece = PieceText("loop lanes", "")
    for node in builder.piece.nodes:
        text = node.text([stage_text(each, node.stage) for each in node.operands])
        piece.wires.append(Wire(node.bits, node.name, text, ""))
        for delay in range(1, node.delays + 1):
            piece.registers.append(RegisterText(node.bits, f"{node.name}_d{delay}"))
            piece.assignments.append(Assignment(f"{node.name}_d{delay}", node.name))
    updates = [Assignment(f"kept_{each.name}", f"{each.name}_d1", "always") for each in results]
    process = ProcessText("adder", "adder", "adder.cpp", (), [], [], [], [], [], [piece], [], [], updates)
    move_lanes(process, [(piece, found)])
    (module,) = piece.lanes
    (inner,) = module.outputs
    # Only what is used outside leaves a lane: the register, not the wire in front of it.
    assert inner == RegisterText(16, f"{results[0].name}_d1")
    assert [each.name for each in module.results] == [f"{each.name}_d1" for each in results]
    assert [dict(each.connections)[inner.name] for each in module.instances] == [f"{each.name}_d1" for each in results]
    parts = [{outer for _, outer in each.connections if outer not in ("clk", "go")} for each in module.instances]
    parts = [part - {each.name for each in module.results} for part in parts]
    own = set.intersection(*parts)
    # The weights, as wide as the tile has them: a multiplier that does not see the copies of the sign is a wide one.
    assert len(own) == TERMS
    assert all(outer.endswith("[7:0]") for outer in own)
    assert all(each.bits == 8 for each in module.inputs)
    assert all(len(part - own) == TERMS for part in parts)  # and parts of the row, each its own
    assert sum(len(part - own) for part in parts) == len(set.union(*parts) - own)
    left = {each.name for each in (*piece.wires, *piece.registers)}
    assert left.isdisjoint(each.name for copy in found.copies for each in copy)
    verilog = render_process(process)
    assert verilog.count("adder_lane adder_lane_") == LANES
    assert verilog.count(" * ") == TERMS
