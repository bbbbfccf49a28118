"""Instructions that only compute: operators with the widths of their values, and wires that cost nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aebert.support.errors import AebertError
from codegen.schedule.frontend.builder import Value, inverse
from codegen.schedule.frontend.ir import Instruction, Operand
from codegen.schedule.frontend.values import Values

_ARITHMETIC = frozenset(("add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "and", "or", "xor"))
_SHIFTS = frozenset(("shl", "lshr", "ashr"))
_WIRES = frozenset(("zext", "sext", "trunc", "freeze", "bitcast"))
# The end of a value's part: it was masked with this constant.
_MASK = re.compile(r"a(\d+)$")
_EXTREMES = {"smax": "sgt", "smin": "slt", "umax": "ugt", "umin": "ult"}


@dataclass
class Operators:
    """Of one loop."""

    values: Values

    def pure(self, instruction: Instruction) -> Value:
        opcode = instruction.opcode
        if opcode in _WIRES:
            value = self.values.value(instruction.operands[0])
            return value.slice(f":{instruction.bits}") if opcode == "trunc" else value
        if opcode in _SHIFTS and isinstance(instruction.operands[1], int):
            return self.values.value(instruction.operands[0]).slice(f"{opcode[-1:]}{instruction.operands[1]}")
        if opcode == "icmp":
            return self._compare(instruction)
        if opcode == "select":
            condition, chosen, other = (self.values.value(operand) for operand in instruction.operands)
            return self.values.choose(condition, chosen, other, instruction)
        if opcode in ("sdiv", "srem") and _is_power_of_two(instruction.operands[1]):
            return self._divide_by_shift(instruction)
        if opcode in _ARITHMETIC or opcode in _SHIFTS:
            return self._arithmetic(instruction)
        raise AebertError(f"{self.values.line}: LLVM's {opcode} is not known to the scheduler")

    def _arithmetic(self, instruction: Instruction) -> Value:
        opcode = instruction.opcode
        left, right = instruction.operands
        if opcode in ("and", "or", "xor"):
            if instruction.bits == 1:
                return self._logic(opcode, self.values.value(left), self.values.value(right))
            if isinstance(right, int):
                return self.values.value(left).slice(f"{opcode[0]}{right}")  # bits masked or inverted: wiring
        bits = self.values.width(instruction)
        # The low bits of a sum or a product depend on the low bits of its operands.
        most = bits if opcode in ("add", "sub", "mul", "and", "or", "xor", "shl") else None
        wide = instruction.operand_bits
        places = (wide - 1).bit_length() if opcode in _SHIFTS else most
        operands = (self.values.input(left, wide, most), self.values.input(right, wide, places))
        if opcode == "or" and instruction.predicate == "disjoint":
            return self.values.operation("bitconcatenate", bits, operands)
        return self.values.operation(opcode, bits, operands)

    def _divide_by_shift(self, instruction: Instruction) -> Value:
        """Rounds towards zero: a negative value gets what a shift would round away added first."""
        value, bits, signed = self.values.input(instruction.operands[0], instruction.operand_bits)
        part = f"{instruction.opcode}{instruction.operands[1]}"
        if not signed:
            return value.slice(part)
        more = (value.slice("<0"), max(1, bits - 1), False)
        return self.values.operation("add", bits, ((value, bits, True), more)).slice(part)

    def _logic(self, opcode: str, left: Value, right: Value) -> Value:
        if opcode == "and":
            return self.values.builder.both(left, right, self.values.line)
        if opcode == "or":
            return self.values.builder.either(left, right, self.values.line)
        if right.constant is not None:
            return inverse(left) if right.constant % 2 else left
        return self.values.operation("xor", 1, ((left, 1, False), (right, 1, False)))

    def _compare(self, instruction: Instruction) -> Value:
        left, right = instruction.operands
        wide = instruction.operand_bits
        if (instruction.predicate, right) in (("slt", 0), ("sgt", -1)):
            sign = self.values.value(left).slice("<0")
            return inverse(sign) if instruction.predicate == "sgt" else sign
        if right == 0 and instruction.predicate in ("eq", "ne") and (bit := self._single_bit(left)) is not None:
            return bit if instruction.predicate == "ne" else inverse(bit)
        if wide == 1:
            return self._logic("xor", self.values.value(left), self.values.value(right))
        ranges = [self.values.range(operand, wide) for operand in (left, right)]
        if any(each.is_signed for each in ranges) and instruction.predicate[0] == "s":
            bits = max(each.signed_width for each in ranges)
        else:
            bits = max(min(each.unsigned_width, wide) for each in ranges)
        signed = instruction.predicate[0] == "s" and any(each.is_signed for each in ranges)
        operands = tuple((self.values.value(operand), bits, signed) for operand in (left, right))
        if instruction.predicate == "ne":
            return inverse(self.values.operation("icmp", 1, operands, "eq"))
        return self.values.operation("icmp", 1, operands, instruction.predicate)

    def _single_bit(self, operand: Operand) -> Value | None:
        """What is left of a value under a mask of one bit: against 0 that is compared by a wire."""
        value = self.values.value(operand)
        mask = _MASK.search(value.part)
        return value if mask is not None and _is_power_of_two(int(mask[1])) else None

    def intrinsic(self, instruction: Instruction) -> Value:
        """What LLVM has a function for: extremes, absolute values, rotations."""
        kind = instruction.callee.split(".")[1]
        bits = self.values.width(instruction)
        if kind in _EXTREMES:
            return self._extreme(_EXTREMES[kind], instruction)
        if kind == "abs":
            value = self.values.value(instruction.operands[0])
            negative = self.values.operation("sub", bits, ((Value(constant=0), bits, False), (value, bits, True)))
            return self.values.builder.choose(value.slice("<0"), negative, value, bits, self.values.line)
        rotated = kind in ("fshl", "fshr") and isinstance(instruction.operands[2], int)
        used = instruction.operands[:2] if rotated else instruction.operands
        operands = tuple(self.values.input(each, instruction.bits) for each in used)
        return self.values.operation("bitconcatenate" if rotated else kind, bits, operands)

    def _extreme(self, predicate: str, instruction: Instruction) -> Value:
        left, right = instruction.operands[:2]
        compared = self._compare(Instruction("icmp", "", 1, (left, right), instruction.bits, predicate=predicate))
        return self.values.choose(compared, self.values.value(left), self.values.value(right), instruction)


def _is_power_of_two(operand: Operand) -> bool:
    return isinstance(operand, int) and operand > 0 and operand & (operand - 1) == 0
