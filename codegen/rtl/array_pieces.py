"""Loads, stores and stream accesses of one piece: rows of memories, words of ports, registers of partitioned arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.rtl.builder import Builder
from codegen.rtl.nodes import TRUE, AccessKind, AccessSite, Kind, Ref, RtlNode
from codegen.rtl.scope import File, Scope
from codegen.schedule.frontend.addresses import Location
from codegen.schedule.frontend.arrays import Array, ArrayKind, RegisterLayout, accessed
from codegen.schedule.frontend.ir import Instruction, Operand
from codegen.schedule.frontend.memories import MemoryRow, row_of

_Key = tuple[File, int]


@dataclass
class _Waiting:
    """A row that the current block has written a part of: lowest bit -> value."""

    address: tuple[Ref, ...]
    bank: int | None
    parts: dict[int, Ref]
    stage: int
    line: str


@dataclass
class ArrayPieces:
    """``state``: what each register of an array holds at this place of the program; ``written``: those that change."""

    scope: Scope
    builder: Builder
    value: Callable[[Operand, int], Ref]
    state: dict[_Key, Ref] = field(default_factory=dict)
    written: dict[_Key, Ref] = field(default_factory=dict)
    rows: dict[MemoryRow, RtlNode] = field(default_factory=dict)
    waiting: dict[MemoryRow, _Waiting] = field(default_factory=dict)

    def site(
        self,
        access: AccessKind,
        storage: str,
        bits: int,
        condition: Ref,
        data: tuple[Ref, ...],
        stage: int,
        *,
        width: int = 0,
        fields: tuple[tuple[int, int], ...] = (),
        bank: int | None = 0,
    ) -> RtlNode:
        name = f"{storage}_{access.value}"
        node = self.builder.node(name, bits, (condition, *data), lambda o: o[0], Kind.SITE, start=stage)
        self.builder.piece.sites.append(AccessSite(access, storage, node, fields, bank))
        if access is not AccessKind.STORE:
            used = self.scope.streams.setdefault(storage, {})
            used[access.value] = max(width, used.get(access.value, 0))
        return node

    def load(self, instruction: Instruction, stage: int, latency: int, condition: Ref) -> Ref:
        location = accessed(instruction, self.scope.process.locations)
        array = self._array(location, instruction)
        bits = instruction.bits
        if array.kind is ArrayKind.REGISTERS:
            return self.builder.slice(self._read_registers(array, location, instruction), 0, bits)
        if array.kind is ArrayKind.TABLE:
            return self._read_table(array, location, instruction, stage, latency)
        row, inside, within = row_of(array, location)
        if array.kind is ArrayKind.PORT:
            if row not in self.rows:
                name = self.scope.arguments[array.base]
                self.rows[row] = self.site(
                    AccessKind.READ, name, 8 * array.row_bytes, condition, (), stage, width=8 * array.row_bytes
                )
        else:
            self.flush(condition, array.base)
            if row not in self.rows:
                self.rows[row] = self._read_row(array, row, location, instruction, stage, latency)
        found: Ref = self.rows[row]
        return (
            self._pick(found, instruction, location, array, within)
            if inside
            else self.builder.slice(found, 8 * within, bits)
        )

    def _pick(self, row: Ref, instruction: Instruction, location: Location, array: Array, within: int) -> Ref:
        """The bytes of a row that a variable chooses."""
        width = max(1, (array.row_bytes - 1).bit_length())
        terms = self.scaled(instruction, location, 1, below=array.row_bytes)
        index = self.builder.total(terms, within, width)
        bits = instruction.bits
        return self.builder.node(
            instruction.result, bits, (row, index), lambda o: f"{o[0]}[{{{o[1]}, 3'd0}} +: {bits}]"
        )

    def _read_row(
        self, array: Array, row: MemoryRow, location: Location, instruction: Instruction, stage: int, latency: int
    ) -> RtlNode:
        memory = self.scope.memory(array)
        address, bank = self._address(array, location, instruction)
        if len(address) > 1 or bank is None:
            raise AebertError(f"{self.builder.line}: {array.name}: the bank of a load is chosen by a variable")
        name = memory.bank_name(bank)
        return self.builder.node(
            f"{name}_row", memory.bits, address, lambda o: o[0], Kind.REGISTERED, start=stage, latency=latency, ram=name
        )

    def _read_table(
        self, array: Array, location: Location, instruction: Instruction, stage: int, latency: int
    ) -> RtlNode:
        rom = self.scope.rom(array, instruction.bits)
        size = instruction.bits // 8
        width = max(1, (len(rom.values) - 1).bit_length())
        index = self.builder.total(self.scaled(instruction, location, size), location.offset // size, width)
        kind = Kind.REGISTERED if latency else Kind.WIRE
        return self.builder.node(
            instruction.result, rom.bits, (index,), lambda o: f"{rom.name}[{o[0]}]", kind, start=stage, latency=latency
        )

    def scaled(self, instruction: Instruction, location: Location, unit: int, below: int = 0) -> list[tuple[Ref, int]]:
        """The variable part of a location in units of bytes, as values and factors.

        Only that of whole units, and (``below``) of strides less than so many bytes.
        """
        found = []
        for register, shift, stride in self.scope.terms(instruction, location):
            if stride < unit or (below and stride >= below):
                continue
            factor, rest = divmod(stride, unit)
            if rest:
                raise AebertError(f"{self.builder.line}: an address moves by {stride} bytes, not by rows of {unit}")
            value = self.value(register, self.scope.bits[register])
            found.append((self.builder.slice(value, shift, max(1, value.bits - shift)), factor))
        return found

    def _address(
        self, array: Array, location: Location, instruction: Instruction
    ) -> tuple[tuple[Ref, ...], int | None]:
        """The row within its bank, then (bank None) the bank."""
        rows = (array.bank_bytes or array.size_bytes) // array.row_bytes
        width = max(1, (rows - 1).bit_length())
        inside = location.offset % array.bank_bytes if array.bank_bytes else location.offset
        terms = self.scaled(instruction, location, array.row_bytes, array.bank_bytes)
        row = self.builder.total(terms, inside // array.row_bytes, width)
        if not array.bank_bytes:
            return (row,), 0
        bank = location.offset // array.bank_bytes
        choosing = [
            (self.value(register, self.scope.bits[register]), shift, stride)
            for register, shift, stride in self.scope.terms(instruction, location)
            if stride >= array.bank_bytes
        ]
        if not choosing:
            return (row,), bank
        banks = array.size_bytes // array.bank_bytes
        bits = max(1, (banks - 1).bit_length())
        chosen = self.builder.total(
            [
                (self.builder.slice(value, shift, value.bits - shift), stride // array.bank_bytes)
                for value, shift, stride in choosing
            ],
            bank,
            bits,
        )
        return (row, chosen), None

    def store(self, instruction: Instruction, stage: int, condition: Ref) -> None:
        location = accessed(instruction, self.scope.process.locations)
        array = self._array(location, instruction)
        data = self.value(instruction.operands[0], instruction.operand_bits)
        bits = 8 * -(-instruction.operand_bits // 8)
        data = self.builder.slice(data, 0, bits)
        if array.kind is ArrayKind.REGISTERS:
            self._write_registers(array, location, instruction, data, condition)
            return
        row, inside, within = row_of(array, location)
        if inside:
            raise AebertError(f"{self.builder.line}: {array.name}: a part of a row is chosen by a variable")
        if row not in self.waiting:
            address, bank = ((), 0) if array.kind is ArrayKind.PORT else self._address(array, location, instruction)
            self.waiting[row] = _Waiting(address, bank, {}, stage, self.builder.line)
        self.waiting[row].parts[8 * within] = data

    def flush(self, condition: Ref, base: str | None = None) -> None:
        """Writes the rows that this block wrote part by part: of one array in front of a load from it, else all."""
        for row in [each for each in self.waiting if base in (None, each.base)]:
            held = self.waiting.pop(row)
            array = self.scope.process.arrays[row.base]
            parts = [held.parts[low] for low in sorted(held.parts)]
            fields = tuple((low, held.parts[low].bits) for low in sorted(held.parts))
            self.builder.line = held.line
            if array.kind is ArrayKind.PORT:
                name = self.scope.arguments[array.base]
                joined = self.builder.joined(parts)
                self.site(AccessKind.WRITE, name, 1, condition, (joined,), held.stage, width=joined.bits)
                continue
            self.scope.memory(array)  # from now on one of the RAMs of the process
            self.site(
                AccessKind.STORE, array.base, 1, condition, (*held.address, *parts), held.stage, fields=fields,
                bank=held.bank,
            )  # fmt: skip
            self.rows = {each: node for each, node in self.rows.items() if each.base != row.base}

    def _array(self, location: Location, instruction: Instruction) -> Array:
        found = self.scope.process.arrays.get(location.base)
        if found is None:
            raise AebertError(f"{self.builder.line}: {instruction.opcode} through {location.base}: is no array")
        return found

    def _current(self, file: File, entry: int, bits: int) -> Ref:
        return self.state.get((file, entry), self.scope.file_register(file, entry, bits))

    def _index(self, layout: RegisterLayout, location: Location, instruction: Instruction) -> Ref | None:
        """Which entry is meant, where a variable says so."""
        if not location.terms:
            return None
        width = max(1, (layout.entries - 1).bit_length())
        terms = self.scaled(instruction, location, layout.stride)
        return self.builder.total(terms, location.offset % layout.span // layout.stride, width)

    def _read_registers(self, array: Array, location: Location, instruction: Instruction) -> Ref:
        layout = self.scope.process.layouts[array.base]
        index = self._index(layout, location, instruction)
        found = []
        for piece in layout.pieces(location, -(-instruction.bits // 8)):
            if index is None:
                found.append(self._current(piece.file, piece.entry or 0, piece.bits))
            else:
                entries = [self._current(piece.file, entry, piece.bits) for entry in range(layout.entries)]
                found.append(self.builder.element(entries, index))
        return self.builder.joined(found)

    def _write_registers(
        self, array: Array, location: Location, instruction: Instruction, data: Ref, condition: Ref
    ) -> None:
        layout = self.scope.process.layouts[array.base]
        index = self._index(layout, location, instruction)
        low = 0
        for piece in layout.pieces(location, data.bits // 8):
            part = self.builder.slice(data, low, piece.bits)
            low += piece.bits
            entries = range(layout.entries) if index is not None else (piece.entry or 0,)
            for entry in entries:
                meant = TRUE if index is None or layout.entries == 1 else self.builder.equals(index, entry)
                before = self._current(piece.file, entry, piece.bits)
                after = self.builder.choose(self.builder.both(condition, meant), part, before)
                self.state[piece.file, entry] = self.written[piece.file, entry] = after


def loop_writes(scope: Scope, blocks: tuple[str, ...]) -> dict[_Key, int]:
    """The registers of arrays that these blocks write, with their bits."""
    found: dict[_Key, int] = {}
    for block in blocks:
        for instruction in scope.function.blocks[block].instructions:
            if instruction.opcode != "store":
                continue
            location = accessed(instruction, scope.process.locations)
            layout = scope.process.layouts.get(location.base)
            if layout is None:
                continue
            for piece in layout.pieces(location, -(-instruction.operand_bits // 8)):
                entries = range(layout.entries) if piece.entry is None else (piece.entry,)
                found |= {(piece.file, entry): piece.bits for entry in entries}
    return found
