"""Collects a loop's operations and dependences, each pure operation once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from codegen.schedule.graph import (
    Access,
    Carried,
    Dependence,
    DependenceKind,
    Operand,
    Operation,
    Storage,
    StorageKind,
    Term,
)

# Operations that do something: two of them are never one.
_EFFECTS = frozenset(
    ("read", "write", "nbread", "nbwrite", "nbreadreq", "nbwritereq", "load", "store", "br", "readreq", "writereq")
)


@dataclass(frozen=True, slots=True)
class Value:
    """What a register stands for: an operation's result, a constant, or (neither) something from outside the loop.

    ``inverted``: a bit read through an inverter, which costs nothing. ``outside`` names what comes from outside.
    ``part``: which bits of it, where they are not all: wires cost nothing, but two parts are not the same.
    """

    source: int | None = None
    constant: int | None = None
    inverted: bool = False
    outside: str = ""
    part: str = ""

    def slice(self, part: str) -> Value:
        """Some bits of this."""
        return self if self.constant is not None else replace(self, part=f"{self.part}{part}")


# An operand: the value, its bits, and whether it is signed.
Input = tuple[Value, int, bool]

TRUE = Value(constant=1)
FALSE = Value(constant=0)


def inverse(value: Value) -> Value:
    """Of one bit."""
    if value.constant is not None:
        return TRUE if value.constant == 0 else FALSE
    return replace(value, inverted=not value.inverted)


@dataclass
class LoopGraphBuilder:
    """Operations in program order."""

    operations: list[Operation] = field(default_factory=list)
    dependences: list[Dependence] = field(default_factory=list)
    storages: dict[str, Storage] = field(default_factory=dict)
    carried: list[Carried] = field(default_factory=list)
    _known: dict[object, int] = field(default_factory=dict)

    def add(
        self,
        opcode: str,
        bits: int,
        operands: Iterable[Input],
        *,
        name: str = "",
        line: str = "",
        condition: str = "",
        access: Access | None = None,
        predicate: tuple[Term, ...] = (),
    ) -> int:
        """``operands``: value, bits, signed. The number of the operation, an earlier one if it computes the same."""
        given = tuple(operands)
        key = (opcode, bits, given, condition)
        if opcode not in _EFFECTS and key in self._known:
            return self._known[key]
        inputs = tuple(Operand(width, value.source, value.constant, signed) for value, width, signed in given)
        number = len(self.operations)
        self.operations.append(
            Operation(opcode, name or f"{opcode}_{number}", bits, inputs, predicate, condition, line, access)
        )
        if opcode not in _EFFECTS:
            self._known[key] = number
        for source in dict.fromkeys(each.source for each in inputs if each.source is not None):
            self.dependences.append(Dependence(source, number))
        for source in sorted({name for term in predicate for name, _ in term}):
            self.dependences.append(Dependence(source, number, DependenceKind.PREDICATE))
        return number

    def value(self, opcode: str, bits: int, operands: Iterable[Input], *, line: str = "", condition: str = "") -> Value:
        """The result of a new or known operation."""
        return Value(self.add(opcode, bits, operands, line=line, condition=condition))

    def both(self, left: Value, right: Value, line: str = "") -> Value:
        """left and right, one bit each."""
        if FALSE in (left, right) or left == inverse(right):
            return FALSE
        if left in (TRUE, right):
            return right
        return left if right == TRUE else self._logic("and", left, right, line)

    def either(self, left: Value, right: Value, line: str = "") -> Value:
        """left or right, one bit each."""
        if TRUE in (left, right) or left == inverse(right):
            return TRUE
        if left in (FALSE, right):
            return right
        return left if right == FALSE else self._logic("or", left, right, line)

    def _logic(self, opcode: str, left: Value, right: Value, line: str) -> Value:
        return self.value(opcode, 1, ((left, 1, False), (right, 1, False)), line=line)

    def choose(
        self, condition: Value, chosen: Value, other: Value, bits: int, line: str, signed: bool = False
    ) -> Value:
        """``chosen`` where ``condition`` holds, else ``other``."""
        if condition == TRUE or chosen == other:
            return chosen
        if condition == FALSE:
            return other
        if bits == 1:
            if FALSE in (chosen, other):
                return (
                    self.both(condition, chosen, line) if other == FALSE else self.both(inverse(condition), other, line)
                )
            if TRUE in (chosen, other):
                return (
                    self.either(condition, other, line)
                    if chosen == TRUE
                    else self.either(inverse(condition), chosen, line)
                )
        if condition.inverted:
            condition, chosen, other = inverse(condition), other, chosen
        operands = ((condition, 1, False), (chosen, bits, signed), (other, bits, signed))
        return self.value("select", bits, operands, line=line)

    def register(self, name: str, bits: int, line: str = "") -> int:
        """The read of a register that an iteration leaves to the next."""
        unique = name if name not in self.storages else f"{name}.{len(self.operations)}"
        self.storages[unique] = Storage(unique, StorageKind.REGISTER, bits)
        return self.add("load", bits, (), name=name, line=line, access=Access(unique))

    def carry(self, load: int, following: Value, initial: Operand) -> None:
        """What the register holds in the next iteration; a multiplexer with its initial value stands in front of it."""
        if following.source == load and not following.part:
            self.carried.append(Carried(load, None, initial))
            return
        register = self.operations[load]
        source = following.source
        line = register.line if source is None else self.operations[source].line or register.line
        data = ((following, register.bits, False),)
        store = self.add("store", 0, data, name=register.name, line=line, access=register.access)
        self.order(store, load, DependenceKind.DATA, None, 1)
        self.carried.append(Carried(load, store, initial))

    def order(self, source: int, sink: int, kind: DependenceKind, cycles: int | None, distance: int = 0) -> None:
        """``sink`` follows ``source``."""
        self.dependences.append(Dependence(source, sink, kind, distance, cycles))
