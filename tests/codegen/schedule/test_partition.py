"""The coarsest partition of a graph's nodes, against one that looks at every node in every round."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from codegen.schedule.partition import coarsest_partition

Graph = tuple[list[int], list[tuple[int, ...]]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(0, 14))
    own = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    node = st.integers(0, max(size - 1, 0))
    return own, [tuple(draw(st.lists(node, max_size=3))) for _ in range(size)]


def _refined(own: Sequence[Hashable], neighbours: Sequence[Sequence[int]], ordered: bool) -> list[int]:
    keys: list[Hashable] = list(own)
    while True:
        names: dict[Hashable, int] = {}
        classes = [names.setdefault(key, len(names)) for key in keys]
        seen = [tuple(classes[each] for each in read) for read in neighbours]
        keys = [(number, read if ordered else frozenset(read)) for number, read in zip(classes, seen, strict=True)]
        if len(set(keys)) == len(names):
            return classes


def _same(left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether two numberings of classes are one partition."""
    return len(set(zip(left, right, strict=True))) == len(set(left)) == len(set(right))


@given(graphs(), st.booleans())
def test_it_is_the_one_that_whole_rounds_end_with(graph: Graph, ordered: bool) -> None:
    own, neighbours = graph

    def signature(node: int, classes: Sequence[int]) -> Hashable:
        seen = tuple(classes[each] for each in neighbours[node])
        return seen if ordered else frozenset(seen)

    assert _same(coarsest_partition(own, neighbours, signature), _refined(own, neighbours, ordered))


def test_a_node_is_looked_at_again_only_when_a_neighbour_moved() -> None:
    """Of a thousand equal chains of three, one ends differently: its nodes part, the others are seen twice at most."""
    own: list[str] = []
    neighbours: list[tuple[int, ...]] = []
    for chain in range(1000):
        first = 3 * chain
        own += ["end of one" if chain == 0 else "end", "middle", "begin"]
        neighbours += [(), (first,), (first + 1,)]
    looked_at: list[int] = []

    def signature(node: int, classes: Sequence[int]) -> Hashable:
        looked_at.append(node)
        return tuple(classes[each] for each in neighbours[node])

    classes = coarsest_partition(own, neighbours, signature)
    assert len(set(classes)) == 6
    assert len(looked_at) < 3 * 1000 + 10
