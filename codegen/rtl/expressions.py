"""What LLVM's instructions that only compute are in SystemVerilog: one operator each, of LLVM's own width."""

from __future__ import annotations

from collections.abc import Sequence

from aebert.support.errors import AebertError
from codegen.rtl.nodes import Text
from codegen.schedule.frontend.ir import Instruction

_BINARY = {
    "add": "+", "sub": "-", "mul": "*", "udiv": "/", "urem": "%", "and": "&", "or": "|", "xor": "^",
    "shl": "<<", "lshr": ">>",
}  # fmt: skip
_SIGNED = {"sdiv": "/", "srem": "%"}
_COMPARE = {"eq": "==", "ne": "!=", "ugt": ">", "uge": ">=", "ult": "<", "ule": "<=",
            "sgt": ">", "sge": ">=", "slt": "<", "sle": "<="}  # fmt: skip
_EXTREMES = {"smax": ("s", ">"), "smin": ("s", "<"), "umax": ("u", ">"), "umin": ("u", "<")}


def zero_extended(text: str, bits: int, to: int) -> str:
    return text if to == bits else f"{{{to - bits}'d0, {text}}}"


def sign_extended(text: str, bits: int, to: int) -> str:
    if to == bits:
        return text
    top = text if bits == 1 else f"{text}[{bits - 1}]"
    return f"{{{{{to - bits}{{{top}}}}}, {text}}}"


def part(text: str, bits: int, low: int, width: int) -> str:
    """``width`` bits of the named signal ``text`` from bit ``low`` on."""
    if low == 0 and width == bits:
        return text
    return f"{text}[{low}]" if width == 1 else f"{text}[{low + width - 1}:{low}]"


def pure_text(instruction: Instruction) -> Text:
    """The expression over the operands' texts. Raises AebertError for an instruction that has none."""
    opcode = instruction.opcode
    wide, bits = instruction.operand_bits, instruction.bits
    if opcode in _BINARY:
        symbol = _BINARY[opcode]
        return lambda o: f"{o[0]} {symbol} {o[1]}"
    if opcode in _SIGNED:
        symbol = _SIGNED[opcode]
        return lambda o: f"$signed({o[0]}) {symbol} $signed({o[1]})"
    if opcode == "ashr":
        return lambda o: f"$signed({o[0]}) >>> {o[1]}"
    if opcode == "icmp":
        return _compare(instruction.predicate)
    if opcode == "select":
        return lambda o: f"{o[0]} ? {o[1]} : {o[2]}"
    if opcode == "zext":
        return lambda o: zero_extended(o[0], wide, bits)
    if opcode == "sext":
        return lambda o: sign_extended(o[0], wide, bits)
    if opcode == "trunc":
        return lambda o: part(o[0], wide, 0, bits)
    if opcode in ("freeze", "bitcast"):
        return lambda o: o[0]
    raise AebertError(f"LLVM's {opcode}: has no form in SystemVerilog here")


def _compare(predicate: str) -> Text:
    symbol = _COMPARE[predicate]
    if predicate.startswith("s"):
        return lambda o: f"$signed({o[0]}) {symbol} $signed({o[1]})"
    return lambda o: f"{o[0]} {symbol} {o[1]}"


def intrinsic_text(instruction: Instruction) -> Text:
    """LLVM's extremes, absolute values and rotations."""
    kind = instruction.callee.split(".")[1]
    if kind in _EXTREMES:
        sign, symbol = _EXTREMES[kind]

        def extreme(o: Sequence[str]) -> str:
            left, right = (f"$signed({each})" if sign == "s" else each for each in o[:2])
            return f"({left} {symbol} {right}) ? {o[0]} : {o[1]}"

        return extreme
    if kind == "abs":
        top = instruction.bits - 1
        return lambda o: f"{o[0]}[{top}] ? -{o[0]} : {o[0]}"
    if kind in ("fshl", "fshr") and isinstance(instruction.operands[2], int):
        places = instruction.operands[2] % instruction.bits
        down = instruction.bits - places if kind == "fshl" else places
        if down % instruction.bits == 0:
            return lambda o: o[0] if kind == "fshl" else o[1]
        up = instruction.bits - down
        return lambda o: f"({o[0]} << {up}) | ({o[1]} >> {down})"
    raise AebertError(f"{instruction.callee}: has no form in SystemVerilog here")
