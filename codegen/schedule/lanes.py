"""Identical lanes of a loop are scheduled once.

Two operations are alike when they are the same operator with the same widths, wait for operations that are alike in the
same way, and (for accesses) stand at the same place of a port whose accesses are alike. Every bound on an operation's
cycle and every cycle through iterations is then that of its likes, so the schedule of one stands for all of them: a
loop's II, depth and clock are those of the whole graph (tests/codegen/schedule/test_lanes.py compares them).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.schedule.graph import Carried, Dependence, LoopGraph, Operation, Term
from codegen.schedule.partition import coarsest_partition
from codegen.schedule.recurrences import components


@dataclass(frozen=True)
class MergedGraph:
    """``graph`` with one operation of each kind; ``copies``: how many each stands for; ``place``: where each went."""

    graph: LoopGraph
    copies: tuple[int, ...]
    place: tuple[int, ...]


def merge_lanes(graph: LoopGraph) -> MergedGraph:
    """One operation for all that are alike, the first in program order."""
    kinds = _kinds(graph)
    representative: dict[int, int] = {}
    for number, kind in enumerate(kinds):
        representative.setdefault(kind, number)
    kept = sorted(representative.values())
    new_number = {old: new for new, old in enumerate(kept)}
    place = tuple(new_number[representative[kind]] for kind in kinds)
    copies = [0] * len(kept)
    for number in place:
        copies[number] += 1
    merged = replace(
        graph,
        operations=tuple(_renumbered(graph.operations[old], place) for old in kept),
        dependences=tuple(dict.fromkeys(_moved(each, place) for each in graph.dependences)),
        carried=_merged_carried(graph.carried, place),
        exit_test=None if graph.exit_test is None else place[graph.exit_test],
        further_exits=tuple(place[number] for number in graph.further_exits),
    )
    return MergedGraph(merged, tuple(copies), place)


def _renumbered(operation: Operation, place: tuple[int, ...]) -> Operation:
    operands = tuple(
        each if each.source is None else replace(each, source=place[each.source]) for each in operation.operands
    )
    predicate = tuple(
        dict.fromkeys(frozenset((place[name], value) for name, value in term) for term in operation.predicate)
    )
    return replace(operation, operands=operands, predicate=predicate)


def _moved(dependence: Dependence, place: tuple[int, ...]) -> Dependence:
    return replace(dependence, source=place[dependence.source], sink=place[dependence.sink])


def _merged_carried(carried: tuple[Carried, ...], place: tuple[int, ...]) -> tuple[Carried, ...]:
    found: dict[int, Carried] = {}
    for each in carried:
        following = None if each.next is None else place[each.next]
        found.setdefault(place[each.phi], replace(each, phi=place[each.phi], next=following))
    return tuple(found.values())


def _kinds(graph: LoopGraph) -> list[int]:
    """The coarsest partition in which likes wait for likes. Each port group is a node, behind the operations."""
    carried = {each.phi: each for each in graph.carried}
    ports = _port_groups(graph)
    size = len(graph.operations)
    group_node = {group: size + number for number, group in enumerate(ports)}
    positions = {number: at for members in ports.values() for at, number in enumerate(members)}
    cycles = _opcodes_around(graph)
    own: list[Hashable] = [
        (_own(graph, number, carried, positions.get(number)), cycles[number]) for number in range(size)
    ]
    own += ["port group"] * len(ports)
    labels: dict[Hashable, int] = {}
    edges = [_edges_of(graph, number, carried, group_node, labels) for number in range(size)]
    edges += [_Edges(ordered=members) for members in ports.values()]
    kinds = coarsest_partition(
        own, [each.neighbours for each in edges], lambda node, classes: edges[node].seen(classes)
    )
    return kinds[:size]


@dataclass(frozen=True, slots=True)
class _Edges:
    """Neighbours of a node: in order, in a set with the number of what the edge is, and in its predicate."""

    ordered: tuple[int, ...]
    waits: tuple[tuple[int, int], ...] = ()
    terms: tuple[Term, ...] = ()

    @property
    def neighbours(self) -> tuple[int, ...]:
        named = tuple(name for term in self.terms for name, _ in term)
        return (*self.ordered, *(source for source, _ in self.waits), *named)

    def seen(self, classes: Sequence[int]) -> Hashable:
        waits = frozenset((classes[source], label) for source, label in self.waits)
        terms = frozenset(frozenset((classes[name], value) for name, value in term) for term in self.terms)
        return tuple(classes[node] for node in self.ordered), waits, terms


def _edges_of(
    graph: LoopGraph,
    number: int,
    carried: Mapping[int, Carried],
    group_node: Mapping[tuple[str, int], int],
    labels: dict[Hashable, int],
) -> _Edges:
    operation = graph.operations[number]
    ordered = [each.source for each in operation.operands if each.source is not None]
    if operation.access is not None:
        ordered.append(group_node[operation.access.port_group])
    following = carried[number].next if number in carried else None
    if following is not None:
        ordered.append(following)
    waits = tuple(
        (each.source, labels.setdefault((each.kind, each.distance, each.cycles), len(labels)))
        for each in graph.incoming[number]
    )
    return _Edges(tuple(ordered), waits, operation.predicate)


def _opcodes_around(graph: LoopGraph) -> list[frozenset[str]]:
    """Opcodes on the recurrence of each operation: what is not looked at by it is not like what is."""
    recurrences = components(graph)
    found: dict[int, set[str]] = {}
    for operation, number in zip(graph.operations, recurrences, strict=True):
        found.setdefault(number, set()).add(operation.opcode)
    return [frozenset(found[number]) for number in recurrences]


def _weight(opcode: str, constant: int | None) -> int | None:
    """What a constant operand does to an operator's cost: its value only where it is multiplied or divided by."""
    if constant is None or opcode in ("mul", "udiv", "sdiv", "urem", "srem"):
        return constant
    return 0


def _port_groups(graph: LoopGraph) -> Mapping[tuple[str, int], tuple[int, ...]]:
    """The accesses of each bank of each storage, in program order."""
    groups: dict[tuple[str, int], list[int]] = {}
    for number, operation in enumerate(graph.operations):
        if operation.access is not None:
            groups.setdefault(operation.access.port_group, []).append(number)
    return {group: tuple(members) for group, members in groups.items()}


def _initial(carried: Carried) -> Hashable:
    distance = None if carried.next is None else carried.distance
    return carried.initial.constant is None, carried.initial_delay_ns, distance


def _own(graph: LoopGraph, number: int, carried: Mapping[int, Carried], place: int | None) -> Hashable:
    """What an operation is without looking at others. ``place``: of an access among those of its port."""
    operation = graph.operations[number]
    storage = graph.storage_of(operation)
    return (
        operation.opcode,
        operation.bits,
        tuple(
            (each.source is None, each.bits, _weight(operation.opcode, each.constant), each.signed)
            for each in operation.operands
        ),
        operation.condition,
        operation.callee,
        operation.timing,
        operation.merged,
        None if storage is None else replace(storage, name=""),
        place,
        _initial(carried[number]) if number in carried else None,
        number == graph.exit_test,
        number in graph.further_exits,
    )
