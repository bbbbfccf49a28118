"""When a block of an iteration is executed: if-conversion.

A block that is reached whenever its dominator is has the dominator's predicate; any other has the disjunction of the
edges that decide it: a branch whose arms meet again in front of it is no part of it. Nor is what leaves the loop: the
exit test has a state of its own in front.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace

from codegen.schedule.frontend.builder import FALSE, TRUE, LoopGraphBuilder, Value, inverse
from codegen.schedule.frontend.control_flow import Iteration, postorder
from codegen.schedule.frontend.ir import Operand as Register
from codegen.schedule.graph import Term

# A predicate with more conjunctions becomes one bit.
_MOST_TERMS = 8


@dataclass
class Predicates:
    """Of one iteration. ``value_of`` gives the operation behind a register, ``line_of`` a block's source line."""

    iteration: Iteration
    builder: LoopGraphBuilder
    value_of: Callable[[Register], Value]
    line_of: Callable[[str], str]
    _relative: dict[str, dict[str, Value]] = field(default_factory=dict)
    _terms: dict[str, frozenset[Term]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._terms[self.iteration.loop.header] = frozenset((frozenset(),))

    def edge(self, block: str, target: str) -> Value:
        """Whether an iteration that is in ``block`` goes on to ``target``; edges out of the loop do not count."""
        leads = self.iteration.successors(block)
        ends_here = block in self.iteration.loop.latches
        if len(leads) + ends_here <= 1 or not self.iteration.is_own(block):
            return TRUE
        return self.branch(block, target)

    def branch(self, block: str, target: str) -> Value:
        """Whether the branch at the end of ``block`` goes to ``target``, which may lie outside of the loop."""
        branch = self.iteration.function.blocks[block].branch
        if branch.opcode == "br":
            if len(branch.labels) == 1 or branch.labels[0] == branch.labels[1]:
                return TRUE
            condition = self.value_of(branch.operands[0])
            return condition if branch.labels[0] == target else inverse(condition)
        default, *cases = branch.labels
        matches = FALSE
        for case, label in zip(branch.cases, cases, strict=True):
            if (label == target) != (default == target):
                matches = self.builder.either(matches, self._equals(branch.operands[0], case, branch.operand_bits))
        return inverse(matches) if default == target else matches

    def _equals(self, register: Register, constant: int, bits: int) -> Value:
        operands = ((self.value_of(register), bits, False), (Value(constant=constant), bits, False))
        return self.builder.value("icmp", 1, operands, condition="eq")

    def relative(self, block: str, start: str) -> Value:
        """Whether an iteration that is in ``start``, a dominator of ``block``, comes to ``block``."""
        known = self._relative.setdefault(start, {start: TRUE})
        for each in self._not_known(block, known):
            known[each] = self._from_its_edges(each, start)
        return known[block]

    def _from_its_edges(self, block: str, start: str) -> Value:
        if block in self.iteration.always_follows:
            return self.relative(self.iteration.dominators[block], start)
        found = FALSE
        for before, target in self.iteration.control_dependences[block]:
            found = self.builder.either(found, self.arrival(before, target, start), self.line_of(before))
        return found

    def _not_known(self, block: str, known: Container[str]) -> list[str]:
        """``block`` and the blocks whose predicates make its own, each behind those that it needs.

        A large kernel's blocks are a chain of thousands, which is walked, not called.
        """
        order = postorder(block, lambda at: () if at in known else self._decided_by(at))
        return [each for each in order if each not in known]

    def _decided_by(self, block: str) -> tuple[str, ...]:
        if block in self.iteration.always_follows:
            return (self.iteration.dominators[block],)
        return tuple(before for before, _ in self.iteration.control_dependences[block])

    def arrival(self, block: str, target: str, start: str) -> Value:
        """Whether an iteration that is in ``start`` comes to ``target`` from ``block``."""
        return self.builder.both(self.relative(block, start), self.edge(block, target), self.line_of(block))

    def of(self, block: str) -> Value:
        """The block's predicate as one bit."""
        return self.relative(block, self.iteration.loop.header)

    def terms(self, block: str) -> tuple[Term, ...]:
        """The block's predicate as a disjunction of conjunctions; () is always."""
        found = self._disjunction(block)
        return () if frozenset() in found else tuple(sorted(found, key=sorted))

    def _disjunction(self, block: str) -> frozenset[Term]:
        for each in self._not_known(block, self._terms):
            self._terms[each] = self._joined_terms(each)
        return self._terms[block]

    def _joined_terms(self, block: str) -> frozenset[Term]:
        if block in self.iteration.always_follows:
            return self._terms[self.iteration.dominators[block]]
        found = _simplified(
            term | literal
            for before, target in self.iteration.control_dependences[block]
            for literal in self._literal(self.edge(before, target))
            for term in self._terms[before]
            if not any((name, not value) in term for name, value in literal)
        )
        return found if len(found) <= _MOST_TERMS else frozenset(self._literal(self.of(block)))

    def _literal(self, value: Value) -> tuple[Term, ...]:
        """One conjunction, or none where the value is false."""
        if value.constant is not None:
            return (frozenset(),) if value.constant else ()
        source = value.source
        if source is None or value.part or self.builder.operations[source].bits != 1:
            # A bit of a word, or from outside: named, so that predicates which exclude each other can be told.
            source = self.builder.add("bitselect", 1, ((replace(value, inverted=False), 1, False),))
        return (frozenset(((source, not value.inverted),)),)


def _simplified(terms: Iterable[Term]) -> frozenset[Term]:
    """Without terms that others contain; two that differ in one literal's sign become one."""
    found = set(terms)
    changed = True
    while changed:
        changed = False
        for term in sorted(found, key=lambda each: (len(each), sorted(each))):
            for name, value in term:
                shorter = term - {(name, value)}
                if shorter | {(name, not value)} in found:
                    found -= {term, shorter | {(name, not value)}}
                    found.add(shorter)
                    changed = True
                    break
            if changed:
                break
    return frozenset(term for term in found if not any(other < term for other in found))
