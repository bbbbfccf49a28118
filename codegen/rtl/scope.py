"""What all pieces of a process share: its registers, arrays and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.rtl.constant_tables import table_bytes
from codegen.rtl.names import Names
from codegen.rtl.nodes import Outside, Ref
from codegen.schedule.frontend.addresses import Location, location_of
from codegen.schedule.frontend.arrays import Array
from codegen.schedule.frontend.ir import Instruction, IrFunction, Operand, SourceLine
from codegen.schedule.frontend.kernel import SourceProcess

File = tuple[str, int, int]
# Signals of a stream or port.
_ENDS = ("_data", "_valid", "_ready", "_pop", "_push", "_blocked", "_idle")


@dataclass
class Ram:
    """An array in RAM. ``rows`` of each of its ``banks``."""

    array: Array
    name: str
    bits: int
    rows: int
    banks: int

    def bank_name(self, number: int) -> str:
        return f"{self.name}_{number}" if self.banks > 1 else self.name


@dataclass(frozen=True)
class Rom:
    """A constant table, read ``bits`` at a time."""

    name: str
    bits: int
    values: tuple[int, ...]


@dataclass
class Scope:
    """``kept``: registers of the LLVM IR that other pieces than their own read; ``files``: registers of arrays."""

    source: SourceProcess
    names: Names = field(default_factory=Names)
    kept: dict[str, Outside] = field(default_factory=dict)
    files: dict[tuple[File, int], Outside] = field(default_factory=dict)
    memories: dict[str, Ram] = field(default_factory=dict)
    roms: dict[tuple[str, int], Rom] = field(default_factory=dict)
    streams: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.process = self.source.process
        self.function: IrFunction = self.process.function
        self.bits: Mapping[str, int] = {
            **dict(self.function.parameters),
            **{each.result: _result_bits(each) for each in self.function.instructions if each.result},
        }
        self.shifts = _shifts(self.function)
        self.arguments = {name: self.names.new(name) for name, _ in self.function.parameters}
        for argument in tuple(self.arguments.values()):
            self.names.taken |= {f"{argument}{end}" for end in _ENDS}.difference(self.names.taken)

    def outside(self, register: str) -> Ref:
        """``register`` as a piece sees it that does not define it."""
        if register in self.arguments:
            return Outside(self.arguments[register], self.bits[register])
        if register not in self.kept:
            self.kept[register] = Outside(self.names.new(f"{register}_r"), self.bits[register])
        return self.kept[register]

    def file_register(self, file: File, entry: int, bits: int) -> Outside:
        key = (file, entry)
        if key not in self.files:
            array = self.process.arrays[file[0]]
            name = f"{array.name}_{file[1]}_{file[2]}_{entry}"
            self.files[key] = Outside(self.names.new(name), bits)
        return self.files[key]

    def memory(self, array: Array) -> Ram:
        if array.base not in self.memories:
            whole = array.bank_bytes or array.size_bytes
            self.memories[array.base] = Ram(
                array, self.names.new(array.name), 8 * array.row_bytes, whole // array.row_bytes,
                array.size_bytes // whole,
            )  # fmt: skip
        return self.memories[array.base]

    def rom(self, array: Array, bits: int) -> Rom:
        key = (array.base, bits)
        if key not in self.roms:
            content = table_bytes(self.source.text, array.base, array.size_bytes)
            size = bits // 8
            values = tuple(int.from_bytes(content[at : at + size], "little") for at in range(0, len(content), size))
            self.roms[key] = Rom(self.names.new(array.name), bits, values)
        return self.roms[key]

    def stream(self, operand: Operand) -> str:
        """The name of a stream, with its number where it is one of an array."""
        location = location_of(operand, self.process.locations)
        if location.terms:
            raise AebertError(f"stream {location.base[1:]}: chosen by an index that is no constant once unrolled")
        is_array = any(each.base == location.base and each.offset for each in self.process.locations.values())
        name = self.arguments[location.base]
        return f"{name}_{location.offset}" if is_array else name

    def terms(self, instruction: Instruction, location: Location) -> tuple[tuple[str, int, int], ...]:
        """What is added to a location's constant part: register, bits that it is shifted right by, bytes."""
        address = instruction.operands[0 if instruction.opcode == "load" else 1]
        shifts = self.shifts.get(address, ()) if isinstance(address, str) else ()
        return tuple(
            (register, shift, stride) for (register, stride), shift in zip(location.terms, shifts, strict=True)
        )

    def line(self, debug: int | None) -> str:
        """Where the kernel says it: of what was inlined, the outermost place that is not a header of the tool."""
        at: SourceLine | None = None if debug is None else self.process.lines.get(debug)
        while at is not None and at.inlined_at is not None and at.file.endswith(("hls_stream.h", "ap_int.h")):
            at = at.inlined_at
        return "" if at is None or at.line == 0 else str(at)


def _shifts(function: IrFunction) -> Mapping[str, tuple[int, ...]]:
    """For each term of each address's location: by how much its register is a multiple that the stride has in it."""
    from codegen.schedule.frontend.addresses import index_multiples

    multiples = index_multiples(function)
    found: dict[str, tuple[int, ...]] = {}
    waiting = {each.result: each for each in function.instructions if each.opcode == "getelementptr"}
    for name in waiting:
        chain = [name]
        while isinstance(base := waiting[chain[-1]].operands[0], str) and base in waiting:
            chain.append(base)
        shifts: list[int] = []
        for each in reversed(chain):
            for register in waiting[each].operands[1:]:
                index, factor = multiples.get(str(register), (str(register), 1))
                shifts.append(factor.bit_length() - 1 if index == str(register) else 0)
        found[name] = tuple(shifts)
    return found


def _result_bits(instruction: Instruction) -> int:
    """A read gives a whole element, one that may fail also whether it did not."""
    if instruction.callee in ("aebert_stream_read", "aebert_stream_read_nb"):
        bits = instruction.operands[1]
        return int(str(bits)) + (instruction.callee == "aebert_stream_read_nb")
    return instruction.bits
