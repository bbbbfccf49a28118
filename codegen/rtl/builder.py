"""Makes the nodes of one piece, logic of one bit each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from codegen.rtl.expressions import part, sign_extended, zero_extended
from codegen.rtl.names import Names
from codegen.rtl.nodes import FALSE, TRUE, Kind, Literal, Ref, RtlNode, RtlPiece, Text


@dataclass
class Builder:
    """``line``: the source line of what is made; ``prefix``: of all names."""

    names: Names
    prefix: str = ""
    line: str = ""
    piece: RtlPiece = field(default_factory=RtlPiece)
    _known: dict[tuple[object, ...], RtlNode] = field(default_factory=dict)
    _inverse: dict[RtlNode, RtlNode] = field(default_factory=dict)

    def node(
        self,
        name: str,
        bits: int,
        operands: Sequence[Ref],
        text: Text,
        kind: Kind = Kind.WIRE,
        *,
        start: int = 0,
        latency: int = 0,
        ram: str = "",
    ) -> RtlNode:
        """A new node."""
        found = RtlNode(
            self.names.new(self.prefix + name), bits, kind, tuple(operands), text, self.line, start, latency, ram
        )
        self.piece.nodes.append(found)
        return found

    def shared(self, what: str, bits: int, operands: Sequence[Ref], text: Text) -> RtlNode:
        """A node that stands for all that compute ``what`` of the same operands."""
        key = (what, bits, *(each if isinstance(each, Literal) else id(each) for each in operands))
        if key not in self._known:
            self._known[key] = self.node(what.split("@")[0], bits, operands, text)
        return self._known[key]

    def slice(self, ref: Ref, low: int, width: int) -> Ref:
        """``width`` bits from bit ``low`` on; beyond its top there are zeros."""
        if low == 0 and width == ref.bits:
            return ref
        if isinstance(ref, Literal):
            return Literal(width, ref.value % (1 << ref.bits) >> low)
        there = max(0, min(width, ref.bits - low))
        if there == 0:
            return Literal(width, 0)
        bits = ref.bits
        return self.shared(
            f"bits@{low}", width, (ref,), lambda o: zero_extended(part(o[0], bits, low, there), there, width)
        )

    def resized(self, ref: Ref, width: int, *, signed: bool = False) -> Ref:
        if signed and ref.bits < width and not isinstance(ref, Literal):
            bits = ref.bits
            return self.shared("extended", width, (ref,), lambda o: sign_extended(o[0], bits, width))
        return self.slice(ref, 0, width)

    def joined(self, parts: Sequence[Ref]) -> Ref:
        """Side by side, the first one lowest."""
        if len(parts) == 1:
            return parts[0]
        return self.shared("joined", sum(each.bits for each in parts), parts, lambda o: f"{{{', '.join(reversed(o))}}}")

    def inverse(self, ref: Ref) -> Ref:
        if isinstance(ref, Literal):
            return Literal(1, 1 - ref.value % 2)
        if isinstance(ref, RtlNode) and ref in self._inverse:
            return self._inverse[ref]
        found = self.shared("not_", 1, (ref,), lambda o: f"~{o[0]}")
        if isinstance(ref, RtlNode):
            self._inverse[found] = ref
            self._inverse[ref] = found
        return found

    def both(self, left: Ref, right: Ref) -> Ref:
        if FALSE in (left, right) or left == self._known_inverse(right):
            return FALSE
        if left in (TRUE, right):
            return right
        return left if right == TRUE else self.shared("and_", 1, (left, right), lambda o: f"{o[0]} & {o[1]}")

    def either(self, left: Ref, right: Ref) -> Ref:
        if TRUE in (left, right) or left == self._known_inverse(right):
            return TRUE
        if left in (FALSE, right):
            return right
        return left if right == FALSE else self.shared("or_", 1, (left, right), lambda o: f"{o[0]} | {o[1]}")

    def _known_inverse(self, ref: Ref) -> Ref | None:
        return self._inverse.get(ref) if isinstance(ref, RtlNode) else None

    def equals(self, ref: Ref, constant: int) -> Ref:
        literal = Literal(ref.bits, constant)
        if isinstance(ref, Literal):
            return TRUE if ref.text == literal.text else FALSE
        return self.shared("equals", 1, (ref, literal), lambda o: f"{o[0]} == {o[1]}")

    def choose(self, condition: Ref, chosen: Ref, other: Ref) -> Ref:
        """``chosen`` where ``condition`` holds, else ``other``."""
        if condition == TRUE or chosen == other:
            return chosen
        if condition == FALSE:
            return other
        return self.shared("chosen", chosen.bits, (condition, chosen, other), lambda o: f"{o[0]} ? {o[1]} : {o[2]}")

    def element(self, entries: Sequence[Ref], index: Ref) -> Ref:
        """One of ``entries``, by a variable; the last one where it names none."""
        found = entries[-1]
        for number in range(len(entries) - 2, -1, -1):
            found = self.choose(self.equals(index, number), entries[number], found)
        return found

    def total(self, terms: Sequence[tuple[Ref, int]], constant: int, width: int) -> Ref:
        """The sum of terms times factors, of ``width`` bits."""
        found: Ref | None = None
        for ref, factor in terms:
            term = self.resized(ref, width)
            if factor != 1:
                scale = Literal(width, factor)
                term = self.shared("scaled", width, (term, scale), lambda o: f"{o[0]} * {o[1]}")
            found = term if found is None else self._sum(found, term, width)
        if found is None:
            return Literal(width, constant)
        return found if constant == 0 else self._sum(found, Literal(width, constant), width)

    def _sum(self, left: Ref, right: Ref, width: int) -> Ref:
        return self.shared("sum", width, (left, right), lambda o: f"{o[0]} + {o[1]}")
