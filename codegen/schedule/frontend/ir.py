"""LLVM IR as the front end needs it: integers, addresses, calls and control flow; nothing else occurs in a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

POINTER_BITS = 64


@dataclass(frozen=True)
class Address:
    """``offset`` bytes into a global or a stack slot that another constant expression names."""

    base: str
    offset: int


# "%name" or "@name"; a constant; a constant address; None: undefined.
Operand = str | int | Address | None


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. ``bits`` of the result (0: none) and ``operand_bits`` of the first operand.

    ``labels``: successors of a branch (``cases`` has the values of a switch, the first label is its default), or the
    blocks that a phi's operands come from. An address computation is ``operands[0]`` + ``offset`` + the sum of
    ``operands[i]`` * ``strides[i - 1]`` bytes.
    """

    opcode: str
    result: str = ""
    bits: int = 0
    operands: tuple[Operand, ...] = ()
    operand_bits: int = 0
    debug: int | None = None
    predicate: str = ""
    callee: str = ""
    labels: tuple[str, ...] = ()
    cases: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    offset: int = 0


@dataclass(frozen=True)
class BasicBlock:
    """A basic block: its phis first, a branch last."""

    label: str
    instructions: tuple[Instruction, ...]

    @property
    def branch(self) -> Instruction:
        return self.instructions[-1]

    @property
    def successors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.branch.labels))


@dataclass(frozen=True)
class IrFunction:
    """``parameters`` in order: name and bits. The first block is the entry."""

    name: str
    parameters: tuple[tuple[str, int], ...]
    blocks: Mapping[str, BasicBlock]

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return tuple(each for block in self.blocks.values() for each in block.instructions)

    @property
    def entry(self) -> str:
        return next(iter(self.blocks))


@dataclass(frozen=True)
class IrVariable:
    """A global variable or a stack slot: its size, and the type it was declared with.

    ``bounds``: the least and greatest number in a constant table.
    """

    name: str
    size_bytes: int
    shape: tuple[int, ...]
    element_bytes: int
    constant: bool
    bounds: tuple[int, int] | None = None


@dataclass(frozen=True)
class SourceLine:
    """Where an instruction was written: the innermost place first is ``file:line``, then where that was inlined."""

    file: str
    line: int
    inlined_at: SourceLine | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Module:
    """``storages`` by name, stack slots as "function/%slot"; ``lines`` by debug number."""

    functions: tuple[IrFunction, ...]
    globals: Mapping[str, IrVariable]
    slots: Mapping[str, Mapping[str, IrVariable]] = field(default_factory=dict)
    lines: Mapping[int, SourceLine] = field(default_factory=dict)
