"""Stream accesses of a loop: which call of the shim header is which operation, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.schedule.frontend.addresses import Location, location_of
from codegen.schedule.frontend.builder import Input, LoopGraphBuilder
from codegen.schedule.frontend.ir import Instruction, Operand
from codegen.schedule.graph import Access, DependenceKind, Storage, StorageKind, Term, exclusive

_OPCODES = {
    "aebert_stream_read": "read",
    "aebert_stream_read_nb": "nbread",
    "aebert_stream_empty": "nbreadreq",
    "aebert_stream_full": "nbwritereq",
    "aebert_stream_write": "write",
    "aebert_stream_write_nb": "nbwrite",
}


def is_access(instruction: Instruction) -> bool:
    return instruction.callee in _OPCODES


@dataclass
class Streams:
    """Of one loop. ``locations``: of address registers; a stream in an array is named by its number."""

    builder: LoopGraphBuilder
    locations: Mapping[str, Location]
    accesses: dict[str, list[int]] = field(default_factory=dict)

    def access(
        self, instruction: Instruction, element: tuple[Input, ...], predicate: tuple[Term, ...], line: str
    ) -> int:
        """One access; ``element``: what is written, word by word."""
        opcode = _OPCODES[instruction.callee]
        name = self._name(instruction.operands[0])
        bits = instruction.operands[1] if len(instruction.operands) > 1 else 1
        if not isinstance(bits, int):
            raise AebertError(f"stream {name}: its width is no constant")
        if name not in self.builder.storages:
            self.builder.storages[name] = Storage(name, StorageKind.STREAM, bits, ports=1, write_ports=1)
        result = {"read": bits, "nbread": bits, "write": 0}.get(opcode, 1)
        number = self.builder.add(
            opcode, result, element, access=Access(name), predicate=predicate, line=line,
            name=f"{name}_{opcode}_{len(self.builder.operations)}",
        )  # fmt: skip
        self._follow(name, number)
        return number

    def _name(self, operand: Operand) -> str:
        location = location_of(operand, self.locations)
        if location.terms:
            raise AebertError(f"stream {location.base[1:]}: chosen by an index that is no constant once unrolled")
        # An element of an array of streams: each has a size of one byte.
        is_array = any(each.base == location.base and each.offset for each in self.locations.values())
        return f"{location.base[1:]}[{location.offset}]" if is_array else location.base[1:]

    def _follow(self, name: str, number: int) -> None:
        """Elements go in and come out in program order, one a cycle."""
        operation = self.builder.operations[number]
        for before in self.accesses.get(name, []):
            earlier = self.builder.operations[before]
            moves = {"read", "nbread", "write", "nbwrite"}
            if exclusive(earlier.predicate, operation.predicate):
                continue
            cycles = 1 if {earlier.opcode, operation.opcode} <= moves else 0
            self.builder.order(before, number, DependenceKind.ORDER, cycles)
        self.accesses.setdefault(name, []).append(number)
