"""The coarsest partition of a graph's nodes in which nodes that are alike have neighbours that are alike.

A class that splits keeps its number for its largest part, so a node is looked at again only as often as a neighbour of
it leaves a class for a smaller one (Hopcroft, "An n log n algorithm for minimizing states in a finite automaton").
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

# What tells a node from others, by the classes of its neighbours; it may look at no other nodes.
Signature = Callable[[int, Sequence[int]], Hashable]


def coarsest_partition(own: Sequence[Hashable], neighbours: Sequence[Iterable[int]], signature: Signature) -> list[int]:
    """The class of each node. ``own``: what a node is by itself; ``neighbours``: the nodes its ``signature`` reads."""
    numbers: dict[Hashable, int] = {}
    classes = [numbers.setdefault(each, len(numbers)) for each in own]
    users: list[list[int]] = [[] for _ in own]
    for node, read in enumerate(neighbours):
        for each in set(read):
            users[each].append(node)
    sizes = [0] * len(numbers)
    for number in classes:
        sizes[number] += 1
    members: list[set[int]] = [set() for _ in sizes]
    for node, number in enumerate(classes):
        members[number].add(node)
    waiting: Iterable[int] = range(len(classes))
    while waiting:
        moved = _split(classes, members, waiting, signature)
        waiting = sorted({user for node in moved for user in users[node]})
    return classes


def _split(classes: list[int], members: list[set[int]], waiting: Iterable[int], signature: Signature) -> list[int]:
    """Splits the classes of ``waiting`` by signature; the nodes that have a new class.

    Those of a class that do not wait have one signature, as they had in the round before: what moved since is new to
    all that wait, so none of these has it.
    """
    groups: dict[int, dict[Hashable, list[int]]] = {}
    for node in waiting:
        groups.setdefault(classes[node], {}).setdefault(signature(node, classes), []).append(node)
    moved: list[int] = []
    for number, parts in groups.items():
        looked_at = sum(len(part) for part in parts.values())
        rest = len(members[number]) - looked_at
        if rest == 0 and len(parts) == 1:
            continue
        largest = max(parts.values(), key=len)
        leaving = list(parts.values())
        if len(largest) > rest:
            leaving.remove(largest)
            if rest:
                leaving.append(sorted(members[number].difference(*parts.values())))
        for part in leaving:
            members[number].difference_update(part)
            members.append(set(part))
            moved += part
            for node in part:
                classes[node] = len(members) - 1
    return moved
