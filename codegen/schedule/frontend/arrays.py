"""Which arrays become registers, which memories with banks and ports, and which bytes of them an access touches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from aebert.timing.source_marks import ArrayMark, SourceMarks
from codegen.schedule.frontend.addresses import Location, location_of
from codegen.schedule.frontend.ir import Instruction, IrFunction, IrVariable, Module

# Every way to read the end of a mangled name as a length and an identifier.
_MANGLED_TAIL = re.compile(r"(?=(\d+)([A-Za-z_]\w*?)(?:E)?$)")
_SUFFIX = re.compile(r"(?:\.i|\.\d+|\d+)+$")


class ArrayKind(Enum):
    REGISTERS = "registers"
    MEMORY = "memory"
    TABLE = "table"
    PORT = "port"


@dataclass(frozen=True)
class Array:
    """An array of a process, or (``PORT``) an AXI port. ``row_bytes``: what one access moves.

    ``bank_bytes`` 0: one bank. ``mark`` None: no pragma names it.
    """

    base: str
    name: str
    kind: ArrayKind
    row_bytes: int
    bank_bytes: int = 0
    size_bytes: int = 0
    mark: ArrayMark | None = None


def source_name(base: str, marks: SourceMarks, first_line: int, last_line: int) -> tuple[str, ArrayMark | None]:
    """Name in the source of a global or stack slot, and its pragmas. LLVM numbers names that occur twice."""
    plain = base[1:].strip('"')
    if base.startswith("@"):
        endings = _MANGLED_TAIL.finditer(plain)
        plain = next((found[2] for found in endings if int(found[1]) == len(found[2])), plain)
    for name in (plain, _SUFFIX.sub("", plain)):
        if (mark := marks.array_of(name, first_line, last_line)) is not None:
            return name, mark
    return _SUFFIX.sub("", plain) if base.startswith("%") else plain, None


def array_of(
    base: str, module: Module, function: IrFunction, marks: SourceMarks, lines: tuple[int, int], word_bytes: int
) -> Array:
    """``lines``: first and last of the process in its source; ``word_bytes``: of an AXI port."""
    slot = module.slots[function.name].get(base)
    storage = slot or module.globals.get(base)
    if storage is None:
        return Array(base, base[1:], ArrayKind.PORT, word_bytes)
    name, mark = source_name(base, marks, *lines)
    if storage.constant:
        return Array(base, name, ArrayKind.TABLE, storage.element_bytes, size_bytes=storage.size_bytes)
    unsplit = [d for d in range(1, len(storage.shape) + 1) if mark is None or d not in mark.partitioned]
    if (mark is not None and mark.registers) or not unsplit or (slot is not None and _is_automatic(mark)):
        return Array(base, name, ArrayKind.REGISTERS, storage.element_bytes, size_bytes=storage.size_bytes, mark=mark)
    banks = storage.shape[0] if 1 not in unsplit else 1
    bank_bytes = storage.size_bytes // banks if banks > 1 else 0
    return Array(base, name, ArrayKind.MEMORY, storage.element_bytes, bank_bytes, storage.size_bytes, mark)


def _is_automatic(mark: ArrayMark | None) -> bool:
    """Synthesis makes registers of a local array that no pragma binds to a memory, so as to reach the II."""
    return mark is None or (not mark.partitioned and not mark.storage)


@dataclass(frozen=True)
class Piece:
    """A part of an access to registers: the file they belong to, and which of its entries (None: a variable one)."""

    file: tuple[str, int, int]
    entry: int | None
    bits: int


@dataclass(frozen=True)
class RegisterLayout:
    """How an array of registers falls into files: one per constant offset, with an entry per value of the index."""

    array: Array
    stride: int
    span: int
    cuts: tuple[int, ...]

    @property
    def entries(self) -> int:
        return max(1, self.span // self.stride)

    def pieces(self, location: Location, bytes_: int) -> tuple[Piece, ...]:
        """What an access of ``bytes_`` bytes touches."""
        variable = bool(location.terms)
        found = []
        at = location.offset
        end = at + bytes_
        while at < end:
            outer, inside = divmod(at, self.span)
            entry, low = divmod(inside, self.stride)
            high = next(cut for cut in self.cuts if cut > low)
            high = min(high, low + end - at)
            file = (self.array.base, outer, low)
            found.append(Piece(file, None if variable else entry, 8 * (high - low)))
            at += high - low
        return tuple(found)


def register_layouts(
    function: IrFunction, arrays: Mapping[str, Array], module: Module, locations: Mapping[str, Location]
) -> Mapping[str, RegisterLayout]:
    """Of every array of registers that ``function`` accesses."""
    accesses: dict[str, list[tuple[Location, int]]] = {}
    for block in function.blocks.values():
        for instruction in block.instructions:
            if instruction.opcode in ("load", "store"):
                location = accessed(instruction, locations)
                array = arrays.get(location.base)
                if array is not None and array.kind is ArrayKind.REGISTERS:
                    accesses.setdefault(location.base, []).append((location, -(-instruction.operand_bits // 8)))
    slots = module.slots[function.name]
    return {
        base: _layout(arrays[base], slots.get(base) or module.globals[base], found) for base, found in accesses.items()
    }


def accessed(instruction: Instruction, locations: Mapping[str, Location]) -> Location:
    """Where a load or a store goes."""
    return location_of(instruction.operands[0 if instruction.opcode == "load" else 1], locations)


def _layout(array: Array, storage: IrVariable, accesses: Iterable[tuple[Location, int]]) -> RegisterLayout:
    accesses = list(accesses)
    strides = {stride for location, _ in accesses for _, stride in location.terms}
    if not strides:
        stride = span = storage.size_bytes
    else:
        stride = min(strides)
        widest = max(strides)
        sizes = [storage.size_bytes]
        for count in storage.shape:
            sizes.append(sizes[-1] // count)
        span = min((size for size in sizes if size > widest), default=storage.size_bytes)
    cuts = {stride}
    for location, count in accesses:
        cuts |= {location.offset % stride, (location.offset + count) % stride}
    return RegisterLayout(array, stride, span, tuple(sorted(cuts - {0} | {stride})))
