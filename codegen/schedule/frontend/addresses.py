"""What an address means: which array or port, which of its elements, and how far that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aebert.support.errors import AebertError
from codegen.schedule.frontend.ir import Address, Instruction, IrFunction, Operand


@dataclass(frozen=True)
class Location:
    """``base`` (a parameter, a stack slot, a global) + ``offset`` + the sum of register * stride, in bytes."""

    base: str
    offset: int
    terms: tuple[tuple[str, int], ...] = ()

    def plus(self, offset: int, terms: tuple[tuple[str, int], ...]) -> Location:
        return Location(self.base, self.offset + offset, self.terms + terms)


def locate(function: IrFunction) -> Mapping[str, Location]:
    """The location that each address register of ``function`` stands for."""
    definitions = {
        instruction.result: instruction
        for block in function.blocks.values()
        for instruction in block.instructions
        if instruction.opcode == "getelementptr"
    }
    multiples = index_multiples(function)
    known: dict[str, Location] = {}
    for name in definitions:
        _resolve(name, definitions, multiples, known)
    return known


def index_multiples(function: IrFunction) -> Mapping[str, tuple[str, int]]:
    """Registers that are another one times a constant, or a multiple of a power of two: LLVM multiplies an index
    before it adds it, and takes a field out of a word with its address already in place.
    """
    found: dict[str, tuple[str, int]] = {}
    zeros: dict[str, int] = {}
    for block in function.blocks.values():
        for instruction in block.instructions:
            if not instruction.operands or not instruction.result:
                continue
            low = zeros.get(str(instruction.operands[0]), 0)
            constant = instruction.operands[1] if len(instruction.operands) > 1 else None
            if instruction.opcode in ("zext", "sext"):
                zeros[instruction.result] = low
            elif isinstance(constant, int) and constant > 0:
                if instruction.opcode in ("shl", "mul"):
                    factor = 1 << constant if instruction.opcode == "shl" else constant
                    found[instruction.result] = (str(instruction.operands[0]), factor)
                if instruction.opcode == "shl":
                    zeros[instruction.result] = low + constant
                elif instruction.opcode in ("ashr", "lshr"):
                    zeros[instruction.result] = max(0, low - constant)
    return {**{name: (name, 1 << low) for name, low in zeros.items() if low}, **found}


def _resolve(
    name: str,
    definitions: Mapping[str, Instruction],
    multiples: Mapping[str, tuple[str, int]],
    known: dict[str, Location],
) -> None:
    waiting = [name]
    while waiting:
        current = waiting[-1]
        instruction = definitions[current]
        base = instruction.operands[0]
        if isinstance(base, str) and base in definitions and base not in known:
            waiting.append(base)
            continue
        start = location_of(base, known)
        terms = []
        for register, stride in zip(instruction.operands[1:], instruction.strides, strict=True):
            index, factor = multiples.get(str(register), (str(register), 1))
            terms.append((index, stride * factor))
        known[current] = start.plus(instruction.offset, tuple(terms))
        waiting.pop()


def location_of(operand: Operand, known: Mapping[str, Location]) -> Location:
    """Raises AebertError for an address that is chosen at run time."""
    if isinstance(operand, Address):
        return Location(operand.base, operand.offset)
    if isinstance(operand, str):
        return known.get(operand, Location(operand, 0))
    raise AebertError(f"address {operand!r}: the scheduler needs to know which array an access is to")
