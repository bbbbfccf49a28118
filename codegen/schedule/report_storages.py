"""The memories, streams, ports and registers that the operations of a reported loop touch, and where in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.schedule.affine import Affine, Motion
from codegen.schedule.graph import Access, Storage, StorageKind
from codegen.schedule.report_operations import ReportOperation

_INTERFACES = {
    "ap_fifo": StorageKind.STREAM,
    "axis": StorageKind.AXI_STREAM,
    "m_axi": StorageKind.AXI,
}
STREAM_OPCODES = frozenset({"read", "write", "nbread", "nbwrite", "nbreadreq", "nbwritereq"})
AXI_OPCODES = frozenset({"readreq", "writereq", "writeresp"})
_PASSING = frozenset({"zext", "sext", "trunc", "bitcast"})
_FRESH = frozenset({"read", "nbread", "call"})


class Addresses:
    """Finds arrays and index expressions behind the pointers of loads and stores."""

    def __init__(self, operations: Sequence[ReportOperation], definitions: Mapping[str, int]) -> None:
        self._operations = operations
        self._definitions = definitions
        self._affine: dict[str, Affine] = {}

    def pointer(self, operation: ReportOperation) -> str | None:
        """The pointer operand of a load or store."""
        place = {"load": 0, "store": 1}.get(operation.opcode)
        if operation.statement.function.startswith("_ssdm_op_Write.bram"):
            place = 0  # with byte enables: address, value, mask
        operands = operation.statement.operands
        return operands[place].name if place is not None and place < len(operands) else None

    def array(self, operation: ReportOperation) -> str | None:
        """The array that a load or store touches; None for a register."""
        pointer = self.pointer(operation)
        if pointer is None:
            return None
        address = self._definition(pointer)
        if address is not None and address.opcode == "getelementptr" and address.statement.operands:
            return address.statement.operands[0].name
        if operation.core is not None and operation.core.storage:
            # The address was computed before the loop: Vitis names it after the array.
            return pointer.partition("_addr")[0]
        return None

    def index(self, operation: ReportOperation) -> Affine:
        """The element that a load or store touches."""
        pointer = self.pointer(operation) or ""
        address = self._definition(pointer)
        if "_addr+" in pointer:  # a constant address: its last index
            last = pointer.rpartition("+")[2]
            return Affine(int(last)) if last.lstrip("-").isdigit() else Affine()
        if address is None or address.opcode != "getelementptr":
            return Affine(0, ((pointer, 1),))
        total = Affine()
        for value in address.statement.operands[1:]:
            total = total.plus(self.expression(value.name) if value.name else Affine(value.constant or 0))
        return total

    def expression(self, name: str, depth: int = 0) -> Affine:
        if name in self._affine:
            return self._affine[name]
        found = self._expression(name, depth) if depth < 64 else Affine(0, ((name, 1),))
        self._affine[name] = found
        return found

    def _expression(self, name: str, depth: int) -> Affine:
        opaque = Affine(0, ((name, 1),))
        operation = self._definition(name)
        if operation is None:
            return opaque
        values = operation.statement.operands
        sides = [self.expression(v.name, depth + 1) if v.name else Affine(_signed(v)) for v in values[:2]]
        if operation.opcode in _PASSING and sides:
            return sides[0]
        if len(sides) < 2:
            return opaque
        if operation.opcode in ("add", "sub"):
            return sides[0].plus(sides[1], 1 if operation.opcode == "add" else -1)
        if operation.opcode == "mul" and not (sides[0].terms and sides[1].terms):
            return sides[0].times(sides[1].constant) if not sides[1].terms else sides[1].times(sides[0].constant)
        if operation.opcode == "shl" and not sides[1].terms and 0 <= sides[1].constant < 64:
            return sides[0].times(1 << sides[1].constant)
        if operation.opcode == "bitconcatenate" and len(values) == 2 and values[1].bits:
            return sides[0].times(1 << values[1].bits).plus(sides[1])
        if operation.opcode == "or" and not sides[1].terms and _fits_below(sides[1].constant, sides[0]):
            return sides[0].plus(sides[1])
        return opaque

    def _definition(self, name: str) -> ReportOperation | None:
        index = self._definitions.get(name)
        return None if index is None else self._operations[index]

    def motion(self, carried: Mapping[str, Sequence[str]]) -> Motion:
        """``carried``: by the name of a phi or register load, the values that the iteration leaves in it."""
        steps: dict[str, int] = {}
        for name, nexts in carried.items():
            changes = {self._change(name, value) for value in nexts}
            if len(changes) == 1 and None not in changes:
                steps[name] = next(iter(changes)) or 0
        irregular = {
            operation.name
            for operation in self._operations
            if operation.opcode in _FRESH or (operation.opcode == "load" and self.array(operation) is not None)
        }
        resting = set[str]()
        for name, nexts in carried.items():
            if kept := self._kept(name) & set(nexts):
                resting |= {name, *kept}
        return Motion(steps, frozenset(self._definitions), frozenset(self._reach(irregular)), frozenset(resting))

    def _kept(self, name: str) -> set[str]:
        """What may be the value of ``name`` itself, through selections."""
        kept: set[str] = set()
        for operation in self._operations:
            chosen = operation.statement.operands[1:] if operation.opcode == "select" else ()
            if any(value.name == name or value.name in kept for value in chosen):
                kept.add(operation.name)
        return kept

    def _change(self, name: str, value: str) -> int | None:
        difference = self.expression(value).plus(self.expression(name), -1)
        return None if difference.terms else difference.constant

    def _reach(self, seeds: set[str]) -> set[str]:
        """Everything computed from ``seeds``."""
        reached = set(seeds)
        grown = True
        while grown:
            grown = False
            for operation in self._operations:
                if operation.name not in reached and any(v.name in reached for v in operation.statement.operands):
                    reached.add(operation.name)
                    grown = True
        return reached


def _signed(value: object) -> int:
    constant = getattr(value, "constant", None) or 0
    bits = getattr(value, "bits", 0)
    return constant - (1 << bits) if bits and constant >= 1 << (bits - 1) and bits > 1 else constant


def _fits_below(constant: int, expression: Affine) -> bool:
    """Whether ``expression`` has zeros wherever ``constant`` has bits, so that ``or`` adds."""
    step = 1 << max(constant, 0).bit_length()
    return constant >= 0 and expression.constant % step == 0 and all(c % step == 0 for _, c in expression.terms)


class Storages:
    """Accesses of the operations, and the storages they name. ``values``: how many different ones a register gets."""

    def __init__(self, addresses: Addresses, values: Mapping[str, int]) -> None:
        self._addresses, self._values = addresses, values
        self.storages: dict[str, Storage] = {}

    def access(self, operation: ReportOperation) -> Access | None:
        if operation.opcode in STREAM_OPCODES or operation.opcode in AXI_OPCODES:
            return self._port(operation)
        if operation.opcode in ("load", "store"):
            return self._memory(operation)
        return None

    def _port(self, operation: ReportOperation) -> Access | None:
        interface = operation.statement.function.split(".")[1] if "." in operation.statement.function else ""
        kind = _INTERFACES.get(interface, StorageKind.SCALAR)
        operands = operation.statement.operands
        if not operands:
            return None
        name = operands[0].name
        if kind is StorageKind.AXI and operation.opcode in ("read", "write", "writeresp", "readreq", "writereq"):
            name = self._axi_port(name)
        core = operation.core
        bits, depth = (core.width, core.depth) if core is not None and core.width else (operation.statement.bits, 0)
        self.storages.setdefault(name, Storage(name, kind, bits, depth, ports=1))
        return Access(name)

    def _axi_port(self, pointer: str) -> str:
        address = self._addresses._definition(pointer)
        if address is not None and address.opcode == "getelementptr":
            return address.statement.operands[0].name
        return pointer.partition("_addr")[0]

    def _memory(self, operation: ReportOperation) -> Access | None:
        array = self._addresses.array(operation)
        if array is None:
            pointer = self._addresses.pointer(operation) or ""
            bits, sources = operation.statement.bits, self._values.get(pointer, 1)
            self.storages.setdefault(pointer, Storage(pointer, StorageKind.REGISTER, bits, sources=sources))
            return Access(pointer)
        core = operation.core
        rom = core is not None and (core.kind == "ROM" or core.name.startswith("ROM"))
        known = self.storages.get(array)
        if known is None or (core is not None and not known.depth):
            kind = StorageKind.ROM if rom else StorageKind.MEMORY
            ports = 0 if rom else core.ports if core is not None else 2
            self.storages[array] = Storage(
                array, kind, core.width if core else operation.statement.bits, core.depth if core else 0, ports,
                implementation=core.name if core else "",
            )  # fmt: skip
        return Access(array, 0, repr(self._addresses.index(operation)))
