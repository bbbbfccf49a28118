"""Ways that are never taken: LLVM gives a switch a default that leads nowhere when its cases are all there are."""

from __future__ import annotations

from dataclasses import replace

from codegen.schedule.frontend.ir import BasicBlock, Instruction, IrFunction


def without_unreachable(function: IrFunction) -> IrFunction:
    """``function`` without blocks that are never reached; the last case of such a switch becomes its default."""
    dead = {label for label, block in function.blocks.items() if block.instructions[0].opcode == "unreachable"}
    blocks = {
        label: BasicBlock(label, (*block.instructions[:-1], _without(block.branch, dead)))
        for label, block in function.blocks.items()
        if label not in dead
    }
    return replace(function, blocks=blocks)


def _without(branch: Instruction, dead: set[str]) -> Instruction:
    if branch.opcode == "switch" and branch.labels[0] in dead:
        labels, cases = (branch.labels[-1], *branch.labels[1:-1]), branch.cases[:-1]
        if not cases:
            return replace(branch, opcode="br", operands=(), operand_bits=0, labels=labels, cases=())
        return replace(branch, labels=labels, cases=cases)
    if branch.opcode == "br" and len(branch.labels) == 2 and dead & set(branch.labels):
        kept = tuple(label for label in branch.labels if label not in dead)
        return replace(branch, operands=(), operand_bits=0, labels=kept)
    return branch
