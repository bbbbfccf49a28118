"""What synthesis packs into another operator before it schedules: it costs nothing where it stands.

Bitwise logic and selections whose only use is bitwise logic or a selection are part of that one's LUT, as long as the
LUT has at most five different inputs. A sum or difference whose only use is a sum or difference of the same width is
part of an adder of three inputs; on 7-series that adder costs what two do. Reports mark both (``grouping``).
"""

from __future__ import annotations

from dataclasses import replace

from codegen.schedule.devices import is_seven_series
from codegen.schedule.graph import LoopGraph, Operand

_LOGIC = frozenset({"and", "or", "xor", "select"})
_SUMS = frozenset({"add", "sub"})
_LUT_INPUTS = 5
# An operation of the loop, or an input from outside by the operation that reads it and its place there.
_Input = int | tuple[int, int]


def pack(graph: LoopGraph) -> LoopGraph:
    """``graph`` with the operations that are part of others marked as merged."""
    within = packed(graph)
    operations = tuple(
        replace(operation, merged=True) if number in within else operation
        for number, operation in enumerate(graph.operations)
    )
    return replace(graph, operations=operations)


def packed(graph: LoopGraph) -> set[int]:
    """Operations that become part of the only one that uses them, by position."""
    alone = _used_once(graph)
    return _within_luts(graph, alone) | _within_sums(graph, alone)


def _used_once(graph: LoopGraph) -> set[int]:
    """Operations whose only use is an operand of this iteration."""
    found = {
        number
        for number, uses in enumerate(graph.outgoing)
        if len({(use.sink, use.kind, use.distance) for use in uses}) == 1 and uses[0].distance == 0
    }
    stored = {carried.next for carried in graph.carried}
    return found - stored - {graph.exit_test, *graph.further_exits}


def _within_luts(graph: LoopGraph, alone: set[int]) -> set[int]:
    found: set[int] = set()
    inputs: dict[int, frozenset[_Input]] = {}
    for number, operation in enumerate(graph.operations):
        if operation.opcode not in _LOGIC:
            continue
        own: frozenset[_Input] = frozenset(
            _input(number, place, operand)
            for place, operand in enumerate(operation.operands)
            if operand.constant is None
        )
        sources = [source for source in own if isinstance(source, int) and source in inputs and source in alone]
        for source in sorted(sources, key=lambda each: (len(inputs[each]), each)):
            joined = (own - {source}) | inputs[source]
            if len(joined) <= _LUT_INPUTS:
                own = joined
                found.add(source)
        inputs[number] = own
    return found


def _input(number: int, place: int, operand: Operand) -> _Input:
    return (number, place) if operand.source is None else operand.source


def _within_sums(graph: LoopGraph, alone: set[int]) -> set[int]:
    """Outer sums first, and of two operands the right one: the order in which reports show them."""
    if is_seven_series(graph.context.part):
        return set()
    found: set[int] = set()
    for number in reversed(range(len(graph.operations))):
        operation = graph.operations[number]
        if operation.opcode not in _SUMS or number in found:
            continue
        for operand in reversed(operation.operands):
            source = operand.source
            if source is None or source not in alone:
                continue
            inner = graph.operations[source]
            if inner.opcode in _SUMS and inner.bits == operation.bits:
                found.add(source)
                break
    return found
