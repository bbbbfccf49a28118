"""When a block of an iteration is executed, as nodes of one bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from codegen.rtl.builder import Builder
from codegen.rtl.nodes import FALSE, TRUE, Ref
from codegen.schedule.frontend.control_flow import Iteration, immediate_dominators, postorder
from codegen.schedule.frontend.ir import Instruction, Operand

_END = ""  # stands for what comes after the iteration


def branch_condition(
    builder: Builder, branch: Instruction, target: str, value_of: Callable[[Operand, int], Ref]
) -> Ref:
    """Whether ``branch`` goes to ``target``."""
    if branch.opcode == "br":
        if len(branch.labels) == 1 or branch.labels[0] == branch.labels[1]:
            return TRUE
        condition = value_of(branch.operands[0], 1)
        return condition if branch.labels[0] == target else builder.inverse(condition)
    default, *cases = branch.labels
    selector = value_of(branch.operands[0], branch.operand_bits)
    matches: Ref = FALSE
    for case, label in zip(branch.cases, cases, strict=True):
        if (label == target) != (default == target):
            matches = builder.either(matches, builder.equals(selector, case))
    return builder.inverse(matches) if default == target else matches


@dataclass
class BlockConditions:
    """Of one iteration. As `codegen.schedule.frontend.predicates`, over values instead of operations.

    An exit from the loop's header does not count: an iteration that leaves there does nothing (see `Pipeline`).
    """

    iteration: Iteration
    builder: Builder
    value_of: Callable[[Operand, int], Ref]
    _relative: dict[str, dict[str, Ref]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        header = self.iteration.loop.header
        self._leaving = frozenset(block for block, _ in self.iteration.exits if block != header)
        self._follows = self.iteration.always_follows if not self._leaving else self._surely_reached()

    def _surely_reached(self) -> frozenset[str]:
        """Blocks that are reached whenever their dominator is, with all ways out of the loop."""
        iteration = self.iteration
        backward: dict[str, list[str]] = {_END: [], **{block: [] for block in iteration.order}}
        for block in iteration.order:
            leads = iteration.successors(block)
            for following in leads:
                backward[following].append(block)
            if not leads or block in iteration.loop.latches or block in self._leaving:
                backward[_END].append(block)
        after = immediate_dominators(_END, lambda block: backward[block])
        found = set()
        for block, dominator in iteration.dominators.items():
            at = after.get(dominator)
            while at is not None and at not in (block, _END):
                at = after.get(at)
            if at == block:
                found.add(block)
        return frozenset(found)

    def of(self, block: str) -> Ref:
        return self.relative(block, self.iteration.loop.header)

    def relative(self, block: str, start: str) -> Ref:
        """Whether an iteration that is in ``start``, a dominator of ``block``, comes to ``block``."""
        known = self._relative.setdefault(start, {start: TRUE})
        # A large kernel's blocks are a chain of thousands: what a block rests on is walked, not called.
        for each in postorder(block, lambda at: () if at in known else self._decided_by(at)):
            if each not in known:
                known[each] = self._from_its_edges(each, start)
        return known[block]

    def _decided_by(self, block: str) -> tuple[str, ...]:
        """The blocks whose conditions make that of ``block``."""
        if block in self._follows:
            return (self.iteration.dominators[block],)
        return self.iteration.predecessors[block]

    def _from_its_edges(self, block: str, start: str) -> Ref:
        if block in self._follows:
            return self.relative(self.iteration.dominators[block], start)
        found: Ref = FALSE
        for before in self.iteration.predecessors[block]:
            found = self.builder.either(found, self.arrival(before, block, start))
        return found

    def arrival(self, block: str, target: str, start: str) -> Ref:
        """Whether an iteration that is in ``start`` comes to ``target`` from ``block``."""
        return self.builder.both(self.relative(block, start), self._edge(block, target))

    def _edge(self, block: str, target: str) -> Ref:
        leads = self.iteration.successors(block)
        if len(leads) + (block in self.iteration.loop.latches) + (block in self._leaving) <= 1:
            return TRUE
        return self.branch(block, target)

    def branch(self, block: str, target: str) -> Ref:
        branch = self.iteration.function.blocks[block].branch
        return branch_condition(self.builder, branch, target, self.value_of)
