"""How many of a register's low bits anything looks at, backward from its uses: the others are never built."""

from __future__ import annotations

from collections.abc import Mapping

from codegen.schedule.frontend.ir import Instruction, IrFunction

# Result bit n depends on no operand bit above n.
_LOW_BITS_ONLY = frozenset(("add", "sub", "mul", "or", "xor", "freeze", "phi"))


def demanded_bits(function: IrFunction) -> Mapping[str, int]:
    """Low bits of each register that matter; a register that nothing uses is absent."""
    demanded: dict[str, int] = {}
    defined = {each.result: each for block in function.blocks.values() for each in block.instructions if each.result}
    waiting = [each for block in function.blocks.values() for each in block.instructions]
    # What computes a register is looked at again when more of it matters.
    while waiting:
        instruction = waiting.pop()
        for number, operand in enumerate(instruction.operands):
            if not isinstance(operand, str) or not operand.startswith("%"):
                continue
            needed = _needed(instruction, number, demanded)
            if needed > demanded.get(operand, 0):
                demanded[operand] = needed
                if operand in defined:
                    waiting.append(defined[operand])
    return demanded


def _needed(instruction: Instruction, number: int, demanded: Mapping[str, int]) -> int:
    """Bits of operand ``number`` that ``instruction`` looks at."""
    whole = instruction.operand_bits
    wanted = demanded.get(instruction.result, 0)
    opcode = instruction.opcode
    if opcode in _LOW_BITS_ONLY:
        return min(whole, wanted)
    if opcode == "select":
        return 1 if number == 0 and wanted else min(instruction.bits, wanted)
    if opcode in ("trunc", "zext", "sext"):
        return min(whole, wanted)
    if opcode == "and":
        mask = instruction.operands[1 - number]
        return min(whole, wanted, mask.bit_length() if isinstance(mask, int) and mask >= 0 else whole)
    if opcode in ("shl", "lshr", "ashr"):
        places = instruction.operands[1]
        if number == 1 or not isinstance(places, int):
            return whole if wanted else 0
        return max(0, wanted - places) if opcode == "shl" else min(whole, wanted + places) if wanted else 0
    if opcode == "call":
        return 64 if instruction.callee.startswith("aebert_") else whole
    if instruction.result and not wanted:
        return 0
    if opcode == "getelementptr" or (
        instruction.opcode in ("load", "store") and number == _address_operand(instruction)
    ):
        return 64
    return max(whole, 1)


def _address_operand(instruction: Instruction) -> int:
    return 0 if instruction.opcode == "load" else 1
