"""Delay and latency of operators, as Vitis HLS charges them: medians of its schedule reports, interpolated by width.

operators.json is made by benchmarks/fit_operators.py; it names its source, its residuals and what was never seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from aebert.support.checked_files import parse_json
from codegen.schedule.devices import device_of, nearest, tool_era
from codegen.schedule.graph import LoopGraph, Operation, StorageKind, Timing
from codegen.schedule.multiplications import Multiplications, interpolate, operand_bits

# Wires: no delay (every report).
FREE = frozenset(
    {"zext", "sext", "trunc", "partselect", "bitselect", "bitconcatenate", "bitset", "partset", "getelementptr"}
    | {"bitcast", "extractvalue", "insertvalue", "phi", "br", "nbreadreq", "nbwritereq", "muxlogic"}
)
_LOGIC = frozenset({"and", "or", "xor"})
_SHIFTS = frozenset({"shl", "lshr", "ashr"})
# Natural delay of a FIFO access in ns; never more than half the budget is charged (README of the data, 7 clocks).
_FIFO_NS = {"us+": 1.42, "us": 1.6, "7": 3.6, "versal": 1.3}
# AXI requests and responses take the whole budget of each of their states: 7 states for a request, 5 for a response
# (2021.2 and 2022.1 at 3.3 and 10 ns; Vitis HLS 2024.2 takes more).
_AXI_LATENCY = {"readreq": 6, "writereq": 0, "read": 0, "write": 0, "writeresp": 4}


@dataclass(frozen=True, slots=True)
class Sample:
    """An operator family, the size that its delay grows with, and the cycles between its first and last state."""

    operator: str
    size: int
    latency: int


def family(opcode: str, core: str = "", variant: str = "") -> str | None:
    """The name under which an operator's delays are kept; None for what is not kept."""
    if opcode in ("add", "sub"):
        return "add_dsp" if "DSP" in core else "add"
    if opcode == "mul" and "DSP" in core:
        return "mul_dsp"
    if opcode in _LOGIC:
        return "logic"
    if opcode in _SHIFTS:
        return "shift"
    if opcode in ("mux", "sparsemux"):
        return "mux"
    if opcode in ("load", "store"):
        if core:
            return f"ram_{opcode}"
        return "register" if opcode == "store" else None
    if opcode in ("icmp", "select", "switch", "sdiv", "udiv", "srem", "urem", "ctlz", "cttz"):
        return opcode
    if opcode[:1] in ("f", "d") and opcode[1:] in ("add", "sub", "mul", "div", "cmp", "exp", "sqrt", "acc", "log"):
        return opcode
    return None


class OperatorModel:
    """Delays by device and tool era. ``table``: group -> operator -> latency -> [size, first ns, last ns, count]."""

    def __init__(
        self,
        table: Mapping[str, Mapping[str, Mapping[str, Sequence[Sequence[float]]]]],
        multiplications: Multiplications,
    ) -> None:
        self._table = table
        self._multiplications = multiplications

    def timing(self, graph: LoopGraph, operation: Operation) -> Timing:
        """What an operation costs under the clock of its loop. Merged operations and wires cost nothing."""
        if operation.merged or (operation.opcode in FREE and operation.access is None):
            return Timing(0, 0.0)
        if operation.callee is not None:
            callee = operation.callee
            return Timing(callee.latency, callee.input_delay_ns, callee.output_delay_ns)
        storage = graph.storage_of(operation)
        context = graph.context
        if storage is not None and storage.kind not in (StorageKind.MEMORY, StorageKind.ROM):
            return self._access(graph, operation, storage.kind)
        if operation.opcode == "mul":
            bits = operand_bits(graph, operation)
            devices = nearest(device_of(context.part))
            return self._multiplications.timing(devices, context.tool_version, bits, context.budget_ns)
        name = family(operation.opcode, "RAM" if storage is not None else "")
        if name is None:
            return Timing(0, 0.0)
        size = storage.bits * max(storage.depth, 1) if storage is not None else _size(name, operation)
        found = self.delay(context.part, context.tool_version, context.budget_ns, name, size)
        if storage is not None and operation.opcode == "load" and storage.registers_output and found is not None:
            return Timing(found.latency + 1, found.delay_ns, found.output_delay_ns)
        return found or Timing(0, 0.0)

    def _access(self, graph: LoopGraph, operation: Operation, kind: StorageKind) -> Timing:
        """FIFOs, AXI ports, registers."""
        context = graph.context
        budget = context.budget_ns
        if kind is StorageKind.SCALAR or operation.opcode in ("nbreadreq", "nbwritereq"):
            return Timing(0, 0.0)
        if kind is StorageKind.AXI:
            return Timing(_AXI_LATENCY.get(operation.opcode, 0), budget, budget)
        if kind is StorageKind.STREAM:
            natural = _FIFO_NS[device_of(context.part).split()[0]]
            return Timing(0, min(natural, budget / 2))
        if kind is StorageKind.AXI_STREAM:
            return Timing(1, 0.0, 0.0) if "write" in operation.opcode else Timing(0, 0.0)
        if operation.opcode == "store":
            return self.delay(context.part, context.tool_version, budget, "register", 1) or Timing(0, 0.4)
        if kind is StorageKind.REGISTER_FILE:
            depth = (graph.storage_of(operation) or _NO_STORAGE).depth
            return self.delay(context.part, context.tool_version, budget, "mux", max(depth, 2)) or Timing(0, 0.0)
        return Timing(0, 0.0)

    def delay(
        self, part: str, version: str, budget_ns: float, operator: str, size: int, latency: int | None = None
    ) -> Timing | None:
        """The operator with the fewest cycles whose states fit the budget (or of ``latency``); None: never seen."""
        variants = self._variants(part, version, operator)
        if not variants:
            return None
        best: Timing | None = None
        for cycles in sorted(variants):
            if latency is not None and cycles != latency:
                continue
            first, last = interpolate(variants[cycles], size)[:2]
            found = Timing(cycles, first, last if cycles else 0.0)
            if max(first, last if cycles else 0.0) <= budget_ns + 0.01:
                return found
            best = found if best is None or first < best.delay_ns else best
        return best

    def _variants(self, part: str, version: str, operator: str) -> dict[int, Sequence[Sequence[float]]]:
        """Of the device and era; else of the other era; else of the nearest device that has the operator."""
        era = tool_era(version)
        other = "old" if era == "new" else "new"
        for group in [f"{name} {age}" for name in nearest(device_of(part)) for age in (era, other)]:
            found = self._table.get(group, {}).get(operator)
            if found:
                return {int(cycles): points for cycles, points in found.items()}
        return {}


def _size(name: str, operation: Operation) -> int:
    if name == "mux":
        return max(len(operation.operands) - 1, 2)
    if name == "icmp" and operation.operands:
        return max(max(operand.bits for operand in operation.operands), 1)
    return max(operation.bits, 1)


@dataclass(frozen=True)
class _NoStorage:
    depth: int = 2


_NO_STORAGE = _NoStorage()


@lru_cache(maxsize=1)
def fitted_model() -> OperatorModel:
    """The model fitted on the schedule reports of public repositories (operators.json)."""
    text = resources.files("codegen.schedule").joinpath("operators.json").read_text(encoding="utf-8")
    document = json.loads(text)
    products = parse_json(
        Multiplications, json.dumps(document["multiplications"]), "operators.json", "install aebert again"
    )
    return OperatorModel(document["delays"], products)
