"""The constraints of a loop: its dependences, and those that the rules of the tool add."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from codegen.schedule.first_state import first_reads
from codegen.schedule.graph import (
    OUTSIDE,
    Dependence,
    DependenceKind,
    LoopGraph,
    Operation,
    StorageKind,
    Timing,
    exclusive,
)
from codegen.schedule.recurrences import components
from codegen.schedule.rules import VITIS_2024, Rules

ENABLED = frozenset({"read", "write", "nbread", "nbwrite", "store", "call", "readreq", "writereq", "writeresp"})
_WIRES = frozenset({"zext", "sext", "trunc", "partselect", "bitselect", "bitcast", "bitconcatenate"})
_STREAMS = frozenset({StorageKind.STREAM, StorageKind.AXI_STREAM})
_STATUS = frozenset({"nbreadreq", "nbwritereq", "nbread", "nbwrite"})
_AXI_REPLY_CYCLES = 1
_SLICE_OPERATORS = frozenset({"add", "sub", "mul"})
_FIRST_VITIS = "2020.2"
# Of a stream's many accesses, the first few decide when an iteration begins with it.
_FIRST_ACCESSES = 4


class Arc(Enum):
    """How a constraint reaches the sink's start."""

    CHAIN = "chain"  # in the same cycle, behind the source's output
    ENABLE = "enable"  # in the same cycle, behind the source's output, but not in front of the sink's data
    BYPASS = "bypass"  # in the same cycle, at no cost
    CYCLES = "cycles"  # whole cycles after the source's last


@dataclass(frozen=True, slots=True)
class Constraint:
    """``cycles``: of Arc.CYCLES. ``delay_ns``: what a chain adds to the source's output."""

    source: int
    sink: int
    arc: Arc
    distance: int = 0
    cycles: int = 0
    delay_ns: float = 0.0


@dataclass(frozen=True)
class PortGroup:
    """Accesses that share ``ports`` ports, in program order."""

    name: str
    ports: int
    accesses: tuple[int, ...]


@dataclass(frozen=True)
class LoopConstraints:
    """``earliest``: the first cycle and offset of each operation.

    ``exit_tests``: must end in the first II cycles after ``first_cycle``, in which the loop begins.
    """

    constraints: tuple[Constraint, ...]
    ports: tuple[PortGroup, ...]
    earliest: tuple[tuple[int, float], ...]
    exit_tests: tuple[int, ...]
    first_cycle: int
    least_ii: int
    callee: str


def constrain(graph: LoopGraph, timings: Sequence[Timing], rules: Rules, late: Collection[int] = ()) -> LoopConstraints:
    """``late``: registers that are not read in the first state."""
    recurrences = components(graph)
    constraints = [
        *_dependences(graph, timings, _registered(graph, timings, recurrences), recurrences, rules),
        *_stream_order(graph),
    ]
    if rules.access_after_tests:
        constraints += _after_tests(graph)
    if rules.axi_in_order:
        constraints += _axi_order(graph)
    if rules.slice_after_slice:
        constraints += _slices(graph, timings)
    if rules.multiplier_after_read:
        constraints += _multipliers(graph, timings)
    interval, callee = 1, ""
    if rules.callee_interval:
        interval, callee = max(
            ((op.callee.interval, op.callee.name) for op in graph.operations if op.callee), default=(1, "")
        )
    before_exits = guarding(graph, _exit_tests(graph))
    earliest = tuple(first_reads(graph, timings, rules, before_exits, late))
    return LoopConstraints(
        constraints=tuple(constraints),
        ports=tuple(_port_groups(graph)),
        earliest=earliest,
        exit_tests=_exit_tests(graph) if rules.exit_test_in_first_interval else (),
        first_cycle=max((earliest[index][0] for index in before_exits), default=0),
        least_ii=interval,
        callee=callee,
    )


def _registered(graph: LoopGraph, timings: Sequence[Timing], recurrences: Sequence[int]) -> set[int]:
    """Recurrences that keep a register: where an II was asked for, those without an operator of several cycles."""
    if not graph.ii_is_explicit:
        return set()
    pipelined = {recurrences[index] for index, timing in enumerate(timings) if timing.latency}
    return {recurrences[carried.phi] for carried in graph.carried} - pipelined


def _dependences(
    graph: LoopGraph, timings: Sequence[Timing], registered: Container[int], recurrences: Sequence[int], rules: Rules
) -> list[Constraint]:
    found = []
    for d in graph.dependences:
        source, sink = graph.operations[d.source], graph.operations[d.sink]
        if d.kind is DependenceKind.PREDICATE:
            if sink.opcode in ENABLED and rules.guards_chained:
                arc = Arc.ENABLE if rules.read_data_from_clock and sink.opcode in ("read", "nbread") else Arc.CHAIN
                found.append(Constraint(d.source, d.sink, arc, d.distance, d.cycles or 0))
            continue
        if d.kind is DependenceKind.DATA and d.cycles is None:
            stored = source.opcode == "store" and graph.operations[d.source].access is not None
            if d.distance:
                found.append(_carried(d, stored, recurrences[d.sink] in registered, rules))
                if stored and rules.bypass_behind_value and not graph.ii_is_explicit:
                    found += _bypassed(graph, timings, d)
            else:
                found.append(Constraint(d.source, d.sink, Arc.CHAIN))
            continue
        if d.kind is DependenceKind.MEMORY and d.distance and not rules.load_after_store:
            continue
        cycles = d.cycles if d.cycles is not None else int(source.opcode == "store" and sink.opcode == "load")
        found.append(Constraint(d.source, d.sink, Arc.CYCLES, d.distance, cycles))
    return found


def _carried(d: Dependence, stored: bool, registered: bool, rules: Rules) -> Constraint:
    """A scalar for the next iteration: through a register, or past it in the very cycle in which it is written."""
    if registered and stored:
        return Constraint(d.source, d.sink, Arc.CYCLES, d.distance, 1)
    if stored and rules.register_bypass:
        return Constraint(d.source, d.sink, Arc.BYPASS, d.distance)
    return Constraint(d.source, d.sink, Arc.CHAIN, d.distance)


def _bypassed(graph: LoopGraph, timings: Sequence[Timing], d: Dependence) -> list[Constraint]:
    """What goes past a register comes behind the value and the register's multiplexer.

    Not so for an operator of several cycles that takes it directly: that has a register in front. Nor for an integer
    sum of several cycles: a DSP slice, whose accumulator is that register.
    """
    values = [
        value.source
        for value in graph.incoming[d.source]
        if value.kind is DependenceKind.DATA and value.distance == 0 and not _in_slice(graph, timings, value.source)
    ]
    return [
        Constraint(value, sink, Arc.CHAIN, d.distance, delay_ns=timings[d.source].delay_ns)
        for sink in _takers(graph, d.sink)
        if not timings[sink].latency
        for value in values
    ]


def _in_slice(graph: LoopGraph, timings: Sequence[Timing], operation: int) -> bool:
    return graph.operations[operation].opcode in _SLICE_OPERATORS and timings[operation].latency > 0


def _takers(graph: LoopGraph, load: int) -> list[int]:
    """Operations that take what is loaded, directly or through wires."""
    found, waiting, seen = [], [load], {load}
    while waiting:
        for use in graph.outgoing[waiting.pop()]:
            if use.distance or use.kind is not DependenceKind.DATA or use.sink in seen:
                continue
            seen.add(use.sink)
            if graph.operations[use.sink].opcode in _WIRES:
                waiting.append(use.sink)
            else:
                found.append(use.sink)
    return found


def _by_storage(graph: LoopGraph, kinds: frozenset[StorageKind]) -> dict[tuple[str, int], list[int]]:
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, operation in enumerate(graph.operations):
        storage = graph.storage_of(operation)
        if operation.access is not None and storage is not None and storage.kind in kinds:
            groups[operation.access.port_group].append(index)
    return groups


def _direction(operation: Operation) -> str:
    return "write" if "write" in operation.opcode else "read"


def _stream_order(graph: LoopGraph) -> list[Constraint]:
    """Reads of one stream stand in different cycles in program order, and so do its writes."""
    found = []
    for accesses in _by_storage(graph, _STREAMS).values():
        for direction in ("read", "write"):
            same = [
                i for i in accesses if _direction(graph.operations[i]) == direction and _transfers(graph.operations[i])
            ]
            for position, second in enumerate(same):
                for first in reversed(same[:position]):
                    if not exclusive(graph.operations[first].predicate, graph.operations[second].predicate):
                        found.append(Constraint(first, second, Arc.CYCLES, 0, 1))
                        break
                # The next iteration begins with the stream when this one is through with it.
                found += [Constraint(second, first, Arc.CYCLES, 1, 1) for first in same[:position][:_FIRST_ACCESSES]]
    return found


def _transfers(operation: Operation) -> bool:
    return operation.opcode not in ("nbreadreq", "nbwritereq")


def _after_tests(graph: LoopGraph) -> list[Constraint]:
    """Accesses behind the tests that guard them, and behind the exit test as calls are, unless that comes last.

    Not behind a test that was made before: whose result a register holds, or that is known before the loop. Of tests
    that a stream's status decides (empty, a read that does not wait) nothing was seen: accesses stay beside them, as a
    status grows old.
    """
    found = []
    exit_tests = () if graph.exit_test is None or not graph.tests_first else (graph.exit_test,)
    before = guarding(graph, exit_tests)
    made_before = _known_early(graph) | _from_status(graph)
    new = graph.context.tool_version >= VITIS_2024
    for index, operation in enumerate(graph.operations):
        storage = graph.storage_of(operation)
        accesses = storage is not None and _stands_after_test(storage.kind, operation, new) and _transfers(operation)
        tests = {test for term in operation.predicate for test, _ in term} - made_before if accesses else set()
        if (accesses or operation.opcode == "call") and index not in before:
            tests.update(exit_tests)
        found += [Constraint(test, index, Arc.CYCLES, 0, 1) for test in sorted(tests)]
    return found


def _known_early(graph: LoopGraph) -> set[int]:
    """What is there when an iteration begins: registers, what is known before the loop, and bits of these."""
    known = {carried.phi for carried in graph.carried}
    for index, operation in enumerate(graph.operations):
        wired = operation.opcode in _WIRES and all(
            operand.source is None or operand.source in known for operand in operation.operands
        )
        if wired or operation.opcode == OUTSIDE:
            known.add(index)
    return known


def _from_status(graph: LoopGraph) -> set[int]:
    """What is computed, in the same iteration, from whether a stream has an element or room."""
    status = [index for index, operation in enumerate(graph.operations) if operation.opcode in _STATUS]
    return _reached(status, lambda index: [d.sink for d in graph.outgoing[index] if _is_value(d)])


def _is_value(dependence: Dependence) -> bool:
    return dependence.distance == 0 and dependence.kind is DependenceKind.DATA


def _stands_after_test(kind: StorageKind, operation: Operation, new: bool) -> bool:
    """FIFOs and AXI ports are accessed, and AXI streams written, behind the exit test; AXI streams are read beside it
    before 2024."""
    if kind is StorageKind.AXI_STREAM:
        return new or _direction(operation) == "write"
    return kind in (StorageKind.STREAM, StorageKind.AXI)


def _exit_tests(graph: LoopGraph) -> tuple[int, ...]:
    return () if graph.exit_test is None else (graph.exit_test, *graph.further_exits)


def guarding(graph: LoopGraph, tests: Collection[int]) -> set[int]:
    """The tests, and what they depend on in their iteration."""
    return _reached(tests, lambda index: [d.source for d in graph.incoming[index] if d.distance == 0])


def _reached(seeds: Collection[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    found, queue = set(seeds), list(seeds)
    while queue:
        fresh = set(following(queue.pop())) - found
        found |= fresh
        queue += fresh
    return found


def _multipliers(graph: LoopGraph, timings: Sequence[Timing]) -> list[Constraint]:
    """Reads whose data reaches a pipelined multiplier through wires only."""
    found = []
    for index, operation in enumerate(graph.operations):
        if operation.opcode != "mul" or not timings[index].latency:
            continue
        queue, seen = [index], {index}
        while queue:
            for d in graph.incoming[queue.pop()]:
                storage = graph.storage_of(graph.operations[d.source])
                if d.distance or d.kind is not DependenceKind.DATA or d.source in seen:
                    continue
                seen.add(d.source)
                if storage is not None and storage.kind in _STREAMS:
                    found.append(Constraint(d.source, index, Arc.CYCLES, 0, 1))
                elif graph.operations[d.source].opcode in _WIRES:
                    queue.append(d.source)
    return found


def _slices(graph: LoopGraph, timings: Sequence[Timing]) -> list[Constraint]:
    """Products that a DSP slice gives at its clock, with nothing behind its register, and the slices that take them."""
    old = graph.context.tool_version < _FIRST_VITIS
    return [
        Constraint(index, taker, Arc.CYCLES, 0, 1)
        for index, operation in enumerate(graph.operations)
        if operation.opcode == "mul" and not operation.merged
        if timings[index].latency and not timings[index].output_delay_ns
        for taker in _takers(graph, index)
        if graph.operations[taker].opcode in _SLICE_OPERATORS and (timings[taker].latency or old)
    ]


def _axi_order(graph: LoopGraph) -> list[Constraint]:
    """Request, data, response of one AXI port follow each other."""
    found = []
    chains = (("readreq", "read"), ("writereq", "write"), ("write", "writeresp"))
    for accesses in _by_storage(graph, frozenset({StorageKind.AXI})).values():
        for before, after in chains:
            for position, second in enumerate(accesses):
                if graph.operations[second].opcode != after:
                    continue
                first = next((i for i in reversed(accesses[:position]) if graph.operations[i].opcode == before), None)
                if first is not None:
                    found.append(Constraint(first, second, Arc.CYCLES, 0, _AXI_REPLY_CYCLES))
    return found


def _port_groups(graph: LoopGraph) -> list[PortGroup]:
    groups = []
    limited = frozenset({StorageKind.MEMORY, StorageKind.AXI, *_STREAMS})
    for (name, bank), accesses in _by_storage(graph, limited).items():
        storage = graph.storages[name]
        label = name if not bank else f"{name} bank {bank}"
        if storage.kind is not StorageKind.MEMORY or storage.write_ports is not None:
            for direction in ("read", "write"):
                chosen = tuple(i for i in accesses if _uses(graph.operations[i], direction, storage.kind))
                ports = (
                    storage.write_ports if direction == "write" and storage.write_ports is not None else storage.ports
                )
                groups.append(PortGroup(label, ports or 1, chosen))
        elif storage.ports:
            groups.append(PortGroup(label, storage.ports, tuple(accesses)))
    return [group for group in groups if len(group.accesses) > 1]


def _uses(operation: Operation, direction: str, kind: StorageKind) -> bool:
    if kind is StorageKind.MEMORY:
        return (operation.opcode == "store") == (direction == "write")
    return operation.opcode in ("read", "nbread") if direction == "read" else operation.opcode in ("write", "nbwrite")
