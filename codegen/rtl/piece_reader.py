"""Reads basic blocks of LLVM IR into the nodes of one piece: an if-converted region, or iteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.rtl.array_pieces import ArrayPieces
from codegen.rtl.builder import Builder
from codegen.rtl.conditions import BlockConditions
from codegen.rtl.expressions import intrinsic_text, pure_text
from codegen.rtl.nodes import TRUE, AccessKind, Literal, Ref
from codegen.rtl.scope import Scope
from codegen.schedule.frontend.control_flow import Iteration
from codegen.schedule.frontend.ir import Instruction, Operand
from codegen.schedule.frontend.loop_graph import Position

IGNORED = ("llvm.lifetime", "llvm.dbg", "llvm.assume", "llvm.experimental.noalias", "aebert_iteration")
_ACCESSES = {
    "aebert_stream_read": AccessKind.READ,
    "aebert_stream_read_nb": AccessKind.POLL,
    "aebert_stream_empty": AccessKind.EMPTY,
    "aebert_stream_full": AccessKind.FULL,
    "aebert_stream_write": AccessKind.WRITE,
}


@dataclass(frozen=True)
class Place:
    """Where the schedule puts an operation: its first stage, and how many later its result is there."""

    stage: int = 0
    latency: int = 0


Places = Callable[[str, Position], Place]
UNSCHEDULED = Place()


@dataclass
class PieceReader:
    """``iteration`` None: what is always executed. ``places``: by register (or "") and position."""

    scope: Scope
    builder: Builder
    places: Places
    iteration: Iteration | None = None
    known: dict[str, Ref] = field(default_factory=dict)
    words: dict[str, tuple[Ref, ...]] = field(default_factory=dict)
    block: str = ""

    def __post_init__(self) -> None:
        self.conditions = None if self.iteration is None else BlockConditions(self.iteration, self.builder, self.value)
        self.arrays = ArrayPieces(self.scope, self.builder, self.value)

    def value(self, operand: Operand, bits: int) -> Ref:
        """``operand`` in this piece."""
        if operand is None:
            return Literal(bits, 0)
        if isinstance(operand, int):
            return Literal(bits, operand)
        if isinstance(operand, str):
            return self.known[operand] if operand in self.known else self.scope.outside(operand)
        raise AebertError(f"an address ({operand.base}) is used as a number")

    def condition(self) -> Ref:
        return TRUE if self.conditions is None else self.conditions.of(self.block)

    def read_block(self, label: str) -> None:
        self.block = label
        for number, instruction in enumerate(self.scope.function.blocks[label].instructions):
            self.builder.line = self.scope.line(instruction.debug)
            self.read(instruction, self.places(instruction.result, (label, number)))
        self.arrays.flush(self.condition())

    def read(self, instruction: Instruction, place: Place) -> None:
        opcode = instruction.opcode
        if opcode in ("br", "switch", "ret", "unreachable", "getelementptr"):
            return
        if opcode == "phi":
            if self.iteration is not None and self.block != self.iteration.loop.header:
                self._join(instruction, place)
        elif opcode == "call":
            self._call(instruction, place)
        elif opcode == "load":
            self.known[instruction.result] = self.arrays.load(instruction, place.stage, place.latency, self.condition())
        elif opcode == "store":
            self.arrays.store(instruction, place.stage, self.condition())
        else:
            widths = _operand_bits(instruction)
            operands = [self.value(each, bits) for each, bits in zip(instruction.operands, widths, strict=True)]
            self.known[instruction.result] = self._pure(instruction, operands, place)

    def _pure(self, instruction: Instruction, operands: list[Ref], place: Place) -> Ref:
        if instruction.opcode in ("trunc", "zext", "freeze", "bitcast") or (
            instruction.opcode == "sext" and isinstance(operands[0], Literal)
        ):
            low = operands[0]
            if isinstance(low, Literal) or instruction.opcode in ("freeze", "bitcast"):
                value = low.value % (1 << low.bits) if isinstance(low, Literal) else 0
                if instruction.opcode == "sext" and value >> (low.bits - 1):
                    value -= 1 << low.bits
                return Literal(instruction.bits, value) if isinstance(low, Literal) else low
        return self.builder.node(
            instruction.result, instruction.bits, operands, pure_text(instruction), start=place.stage,
            latency=place.latency,
        )  # fmt: skip

    def _join(self, phi: Instruction, place: Place) -> None:
        """A multiplexer where paths meet; what most paths bring is what is left when no other is chosen."""
        assert self.iteration is not None
        assert self.conditions is not None
        dominator = self.iteration.dominators[self.block]
        inside = set(self.iteration.order)
        arrivals: list[tuple[Ref, list[str]]] = []
        for operand, label in zip(phi.operands, phi.labels, strict=True):
            if label not in inside or operand is None:
                continue
            ref = self.value(operand, phi.bits)
            known = next((labels for each, labels in arrivals if each == ref), None)
            if known is None:
                arrivals.append((ref, [label]))
            else:
                known.append(label)
        if not arrivals:
            self.known[phi.result] = Literal(phi.bits, 0)
            return
        position = {block: number for number, block in enumerate(self.iteration.order)}
        kept = max(arrivals, key=lambda each: (len(each[1]), -max(position[b] for b in each[1])))
        chosen = kept[0]
        for ref, labels in sorted(arrivals, key=lambda each: max(position[b] for b in each[1])):
            if ref is not kept[0]:
                condition: Ref = Literal(1, 0)
                for label in labels:
                    condition = self.builder.either(condition, self.conditions.arrival(label, self.block, dominator))
                chosen = self.builder.choose(condition, ref, chosen)
        self.known[phi.result] = chosen

    def _call(self, instruction: Instruction, place: Place) -> None:
        name = instruction.callee
        if name.startswith(IGNORED):
            return
        operands = instruction.operands
        if name in _ACCESSES:
            self._stream(instruction, _ACCESSES[name], place)
        elif name == "aebert_stream_word":
            taken = self.value(operands[0], 64)
            self.known[instruction.result] = self.builder.slice(taken, 64 * _number(operands[1]), 64)
        elif name == "aebert_stream_valid":
            taken = self.value(operands[0], 64)
            self.known[instruction.result] = self.builder.slice(taken, taken.bits - 1, 1)
        elif name == "aebert_stream_element":
            before = self.words.get(operands[0], ()) if isinstance(operands[0], str) else ()
            self.words[instruction.result] = (*before, self.value(operands[1], 64))
        elif name.startswith("llvm."):
            values = [self.value(each, instruction.bits) for each in operands]
            self.known[instruction.result] = self.builder.node(
                instruction.result, instruction.bits, values, intrinsic_text(instruction), start=place.stage,
                latency=place.latency,
            )  # fmt: skip
        else:
            raise AebertError(f"{self.builder.line}: calls {name}, which has no form in SystemVerilog")

    def _stream(self, instruction: Instruction, access: AccessKind, place: Place) -> None:
        stream = self.scope.stream(instruction.operands[0])
        bits = _number(instruction.operands[1]) if len(instruction.operands) > 1 else 0
        data: tuple[Ref, ...] = ()
        result = {AccessKind.READ: bits, AccessKind.POLL: bits + 1, AccessKind.EMPTY: 1, AccessKind.FULL: 1}.get(
            access, 1
        )
        if access is AccessKind.WRITE:
            element = instruction.operands[2]
            words = self.words[element] if isinstance(element, str) and element in self.words else None
            joined = self.builder.joined(words) if words else self.value(element, 64)
            data = (self.builder.slice(joined, 0, bits),)
        name = self.arrays.site(access, stream, result, self.condition(), data, place.stage, width=bits)
        if instruction.result:
            self.known[instruction.result] = name


def _number(operand: Operand) -> int:
    if not isinstance(operand, int):
        raise AebertError(f"stream access: {operand!r} must be a constant once unrolled")
    return operand


def _operand_bits(instruction: Instruction) -> list[int]:
    if instruction.opcode == "select":
        return [1, instruction.bits, instruction.bits]
    return [instruction.operand_bits] * len(instruction.operands)


def places_of(registers: Mapping[str, int], accesses: Mapping[Position, int], place: Callable[[int], Place]) -> Places:
    """``place`` gives what the schedule says of an operation. What is wired out of a result costs nothing more."""
    owners: dict[int, str] = {}
    for register, number in registers.items():
        owners.setdefault(number, register)

    def find(register: str, position: Position) -> Place:
        number = accesses.get(position, registers.get(register) if register else None)
        if number is None:
            return UNSCHEDULED
        found = place(number)
        return found if position in accesses or owners[number] == register else Place(found.stage)

    return find
