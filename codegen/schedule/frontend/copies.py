"""Copies of whole structures, as the loads and stores that they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aebert.support.errors import AebertError
from codegen.schedule.frontend.ir import BasicBlock, Instruction, IrFunction, Operand

_CHUNK_BYTES = 8


def without_copies(function: IrFunction) -> IrFunction:
    """``function`` with every memcpy and memset taken apart. Raises AebertError where a length is not known."""
    blocks = {
        label: BasicBlock(
            label, tuple(part for each in block.instructions for part in _parts(each, f"{label}.{number}"))
        )
        for number, (label, block) in enumerate(function.blocks.items())
    }
    return replace(function, blocks=blocks)


def _parts(instruction: Instruction, where: str) -> Iterator[Instruction]:
    kind = instruction.callee.split(".")[1] if instruction.callee.startswith("llvm.mem") else ""
    if kind not in ("memcpy", "memmove", "memset"):
        yield instruction
        return
    target, source, count = instruction.operands[:3]
    if not isinstance(count, int) or (kind == "memset" and not isinstance(source, int)):
        raise AebertError(f"a copy in {where} has a length or content that is no constant once unrolled")
    for at in range(0, count, _CHUNK_BYTES):
        bits = 8 * min(_CHUNK_BYTES, count - at)
        name = f"%copy.{where}.{instruction.debug}.{target}.{at}"
        value: Operand = 0
        if kind != "memset":
            yield _address(f"{name}.from", source, at, instruction.debug)
            yield Instruction("load", f"{name}.value", bits, (f"{name}.from",), bits, instruction.debug)
            value = f"{name}.value"
        yield _address(f"{name}.to", target, at, instruction.debug)
        yield Instruction("store", "", 0, (value, f"{name}.to"), bits, instruction.debug)


def _address(name: str, base: Operand, offset: int, debug: int | None) -> Instruction:
    return Instruction("getelementptr", name, 64, (base,), 64, debug, offset=offset)
