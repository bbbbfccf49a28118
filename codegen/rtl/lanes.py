"""Lanes of a pipelined loop: parts of its netlist that are the same logic on other operands.

Nodes are alike when they compute the same text of operands that are alike, in the same stage; what enters from
memories, streams and registers is alike where it is as wide. Where nodes that are alike are connected, they are one
lane, and lanes that are connected in the same way, operand by operand, are copies of each other: that is compared at
the end, so how they were found decides only how much is found.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from codegen.rtl.expressions import sign_extended, zero_extended
from codegen.rtl.nodes import Kind, Literal, Ref, RtlNode

# Of a lane: less logic is shorter where it stands.
_LEAST_NODES = 8
_PART = re.compile(r"@0\[\d+(:\d+)?\]")


@dataclass(frozen=True)
class Lanes:
    """``copies``: nodes in corresponding order, each behind its operands."""

    copies: tuple[tuple[RtlNode, ...], ...]

    @property
    def spared(self) -> int:
        """Nodes that need not be written."""
        return (len(self.copies) - 1) * len(self.copies[0])


def find_lanes(nodes: Sequence[RtlNode], storages: Mapping[RtlNode, str]) -> list[Lanes]:
    """Of ``nodes``, each behind its operands and in its stage; ``storages``: what those read that are accesses.

    A stream's element or a memory's row may be one operand of each lane side by side, or one that all lanes share: the
    storages are tried in turn, and what spares more is kept.
    """
    most: list[Lanes] = []
    apart: frozenset[str] = frozenset()
    used = {each for node in nodes if node.kind is Kind.WIRE and _is_part(node) for each in node.operands}
    for storage in ("", *dict.fromkeys(name for node, name in storages.items() if node in used)):
        tried = apart | {storage}
        found = _best(nodes, _kinds(nodes, {node for node, name in storages.items() if name in tried}))
        if _spared(found) > _spared(most):
            most, apart = found, tried
    return most


def _spared(lanes: Sequence[Lanes]) -> int:
    return sum(each.spared for each in lanes)


def _best(nodes: Sequence[RtlNode], kinds: Mapping[RtlNode, int]) -> list[Lanes]:
    """For the number of lanes that spares most: what there is fewer of than that is shared by them."""
    numbers = Counter(kinds.values())
    most: list[Lanes] = []
    for least in sorted(set(numbers.values()) - {1}):
        if sum(number for number in numbers.values() if number >= least) <= _spared(most):
            continue
        inside = {node: kind for node, kind in kinds.items() if numbers[kind] >= least}
        found = [each for each in _copies(nodes, inside) if len(each.copies[0]) >= _LEAST_NODES]
        if _spared(found) > _spared(most):
            most = found
    return most


def _kinds(nodes: Sequence[RtlNode], apart: Set[RtlNode]) -> dict[RtlNode, int]:
    """What each node that computes something is like; the same number for those that are alike. Parts of ``apart``,
    wherever they lie in it, are alike as operands, and in no lane.
    """
    numbers: dict[Hashable, int] = {}
    found: dict[RtlNode, int] = {}
    parts = set(apart)
    for node in nodes:
        if node.kind is not Kind.WIRE:
            continue
        if _is_part(node) and node.operands[0] in parts:
            parts.add(node)
            continue
        operands = [
            found.get(each, each.bits) if isinstance(each, RtlNode) else (each.bits, _constant(each))
            for each in node.operands
        ]
        found[node] = numbers.setdefault((*_own(node), *operands), -1 - len(numbers))
    return found


def _is_part(node: RtlNode) -> bool:
    return len(node.operands) == 1 and _PART.fullmatch(node.text(["@0"])) is not None


def _own(node: RtlNode) -> tuple[Hashable, ...]:
    """What a node is without its operands."""
    return node.text([f"@{place}" for place in range(len(node.operands))]), node.bits, node.stage, node.delays


def _constant(ref: Ref) -> str:
    return ref.text if isinstance(ref, Literal) else ""


def _copies(nodes: Sequence[RtlNode], inside: Mapping[RtlNode, int]) -> Iterator[Lanes]:
    """Connected parts of ``inside`` that are the same."""
    alike: dict[Hashable, list[tuple[RtlNode, ...]]] = defaultdict(list)
    for lane in _connected(nodes, inside):
        ordered = tuple(_walk(lane))
        alike[_shape(ordered)].append(ordered)
    return (Lanes(tuple(copies)) for copies in alike.values() if len(copies) > 1)


def _connected(nodes: Sequence[RtlNode], inside: Mapping[RtlNode, int]) -> list[list[RtlNode]]:
    """In program order."""
    leader: dict[RtlNode, RtlNode] = {node: node for node in inside}

    def first(node: RtlNode) -> RtlNode:
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node in inside:
        for each in node.operands:
            if isinstance(each, RtlNode) and each in inside:
                leader[first(each)] = first(node)
    parts: dict[RtlNode, list[RtlNode]] = defaultdict(list)
    for node in nodes:
        if node in inside:
            parts[first(node)].append(node)
    return list(parts.values())


def _walk(lane: Sequence[RtlNode]) -> Iterator[RtlNode]:
    """Each behind its operands, from the results of the lane back: an order that copies have in common."""
    inside = set(lane)
    used = {each for node in lane for each in node.operands if isinstance(each, RtlNode)}
    seen: set[RtlNode] = set()
    waiting = [node for node in reversed(lane) if node not in used]
    while waiting:
        node = waiting[-1]
        missing = [each for each in node.operands if isinstance(each, RtlNode) and each in inside and each not in seen]
        if missing:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node


def _shape(ordered: Sequence[RtlNode]) -> Hashable:
    """Equal for copies: of each node what it is, and where its operands come from."""
    place = {node: number for number, node in enumerate(ordered)}
    entries: dict[Ref, int] = {}
    shape = []
    for node in ordered:
        operands = []
        for each in node.operands:
            if isinstance(each, Literal):
                operands.append(("constant", each.bits, each.value))
            elif isinstance(each, RtlNode) and each in place:
                operands.append(("node", place[each], 0))
            else:
                operands.append(("entry", entries.setdefault(each, len(entries)), each.bits))
                if isinstance(each, RtlNode):
                    # In which register of the shared logic it stands then, and how it was widened.
                    widened = each.text(["@"]) if is_extension(each) else ""
                    operands.append((widened, node.stage - each.value_stage, 0))
        shape.append((*_own(node), *operands))
    return tuple(shape)


def is_extension(node: RtlNode) -> bool:
    """Whether its upper bits are copies of the sign, or zeros."""
    if node.kind is not Kind.WIRE or len(node.operands) != 1 or node.operands[0].bits >= node.bits:
        return False
    bits = node.operands[0].bits
    return node.text(["@"]) in (sign_extended("@", bits, node.bits), zero_extended("@", bits, node.bits))
