"""Addresses that are chosen at run time: LLVM makes one access of several; hardware accesses all and chooses values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from codegen.schedule.frontend.ir import BasicBlock, Instruction, IrFunction, Operand


def without_chosen_addresses(function: IrFunction) -> IrFunction:
    """``function`` in which every access names one address.

    A load through a phi becomes a phi of loads, each at the end of the block that it comes from. A load through a
    select becomes a select of loads; a store through one writes both, the other with what is there.
    """
    while True:
        changed = _without_select(function) or _without_phi(function)
        if changed is None:
            return function
        function = changed


def _without_select(function: IrFunction) -> IrFunction | None:
    """One use of a select as an address less."""
    selects = {each.result: each for each in function.instructions if each.opcode == "select"}
    for label, block in function.blocks.items():
        for number, use in enumerate(block.instructions):
            address = _address(use)
            if isinstance(address, str) and address in selects:
                parts = tuple(_both(use, selects[address]))
                instructions = (*block.instructions[:number], *parts, *block.instructions[number + 1 :])
                changed = replace(function, blocks={**function.blocks, label: BasicBlock(label, instructions)})
                return _without_unused(changed, address)
    return None


def _address(use: Instruction) -> Operand:
    if use.opcode in ("load", "getelementptr"):
        return use.operands[0]
    return use.operands[1] if use.opcode == "store" else None


def _both(use: Instruction, select: Instruction) -> Iterator[Instruction]:
    condition, *addresses = select.operands
    if use.opcode != "store":
        names = (f"{use.result}.chosen", f"{use.result}.other")
        for name, address in zip(names, addresses, strict=True):
            yield replace(use, result=name, operands=(address, *use.operands[1:]))
        yield Instruction("select", use.result, use.bits, (condition, *names), use.bits, use.debug)
        return
    value, bits = use.operands[0], use.operand_bits
    for number, address in enumerate(addresses):
        name = f"{select.result}.{address}.{value}.{number}"
        yield Instruction("load", f"{name}.old", bits, (address,), bits, use.debug)
        arms = (value, f"{name}.old") if number == 0 else (f"{name}.old", value)
        yield Instruction("select", f"{name}.new", bits, (condition, *arms), bits, use.debug)
        yield replace(use, operands=(f"{name}.new", address))


def _without_phi(function: IrFunction) -> IrFunction | None:
    """One load through a phi less."""
    phis = {each.result: each for each in function.instructions if each.opcode == "phi"}
    for label, block in function.blocks.items():
        for load in block.instructions:
            phi = phis.get(load.operands[0]) if load.opcode == "load" and isinstance(load.operands[0], str) else None
            if phi is not None:
                return _parted(function, label, load, phi)
    return None


def _parted(function: IrFunction, label: str, load: Instruction, phi: Instruction) -> IrFunction:
    blocks = dict(function.blocks)
    found: list[Operand] = []
    for number, (address, origin) in enumerate(zip(phi.operands, phi.labels, strict=True)):
        name = f"{load.result}.from{number}"
        found.append(name)
        before = blocks[origin].instructions
        each = replace(load, result=name, operands=(address, *load.operands[1:]))
        blocks[origin] = BasicBlock(origin, (*before[:-1], each, before[-1]))
    kept = tuple(each for each in blocks[label].instructions if each is not load)
    blocks[label] = BasicBlock(label, kept)
    joined = Instruction("phi", load.result, load.bits, tuple(found), load.bits, load.debug, labels=phi.labels)
    home = next(name for name, block in blocks.items() if phi in block.instructions)
    blocks[home] = BasicBlock(home, (joined, *blocks[home].instructions))
    return _without_unused(replace(function, blocks=blocks), phi.result)


def _without_unused(function: IrFunction, register: str) -> IrFunction:
    """``function`` without the definition of ``register`` where nothing uses it any more."""
    if any(register in each.operands for each in function.instructions):
        return function
    blocks = {
        label: BasicBlock(label, tuple(each for each in block.instructions if each.result != register))
        for label, block in function.blocks.items()
    }
    return replace(function, blocks=blocks)
