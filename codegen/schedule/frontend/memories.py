"""Accesses to memories, tables and AXI ports: whole rows, bank by bank, in program order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from aebert.timing.source_marks import DependencePragma
from codegen.schedule.frontend.addresses import Location
from codegen.schedule.frontend.arrays import Array, ArrayKind
from codegen.schedule.frontend.builder import Input, LoopGraphBuilder
from codegen.schedule.graph import Access, DependenceKind, Operation, Storage, StorageKind, Term, exclusive

# A write to a bank that only the running kernel knows takes a port of every bank.
ALL_BANKS = -1
_KINDS = {ArrayKind.MEMORY: StorageKind.MEMORY, ArrayKind.TABLE: StorageKind.ROM, ArrayKind.PORT: StorageKind.AXI}


@dataclass(frozen=True)
class MemoryRow:
    """A row of an array: what one access moves. ``terms`` are registers and strides that choose it."""

    base: str
    offset: int
    terms: tuple[tuple[str, int], ...]


def row_of(array: Array, location: Location) -> tuple[MemoryRow, tuple[tuple[str, int], ...], int]:
    """The row that ``location`` is in; terms and bytes that choose within it."""
    row_terms = tuple(term for term in location.terms if term[1] >= array.row_bytes)
    inside = tuple(term for term in location.terms if term[1] < array.row_bytes)
    start, within = divmod(location.offset, array.row_bytes)
    return MemoryRow(array.base, start * array.row_bytes, row_terms), inside, within


@dataclass
class Memories:
    """Of one loop."""

    builder: LoopGraphBuilder
    dependences: tuple[DependencePragma, ...]
    accesses: dict[str, list[int]] = field(default_factory=dict)
    _loaded: dict[MemoryRow, int] = field(default_factory=dict)

    def loaded(self, row: MemoryRow) -> int | None:
        """The load that has brought ``row`` already, since the last store to its array."""
        return self._loaded.get(row)

    def access(
        self,
        opcode: str,
        array: Array,
        row: MemoryRow,
        operands: Iterable[Input],
        predicate: tuple[Term, ...],
        line: str,
    ) -> int:
        """A new access to ``row``."""
        storage = self._storage(array)
        bank = self._bank(array, row)
        terms = ",".join(f"{name}*{stride}" for name, stride in row.terms)
        access = Access(storage.name, bank, f"{terms}+{row.offset}" if array.kind is not ArrayKind.TABLE else None)
        kinds = {"load": "read", "store": "write"} if array.kind is ArrayKind.PORT else {}
        bits = 8 * array.row_bytes if opcode == "load" else 0
        number = self.builder.add(
            kinds.get(opcode, opcode), bits, operands, access=access, predicate=predicate, line=line,
            name=f"{array.name}_{opcode}_{len(self.builder.operations)}",
        )  # fmt: skip
        if array.kind is not ArrayKind.TABLE:
            self.accesses.setdefault(array.base, []).append(number)
        if opcode == "load":
            self._loaded[row] = number
        else:
            self._loaded = {each: load for each, load in self._loaded.items() if each.base != row.base}
        return number

    def _bank(self, array: Array, row: MemoryRow) -> int:
        if not array.bank_bytes:
            return 0
        if any(stride >= array.bank_bytes for _, stride in row.terms):
            return ALL_BANKS
        return row.offset // array.bank_bytes

    def _storage(self, array: Array) -> Storage:
        if array.name not in self.builder.storages:
            mark = array.mark
            bound = mark is not None and mark.storage
            # Without a pragma synthesis takes a memory with two ports, each for loads and stores.
            ports, write_ports = (mark.read_ports, mark.write_ports) if mark is not None and bound else (2, None)
            if mark is not None and mark.storage in ("ram_1p", "ram_t2p"):
                write_ports = None
            rows = (array.bank_bytes or array.size_bytes) // array.row_bytes
            self.builder.storages[array.name] = Storage(
                array.name, _KINDS[array.kind], 8 * array.row_bytes, rows,
                1 if array.kind is ArrayKind.PORT else 0 if array.kind is ArrayKind.TABLE else ports,
                1 if array.kind is ArrayKind.PORT else write_ports,
                "" if mark is None else mark.primitive,
                independent=any(each.array == array.name and each.distance == 0 for each in self.dependences),
            )  # fmt: skip
        return self.builder.storages[array.name]

    def connect(self, arrays: Mapping[str, Array]) -> None:
        """Dependences between the accesses of each array, within an iteration and between iterations."""
        for base, numbers in self.accesses.items():
            array = arrays[base]
            pragmas = [each for each in self.dependences if each.array == array.name]
            within = any(not each.between_iterations and each.distance == 0 for each in pragmas)
            distances = [each.distance for each in pragmas if each.between_iterations]
            self._connect(numbers, array, within, distances[0] if distances else 1)

    def _connect(self, numbers: list[int], array: Array, independent_within: bool, distance: int) -> None:
        operations = self.builder.operations
        if array.kind is ArrayKind.PORT:
            for before, after in pairwise(numbers):
                self.builder.order(before, after, DependenceKind.ORDER, 1)
            return
        for at, first in enumerate(numbers):
            for second in numbers[at + 1 :]:
                if not independent_within and _meet(operations[first], operations[second], same_iteration=True):
                    self.builder.order(first, second, DependenceKind.MEMORY, _cycles(operations[first]))
            for second in numbers if distance and operations[first].opcode == "store" else ():
                if operations[second].opcode == "load" and _meet(
                    operations[first], operations[second], same_iteration=False
                ):
                    self.builder.order(first, second, DependenceKind.MEMORY, 1, distance)


def _cycles(first: Operation) -> int:
    """What a store writes can be loaded in the cycle after; a load leaves the address free in its own."""
    return 1 if first.opcode == "store" else 0


def _meet(first: Operation, second: Operation, *, same_iteration: bool) -> bool:
    """Whether two accesses may touch one element and one of them writes it."""
    if first.opcode == "load" and second.opcode == "load":
        return False
    if first.access is None or second.access is None:
        return False
    if same_iteration and exclusive(first.predicate, second.predicate):
        return False
    banks = (first.access.bank, second.access.bank)
    return ALL_BANKS in banks or banks[0] == banks[1]
