"""Recurrences of a loop: operations that depend on each other across iterations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from codegen.schedule.graph import DependenceKind, LoopGraph, StorageKind, Timing


def components(graph: LoopGraph) -> list[int]:
    """The strongly connected component of each operation, by number (Kosaraju's two passes, without recursion)."""
    size = len(graph.operations)
    forward: list[list[int]] = [[d.sink for d in graph.outgoing[index]] for index in range(size)]
    backward: list[list[int]] = [[d.source for d in graph.incoming[index]] for index in range(size)]
    component = [-1] * size
    number = 0
    for root in reversed(_finishing_order(forward)):
        if component[root] >= 0:
            continue
        stack = [root]
        component[root] = number
        while stack:
            for neighbour in backward[stack.pop()]:
                if component[neighbour] < 0:
                    component[neighbour] = number
                    stack.append(neighbour)
        number += 1
    return component


def _finishing_order(forward: Sequence[Sequence[int]]) -> list[int]:
    seen = [False] * len(forward)
    order: list[int] = []
    for root in range(len(forward)):
        if seen[root]:
            continue
        seen[root] = True
        stack = [(root, iter(forward[root]))]
        while stack:
            node, neighbours = stack[-1]
            following = next((n for n in neighbours if not seen[n]), None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                seen[following] = True
                stack.append((following, iter(forward[following])))
    return order


def overlong(graph: LoopGraph, timings: Sequence[Timing], allowed_ns: float) -> set[int]:
    """Recurrences of registers and operators within a cycle that take longer than ``allowed_ns``."""
    component = components(graph)
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(component):
        members[number].append(index)
    found: set[int] = set()
    for number, group in members.items():
        if len(group) < 2 or any(timings[index].latency for index in group):
            continue
        storages = (graph.storage_of(graph.operations[index]) for index in group)
        if any(storage is not None and storage.kind is StorageKind.MEMORY for storage in storages):
            continue
        if _longest(graph, timings, component, number, group) > allowed_ns:
            found.update(group)
    return found


def _longest(
    graph: LoopGraph, timings: Sequence[Timing], component: Sequence[int], number: int, group: Sequence[int]
) -> float:
    """The longest chain of data within a recurrence and an iteration, in ns."""
    degree = dict.fromkeys(group, 0)
    sinks: dict[int, list[int]] = {index: [] for index in group}
    for index in group:
        for d in graph.outgoing[index]:
            if d.distance == 0 and d.kind is DependenceKind.DATA and component[d.sink] == number:
                sinks[index].append(d.sink)
                degree[d.sink] += 1
    start = dict.fromkeys(group, 0.0)
    ready = [index for index in group if degree[index] == 0]
    longest = 0.0
    while ready:
        index = ready.pop()
        end = start[index] + timings[index].delay_ns
        longest = max(longest, end)
        for sink in sinks[index]:
            start[sink] = max(start[sink], end)
            degree[sink] -= 1
            if degree[sink] == 0:
                ready.append(sink)
    return longest
