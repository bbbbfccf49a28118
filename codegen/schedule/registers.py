"""Flip-flops of a scheduled loop: values that are used after the stage in which they are there, and what it carries."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.schedule.graph import DependenceKind, LoopGraph, StorageKind
from codegen.schedule.result import LoopSchedule

_VALUES = (DependenceKind.DATA, DependenceKind.PREDICATE)


def register_bits(graph: LoopGraph, schedule: LoopSchedule, place: Sequence[int] | None = None) -> int:
    """Flip-flops that the loop needs: a value that is held for n cycles takes ceil(n / II) registers, in a loop that is
    not pipelined one; what an iteration leaves to the next takes its own.

    ``place``: where each operation of ``graph`` went in the graph that ``schedule`` is of (`MergedGraph.place`): lanes
    that are alike are scheduled once, but each has its registers, as long as what uses it needs them.
    """
    found = sum(graph.operations[each.phi].bits for each in graph.carried)
    interval = schedule.initiation_interval if graph.pipelined else max(schedule.depth, 1)
    for index in range(len(graph.operations)):
        first, last = _held(graph, schedule, place, index)
        found += _bits(graph, index) * -(-max(last - first, 0) // interval)
    return found


def _held(graph: LoopGraph, schedule: LoopSchedule, place: Sequence[int] | None, index: int) -> tuple[int, int]:
    """The stage in which the operation's result is there, and the last in which something takes it."""

    def at(operation: int) -> int:
        return operation if place is None else place[operation]

    uses = (
        schedule.cycles[at(each.sink)] + each.distance * schedule.initiation_interval
        for each in graph.outgoing[index]
        if each.kind in _VALUES
    )
    return schedule.last_cycles[at(index)], min(max(uses, default=0), schedule.depth - 1)


def _bits(graph: LoopGraph, index: int) -> int:
    """Of the result. A constant table is one row of all its entries in the graph; what is kept of it is what those who
    read it choose."""
    operation = graph.operations[index]
    storage = graph.storage_of(operation)
    if storage is None or storage.kind is not StorageKind.ROM:
        return operation.bits
    readers = {each.sink for each in graph.outgoing[index] if each.kind in _VALUES}
    return min(operation.bits, sum(graph.operations[reader].bits for reader in readers))
