"""Loads and stores of a loop: rows of memories and words of ports, multiplexers and enables of registers."""

from __future__ import annotations

from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.schedule.frontend.addresses import Location
from codegen.schedule.frontend.arrays import Array, ArrayKind, RegisterLayout, accessed
from codegen.schedule.frontend.builder import TRUE, Input, Value
from codegen.schedule.frontend.ir import Instruction
from codegen.schedule.frontend.memories import Memories, MemoryRow, row_of
from codegen.schedule.frontend.predicates import Predicates
from codegen.schedule.frontend.register_files import RegisterFiles
from codegen.schedule.frontend.values import Values


@dataclass
class ArrayAccesses:
    """Of one loop. ``waiting``: rows that the current block has written a part of.

    ``position``: of the instruction that is read; ``placed``: the operation of each access to a memory, by position.
    """

    values: Values
    predicates: Predicates
    memories: Memories
    registers: RegisterFiles
    waiting: dict[MemoryRow, tuple[tuple[Input, ...], Location, str]] = field(default_factory=dict)
    position: tuple[str, int] = ("", 0)
    placed: dict[tuple[str, int], int] = field(default_factory=dict)
    _parts_of: dict[MemoryRow, list[tuple[str, int]]] = field(default_factory=dict)

    def load(self, instruction: Instruction, block: str) -> None:
        location = accessed(instruction, self.values.process.locations)
        array = self._array(location, instruction)
        if array.kind is ArrayKind.REGISTERS:
            self.values.known[instruction.result] = self._read_registers(array, location, instruction)
            return
        row, inside, within = row_of(array, location)
        self.write_rows(block, array.base)
        number = self.memories.loaded(row)
        if number is None:
            address = self._index(location, array.row_bytes)
            number = self.memories.access("load", array, row, address, self.predicates.terms(block), self.values.line)
        self.placed[self.position] = number
        found = Value(number)
        self.values.known[instruction.result] = (
            self._pick(found, array, inside, within, instruction)
            if inside
            else found.slice(f"@{within}:{instruction.bits}")
        )

    def _pick(
        self, row: Value, array: Array, inside: tuple[tuple[str, int], ...], within: int, instruction: Instruction
    ) -> Value:
        """An element of a row, chosen by a variable."""
        stride = min(step for _, step in inside)
        ways = array.row_bytes // stride
        index = self.values.input(inside[0][0], 64, max(1, (ways - 1).bit_length()))
        if within // stride:
            index = self.values.add(index, (Value(constant=within // stride), index[1], False), index[1])
        inputs = ((row, instruction.bits, False),) * ways
        return self.values.operation("mux", instruction.bits, (index, *inputs))

    def _index(self, location: Location, row_bytes: int) -> tuple[Input, ...]:
        """The registers that choose the row; what has to be added up for it is added here."""
        array = self.values.process.arrays[location.base]
        rows = max(2, (array.bank_bytes or array.size_bytes or 1 << 32) // row_bytes)
        bits = (rows - 1).bit_length()
        chosen: list[Input] = []
        parts = []
        for register, stride in location.terms:
            if array.bank_bytes and stride >= array.bank_bytes:
                chosen.append(self.values.input(register, 64))
            elif stride >= row_bytes:
                parts.append(self.values.input(register, 64, bits))
        total = parts[0] if parts else (Value(constant=0), bits, False)
        for part in parts[1:]:
            total = self.values.add(total, part, bits)
        offset = (location.offset % array.bank_bytes if array.bank_bytes else location.offset) // row_bytes
        if parts and offset:
            total = self.values.add(total, (Value(constant=offset), bits, False), bits)
        return (total, *chosen)

    def store(self, instruction: Instruction, block: str) -> None:
        location = accessed(instruction, self.values.process.locations)
        array = self._array(location, instruction)
        data = self.values.input(instruction.operands[0], instruction.operand_bits)
        if array.kind is ArrayKind.REGISTERS:
            self._write_registers(array, location, instruction, data[0], block)
            return
        row, _inside, _within = row_of(array, location)
        parts, _, line = self.waiting.get(row, ((), location, self.values.line))
        self.waiting[row] = ((*parts, data), location, line)
        self._parts_of.setdefault(row, []).append(self.position)

    def write_rows(self, block: str, base: str | None = None) -> None:
        """The rows that this block wrote part by part: of one array in front of a load from it, else of all."""
        for row in [each for each in self.waiting if base in (None, each.base)]:
            parts, location, line = self.waiting.pop(row)
            array = self.values.process.arrays[row.base]
            operands = (*parts, *self._index(location, array.row_bytes))
            number = self.memories.access("store", array, row, operands, self.predicates.terms(block), line)
            self.placed.update(dict.fromkeys(self._parts_of.pop(row), number))

    def _array(self, location: Location, instruction: Instruction) -> Array:
        found = self.values.process.arrays.get(location.base)
        if found is None:
            raise AebertError(
                f"{self.values.line}: {instruction.opcode} through {location.base}, which is no array of the process"
            )
        return found

    def _entry_index(self, location: Location, layout: RegisterLayout) -> tuple[Value, int]:
        bits = max(1, (layout.entries - 1).bit_length())
        if not location.terms:
            return TRUE, 1
        parts = [self.values.input(register, 64, bits) for register, _ in location.terms]
        total = parts[0]
        for part in parts[1:]:
            total = self.values.add(total, part, bits)
        return total[0], bits

    def _read_registers(self, array: Array, location: Location, instruction: Instruction) -> Value:
        layout = self.values.process.layouts[array.base]
        index, bits = self._entry_index(location, layout)
        pieces = layout.pieces(location, -(-instruction.bits // 8))
        found = [self.registers.files[piece.file].read(piece.entry, index, bits, self.values.line) for piece in pieces]
        if len(found) == 1:
            return found[0]
        parts = tuple((value, piece.bits, False) for value, piece in zip(found, pieces, strict=True))
        return self.values.operation("bitconcatenate", instruction.bits, parts)

    def _write_registers(
        self, array: Array, location: Location, instruction: Instruction, value: Value, block: str
    ) -> None:
        layout = self.values.process.layouts[array.base]
        index, bits = self._entry_index(location, layout)
        enable = self.predicates.of(block)
        for piece in layout.pieces(location, -(-instruction.operand_bits // 8)):
            self.registers.files[piece.file].write(piece.entry, index, bits, value, enable, self.values.line)
