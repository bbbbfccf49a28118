"""Dominators and natural loops of a function, and the acyclic graph of one iteration of a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from codegen.schedule.frontend.ir import IrFunction

Edge = tuple[str, str]


def postorder(entry: str, successors: Callable[[str], Iterable[str]]) -> list[str]:
    """Blocks that ``entry`` reaches, each after all that it alone leads to."""
    order: list[str] = []
    seen = {entry}
    stack = [(entry, iter(successors(entry)))]
    while stack:
        block, waiting = stack[-1]
        following = next((each for each in waiting if each not in seen), None)
        if following is None:
            order.append(block)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(successors(following))))
    return order


def immediate_dominators(entry: str, successors: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """Of every block but ``entry`` (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm)."""
    order = postorder(entry, successors)
    rank = {block: number for number, block in enumerate(order)}
    predecessors: dict[str, list[str]] = {block: [] for block in order}
    for block in order:
        for following in successors(block):
            predecessors[following].append(block)
    dominator = {entry: entry}
    changed = True
    while changed:
        changed = False
        for block in reversed(order[:-1]):
            known = [each for each in predecessors[block] if each in dominator]
            best = known[0]
            for other in known[1:]:
                best = _common(best, other, dominator, rank)
            if dominator.get(block) != best:
                dominator[block] = best
                changed = True
    del dominator[entry]
    return dominator


def _common(left: str, right: str, dominator: Mapping[str, str], rank: Mapping[str, int]) -> str:
    while left != right:
        if rank[left] < rank[right]:
            left = dominator[left]
        else:
            right = dominator[right]
    return left


@dataclass(frozen=True)
class Loop:
    """A natural loop: all its blocks, and those of loops inside it."""

    header: str
    blocks: frozenset[str]
    latches: frozenset[str]


def natural_loops(function: IrFunction) -> tuple[Loop, ...]:
    """Loops of ``function``, inner ones first. Latches of one header make one loop."""
    blocks = function.blocks
    reached = set(postorder(function.entry, lambda block: blocks[block].successors))
    dominator = immediate_dominators(function.entry, lambda block: blocks[block].successors)
    predecessors: dict[str, list[str]] = {block: [] for block in blocks}
    for block in reached:
        for following in blocks[block].successors:
            predecessors[following].append(block)

    def dominates(upper: str, lower: str) -> bool:
        while lower != upper and lower in dominator:
            lower = dominator[lower]
        return lower == upper

    latches: dict[str, set[str]] = {}
    for block in reached:
        for following in blocks[block].successors:
            if dominates(following, block):
                latches.setdefault(following, set()).add(block)
    loops = []
    for header, ends in latches.items():
        inside = {header}
        waiting = list(ends)
        while waiting:
            block = waiting.pop()
            if block not in inside:
                inside.add(block)
                waiting += predecessors[block]
        loops.append(Loop(header, frozenset(inside), frozenset(ends)))
    return tuple(sorted(loops, key=lambda loop: (len(loop.blocks), loop.header)))


_END = ""  # stands for the beginning of the next iteration


@dataclass(frozen=True)
class Iteration:
    """One iteration of ``loop`` as an acyclic graph; what loops inside it do is skipped.

    ``edges`` are those that lead on within the iteration; ``exits`` leave the loop.
    """

    function: IrFunction
    loop: Loop
    inner: tuple[Loop, ...]

    def successors(self, block: str) -> tuple[str, ...]:
        """Where an iteration goes on from ``block``: an inner loop is one step, from its header to its exits."""
        inner = self._inner_of.get(block)
        if inner is None:
            leads = self.function.blocks[block].successors
        else:
            leads = tuple(
                dict.fromkeys(
                    target
                    for each in sorted(inner.blocks)
                    for target in self.function.blocks[each].successors
                    if target not in inner.blocks
                )
            )
        return tuple(target for target in leads if target in self.loop.blocks and target != self.loop.header)

    @cached_property
    def _inner_of(self) -> Mapping[str, Loop]:
        outermost: dict[str, Loop] = {}
        for loop in sorted(self.inner, key=lambda each: -len(each.blocks)):
            for block in loop.blocks:
                outermost.setdefault(block, loop)
        return {loop.header: loop for loop in outermost.values()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The iteration's own blocks, and headers of inner loops, each behind all that lead to it."""
        return tuple(reversed(postorder(self.loop.header, self.successors)))

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Of each block in ``order``."""
        return {block: number for number, block in enumerate(self.order)}

    @cached_property
    def own_blocks(self) -> tuple[str, ...]:
        """Without inner loops, in order."""
        return tuple(block for block in self.order if self.is_own(block))

    def is_own(self, block: str) -> bool:
        """Whether a block is in ``order`` and stands there for itself, not for an inner loop."""
        return block in self.position and block not in self._inner_of

    @cached_property
    def predecessors(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {block: [] for block in self.order}
        for block in self.order:
            for following in self.successors(block):
                found[following].append(block)
        return {block: tuple(each) for block, each in found.items()}

    @cached_property
    def dominators(self) -> Mapping[str, str]:
        """Immediate dominator of every block but the header."""
        return immediate_dominators(self.loop.header, self.successors)

    @cached_property
    def _post_dominators(self) -> Mapping[str, str]:
        backward: dict[str, list[str]] = {_END: [], **{block: [] for block in self.order}}
        for block in self.order:
            leads = self.successors(block)
            for following in leads:
                backward[following].append(block)
            if not leads or block in self.loop.latches:
                backward[_END].append(block)
        return immediate_dominators(_END, lambda block: backward[block])

    @cached_property
    def always_follows(self) -> frozenset[str]:
        """Blocks that are reached whenever their immediate dominator is: they have its predicate."""
        found = set()
        for block, dominator in self.dominators.items():
            at = self._post_dominators.get(dominator)
            while at is not None and at not in (block, _END):
                at = self._post_dominators.get(at)
            if at == block:
                found.add(block)
        return frozenset(found)

    @cached_property
    def control_dependences(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges that decide whether a block is executed: behind them it always is, beside them it may not be.

        (Ferrante, Ottenstein, Warren: The Program Dependence Graph.) Branches whose arms meet again in front of the
        block are none of them.
        """
        found: dict[str, list[Edge]] = {block: [] for block in self.order}
        for block in self.order:
            leads = self.successors(block)
            if len(leads) + (block in self.loop.latches) < 2:
                continue
            meets = self._post_dominators.get(block, _END)
            for following in leads:
                at = following
                while at not in (meets, _END):
                    found[at].append((block, following))
                    at = self._post_dominators.get(at, _END)
        return {block: tuple(edges) for block, edges in found.items()}

    @cached_property
    def exits(self) -> tuple[Edge, ...]:
        """Edges from the iteration's own blocks out of the loop; a block that is never reached is no way out."""
        blocks = self.function.blocks
        return tuple(
            (block, target)
            for block in self.own_blocks
            for target in blocks[block].successors
            if target not in self.loop.blocks and blocks[target].branch.opcode != "unreachable"
        )
