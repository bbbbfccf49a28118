"""What registers of the LLVM IR are inside a loop, and how many bits of them exist."""

from __future__ import annotations

from dataclasses import dataclass, field

from codegen.schedule.frontend.builder import Input, LoopGraphBuilder, Value
from codegen.schedule.frontend.ir import Instruction, Operand
from codegen.schedule.frontend.process import Process
from codegen.schedule.frontend.ranges import Range, exactly, operand_range


@dataclass
class Values:
    """Of one loop. ``known``: what each register stands for; ``line``: the source line that is being read."""

    process: Process
    builder: LoopGraphBuilder
    known: dict[str, Value] = field(default_factory=dict)
    line: str = ""

    def value(self, operand: Operand) -> Value:
        """What ``operand`` is inside this loop."""
        if isinstance(operand, int):
            return Value(constant=operand)
        if isinstance(operand, str):
            return self.known.get(operand, Value(outside=operand))
        return Value(constant=0) if operand is None else Value(outside=operand.base)

    def range(self, operand: Operand, bits: int) -> Range:
        if isinstance(operand, int):
            return exactly(bits, operand)
        return operand_range(operand, bits, self.process.ranges)

    def input(self, operand: Operand, bits: int, most: int | None = None) -> Input:
        """``operand`` as an input, of at most ``most`` bits."""
        found = self.range(operand, bits)
        width = found.width if most is None else min(found.width, most)
        return self.value(operand), max(1, width), found.is_signed

    def width(self, instruction: Instruction) -> int:
        """Bits of the result that exist: no more than its range needs, and no more than anything looks at."""
        needed = self.range(instruction.result, instruction.bits).width
        return max(1, min(instruction.bits, needed, self.process.demanded.get(instruction.result, instruction.bits)))

    def choose(self, condition: Value, chosen: Value, other: Value, like: Instruction) -> Value:
        """``chosen`` where ``condition`` holds, else ``other``, with the width of ``like``'s result."""
        found = self.range(like.result, like.bits)
        return self.builder.choose(condition, chosen, other, self.width(like), self.line, found.is_signed)

    def operation(self, opcode: str, bits: int, operands: tuple[Input, ...], condition: str = "") -> Value:
        """An operation that only computes, of the current line."""
        return self.builder.value(opcode, bits, operands, line=self.line, condition=condition)

    def add(self, left: Input, right: Input, bits: int) -> Input:
        """A sum of ``bits`` bits, for an address."""
        return self.operation("add", bits, (left, right)), bits, False
