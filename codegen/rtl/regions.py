"""Blocks outside of pipelined loops that become one piece: those whose paths part and meet again without a loop.

The schedule has the blocks of an iteration beside each other, and so has synthesis, which if-converts them ("Performing
if-conversion on hyperblock"). A chain of states for each block would take the sum of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from codegen.schedule.frontend.control_flow import Iteration, Loop, immediate_dominators
from codegen.schedule.frontend.ir import IrFunction

_END = ""


@dataclass(frozen=True)
class Region:
    """``blocks`` are entered at the first one only, and left at the last one only: see `Iteration`."""

    iteration: Iteration
    last: str

    @property
    def first(self) -> str:
        return self.iteration.loop.header

    @property
    def blocks(self) -> tuple[str, ...]:
        return self.iteration.order


def regions(function: IrFunction, free: Set[str], headers: Set[str]) -> tuple[Region, ...]:
    """Of the blocks that are ``free``, in the function's order. ``headers``: of all loops; they begin a region."""
    after = _post_dominators(function)
    before: dict[str, set[str]] = {block: set() for block in function.blocks}
    for block in function.blocks:
        for following in function.blocks[block].successors:
            before[following].add(block)
    found: list[Region] = []
    taken: set[str] = set()
    for block in function.blocks:
        if block in free and block not in taken:
            region = _region(function, block, free - headers - taken, after, before)
            taken |= set(region.blocks)
            found.append(region)
    return tuple(found)


def _region(
    function: IrFunction, first: str, free: Set[str], after: Mapping[str, str], before: Mapping[str, set[str]]
) -> Region:
    blocks, last = {first}, first
    while not only_joins(function, first) and (meeting := after.get(last, _END)) in free - blocks:
        arms: set[str] = set()
        waiting = [each for each in function.blocks[last].successors if each != meeting]
        while waiting:
            arm = waiting.pop()
            if arm not in arms:
                arms.add(arm)
                waiting += [each for each in function.blocks[arm].successors if each != meeting]
        inside = blocks | arms
        if not arms <= free - blocks or any(before[each] - inside for each in (*arms, meeting)):
            break
        blocks, last = inside | {meeting}, meeting
    return Region(Iteration(function, Loop(first, frozenset(blocks), frozenset()), ()), last)


def only_joins(function: IrFunction, block: str) -> bool:
    """A block with nothing but phis and one successor, which takes no state of its own."""
    instructions = function.blocks[block].instructions
    return len(instructions[-1].labels) == 1 and all(each.opcode == "phi" for each in instructions[:-1])


def _post_dominators(function: IrFunction) -> Mapping[str, str]:
    backward: dict[str, list[str]] = {_END: [], **{block: [] for block in function.blocks}}
    for block in function.blocks:
        leads = function.blocks[block].successors
        for following in leads:
            backward[following].append(block)
        if not leads:
            backward[_END].append(block)
    return immediate_dominators(_END, lambda block: backward[block])
