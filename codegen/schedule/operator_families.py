"""Operators that share their delays, and the size that a delay grows with."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.schedule.graph import LoopGraph, Operand, Operation
from codegen.schedule.multiplications import own_bits

# Wires: no delay (every report).
FREE = frozenset(
    {"zext", "sext", "trunc", "partselect", "bitselect", "bitconcatenate", "bitset", "partset", "getelementptr"}
    | {"bitcast", "extractvalue", "insertvalue", "phi", "br", "nbreadreq", "nbwritereq", "muxlogic"}
)
_EXTENSIONS = frozenset({"zext", "sext"})
_SUMS = frozenset({"add", "sub"})
_LOGIC = frozenset({"and", "or", "xor"})
_SHIFTS = frozenset({"shl", "lshr", "ashr"})
_MULTIPLEXERS = frozenset({"mux", "sparsemux"})
_DIVISIONS = frozenset({"sdiv", "udiv", "srem", "urem"})
_OTHERS = frozenset({"icmp", "select", "switch", "ctlz", "cttz", "memshiftread"})

# From these versions on an operator is charged otherwise: comparisons as what they are built of, a subtraction; the
# multiplexers of registers less; a DSP slice with the registers that it has.
_EDITIONS = {"icmp": "2023.1", "register": "2020.2", "sum_in_slice": "2020.2", "product_in_slice": "2020.2"}


def edition(family: str, version: str) -> str:
    """``icmp 2023.1`` for what has been charged since then; the bare name for what was before, and never changed."""
    since = _EDITIONS.get(family)
    return f"{family} {since}" if since is not None and version >= since else family


def base_family(opcode: str) -> str | None:
    """The family of an operator that is on its own; None for wires, and what other modules know the delay of."""
    if opcode in _SUMS:
        return "add"
    if opcode in _LOGIC:
        return "logic"
    if opcode in _SHIFTS:
        return "shift"
    if opcode in _MULTIPLEXERS:
        return "mux"
    if opcode in _DIVISIONS:
        return "division"
    return opcode if opcode in _OTHERS else None


def is_wiring(opcode: str, constant: bool) -> bool:
    """Whether an operator is none: a shift by a ``constant``, an or with one (of an address; all 1,848 in reports)."""
    return opcode in FREE or (constant and (opcode in _SHIFTS or opcode == "or"))


def classify(graph: LoopGraph, operation: Operation) -> tuple[str, int] | None:
    """Family and size of an operator that stands in logic or in a DSP slice; None for wires and what is none of both.

    What a report marks as merged is part of its user: a product of a sum in a DSP slice, where it takes the slice's
    first states, a sum of an adder of three inputs, logic of a LUT.
    """
    if operation.merged:
        return ("product_in_slice", 1) if operation.opcode == "mul" else None
    amount = operation.operands[1].constant if len(operation.operands) > 1 else None
    family = base_family(operation.opcode)
    if family is None or is_wiring(operation.opcode, amount is not None):
        return None
    if family == "add":
        inner = {source.opcode for source in merged_sources(graph, operation)}
        if "mul" in inner:
            return "sum_in_slice", 1
        family = "sum_of_three" if inner & _SUMS else family
    return family, _size(graph, family, operation)


def _size(graph: LoopGraph, family: str, operation: Operation) -> int:
    if family == "mux":
        return max(len(operation.operands) - 1, 2)
    if family in ("add", "sum_of_three", "icmp"):
        own = max((own_bits(graph, operation, place) for place in range(len(operation.operands))), default=1)
        return max(own if family == "icmp" else min(own, operation.bits or own), 1)
    return max(operation.bits, 1)


def merged_sources(graph: LoopGraph, operation: Operation) -> Iterator[Operation]:
    """What is merged into an operation, directly or behind an extension."""
    for operand in operation.operands:
        source = _source(graph, operand)
        while source is not None and source.opcode in _EXTENSIONS and source.operands:
            source = _source(graph, source.operands[0])
        if source is not None and source.merged:
            yield source


def _source(graph: LoopGraph, operand: Operand) -> Operation | None:
    return None if operand.source is None else graph.operations[operand.source]
