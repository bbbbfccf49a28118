"""Arrays of registers inside a loop: a read is a multiplexer, a write an enable per entry, and the rest is carried.

Entries that only a variable index reaches behave alike, so one stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from codegen.schedule.frontend.arrays import Piece, RegisterLayout
from codegen.schedule.frontend.builder import TRUE, LoopGraphBuilder, Value

_OTHERS = -1


@dataclass
class RegisterFile:
    """One file. ``named``: entries with a constant index somewhere in the loop; ``written``: the loop changes it."""

    builder: LoopGraphBuilder
    name: str
    bits: int
    entries: int
    named: frozenset[int]
    written: bool
    loads: dict[int, int] = field(default_factory=dict)
    state: dict[int, Value] = field(default_factory=dict)

    def members(self, entry: int | None) -> tuple[int, ...]:
        """The entries that an access may touch, one of those that are alike."""
        if entry is not None:
            return (entry,)
        others = (_OTHERS,) if self.entries > len(self.named) else ()
        return (*sorted(self.named), *others)

    def current(self, member: int) -> Value:
        """What an entry holds at this place of the program."""
        if member not in self.state:
            if self.written:
                self.loads[member] = self.builder.register(f"{self.name}.{member}", self.bits)
                self.state[member] = Value(self.loads[member])
            else:
                self.state[member] = Value(outside=f"{self.name}.{member}")
        return self.state[member]

    def read(self, entry: int | None, index: Value, index_bits: int, line: str) -> Value:
        """A multiplexer over the entries where the index is variable."""
        if entry is not None:
            return self.current(entry)
        held = [self.current(member) for member in self.members(None)]
        if self.entries == 1:
            return held[0]
        # As many inputs as entries: those that are alike come from the same place.
        inputs = held + [held[-1]] * (self.entries - len(held))
        operands = [(index, index_bits, False), *((value, self.bits, False) for value in inputs)]
        return self.builder.value("mux", self.bits, operands, line=line)

    def write(self, entry: int | None, index: Value, index_bits: int, value: Value, enable: Value, line: str) -> None:
        """Each entry keeps what it has unless it is meant and ``enable`` holds."""
        for member in self.members(entry):
            chosen = enable
            if entry is None and self.entries > 1:
                constant = Value(constant=max(member, 0))
                operands = ((index, index_bits, False), (constant, index_bits, False))
                meant = self.builder.value("icmp", 1, operands, condition="eq", line=line)
                chosen = self.builder.both(enable, meant, line)
            before = self.current(member) if chosen != TRUE else value
            self.state[member] = self.builder.choose(chosen, value, before, self.bits, line)


@dataclass
class RegisterFiles:
    """All files of a loop, by `Piece.file`."""

    builder: LoopGraphBuilder
    layouts: dict[str, RegisterLayout]
    files: dict[tuple[str, int, int], RegisterFile] = field(default_factory=dict)

    def prepare(self, pieces: Iterable[tuple[Piece, bool]]) -> None:
        """From all accesses of the loop, and whether each writes: what can be told apart."""
        named: dict[tuple[str, int, int], set[int]] = {}
        written: set[tuple[str, int, int]] = set()
        bits: dict[tuple[str, int, int], int] = {}
        for piece, writes in pieces:
            bits[piece.file] = max(piece.bits, bits.get(piece.file, 0))
            named.setdefault(piece.file, set())
            if piece.entry is not None:
                named[piece.file].add(piece.entry)
            if writes:
                written.add(piece.file)
        for file, width in bits.items():
            layout = self.layouts[file[0]]
            name = f"{layout.array.name}[{file[1]}+{file[2]}]"
            self.files[file] = RegisterFile(
                self.builder, name, width, layout.entries, frozenset(named[file]), file in written
            )

    def carried(self) -> Iterable[tuple[int, Value]]:
        """The read of each entry, and what it holds at the end of the iteration."""
        for file in self.files.values():
            for member, load in file.loads.items():
                yield load, file.state[member]
