"""Ports of memories and streams, modulo II: which access has to wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from codegen.schedule.chaining import OperationTimes
from codegen.schedule.constraints import PortGroup
from codegen.schedule.graph import LoopGraph, Operation, exclusive


def least_interval(graph: LoopGraph, group: PortGroup, share: bool) -> int:
    """The II that the accesses of a group need which can never share a port (found greedily: a lower bound)."""
    together: list[int] = []
    for access in group.accesses:
        operation = graph.operations[access]
        if not (share and any(_shares(graph.operations[other], operation) for other in together)):
            together.append(access)
    return -(-len(together) // group.ports)


def conflicts(
    graph: LoopGraph, groups: Sequence[PortGroup], placement: OperationTimes, interval: int, share: bool
) -> dict[int, int]:
    """Accesses without a port in their cycle, with the next cycle in which one is free; {}: all have one."""
    delayed: dict[int, int] = {}
    for group in groups:
        delayed.update(_group_conflicts(graph, group, placement, interval, share))
    return delayed


def _group_conflicts(
    graph: LoopGraph, group: PortGroup, placement: OperationTimes, interval: int, share: bool
) -> dict[int, int]:
    slots: dict[int, list[list[int]]] = defaultdict(list)
    delayed = {}
    ordered = sorted(group.accesses, key=lambda i: (placement.cycle[i], i))
    for access in ordered:
        for wait in range(interval):
            users = slots[(placement.cycle[access] + wait) % interval]
            if _take(graph, users, access, group.ports, placement, wait, share):
                if wait:
                    delayed[access] = placement.cycle[access] + wait
                break
        else:
            delayed[access] = placement.cycle[access] + interval
    return delayed


def _take(
    graph: LoopGraph, users: list[list[int]], access: int, ports: int, placement: OperationTimes, wait: int, share: bool
) -> bool:
    """Give ``access`` a port of the slot: one whose users it excludes, else a free one."""
    operation = graph.operations[access]
    for port in users:
        if share and all(
            placement.cycle[user] == placement.cycle[access] + wait and _shares(graph.operations[user], operation)
            for user in port
        ):
            port.append(access)
            return True
    if len(users) < ports:
        users.append([access])
        return True
    return False


def _shares(first: Operation, second: Operation) -> bool:
    same = (
        first.access is not None
        and second.access is not None
        and first.access.address is not None
        and first.access.address == second.access.address
        and "load" in (first.opcode, second.opcode)
    )
    return same or exclusive(first.predicate, second.predicate)
