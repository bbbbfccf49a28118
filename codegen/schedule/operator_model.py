"""Delay and latency of operators, as Vitis HLS charges them in its schedule reports.

operators.json is made by benchmarks/fit_operators.py; it names its source, its residuals and what was never seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

from aebert.support.checked_files import parse_json
from codegen.schedule.delay_table import DelayTable
from codegen.schedule.devices import device_of, nearest
from codegen.schedule.floating_point import FloatingPoint
from codegen.schedule.graph import LoopGraph, Operation, Storage, StorageKind, Timing
from codegen.schedule.multiplications import Multiplications, operand_bits
from codegen.schedule.operator_families import FREE, classify, edition, merged_sources

# AXI requests and responses take the whole budget of each of their states: 7 states for a request, 5 for a response
# (2021.2 and 2022.1 at 3.3 and 10 ns; Vitis HLS 2024.2 takes more).
_AXI_LATENCY = {"readreq": 6, "writereq": 0, "read": 0, "write": 0, "writeresp": 4}
# From then on an AXI stream's register slice is charged in one state.
_REGISTER_SLICE_TOOL = "2024"
# Cycles that a division takes beside one for each bit.
_DIVISION_CYCLES = 3


@dataclass(frozen=True)
class OperatorModel:
    """``delays`` of logic, memories and ports; ``multiplications`` and ``floating_point`` have latencies by clock."""

    delays: DelayTable
    multiplications: Multiplications
    floating_point: FloatingPoint

    def timing(self, graph: LoopGraph, operation: Operation) -> Timing:
        """What an operation costs under the clock of its loop. Merged operations and wires cost nothing."""
        if operation.callee is not None:
            callee = operation.callee
            return Timing(callee.latency, callee.input_delay_ns, callee.output_delay_ns)
        storage = graph.storage_of(operation)
        if storage is not None:
            return self._access(graph, operation, storage)
        if operation.opcode in FREE:
            return Timing(0, 0.0)
        return self._operator(graph, operation) or Timing(0, 0.0)

    def _operator(self, graph: LoopGraph, operation: Operation) -> Timing | None:
        context = graph.context
        device, budget = device_of(context.part), context.budget_ns
        if operation.opcode == "mul" and not operation.merged:
            bits = operand_bits(graph, operation)
            return self.multiplications.timing(nearest(device), context.tool_version, bits, budget)
        known = classify(graph, operation)
        if known is None:
            return None if operation.merged else self.floating_point.timing(device, operation.opcode, budget)
        family, size = known
        found = self._of_family(graph, family, size)
        if found is None or family == "division":
            return found and Timing(size + _DIVISION_CYCLES, found.delay_ns, found.delay_ns)
        if found.latency or family == "product_in_slice":
            return found
        return Timing(0, max((found.delay_ns, *self._within(graph, operation))))

    def _within(self, graph: LoopGraph, operation: Operation) -> list[float]:
        """Of the operators that share a LUT with this one: it costs what the slowest of them does."""
        found = []
        for inner in merged_sources(graph, operation):
            known = classify(graph, replace(inner, merged=False))
            timing = None if known is None or inner.opcode == "mul" else self._of_family(graph, *known)
            found += [timing.delay_ns] if timing is not None and not timing.latency else []
            found += self._within(graph, inner)
        return found

    def _of_family(self, graph: LoopGraph, family: str, size: int) -> Timing | None:
        context = graph.context
        name = edition(family, context.tool_version)
        return self.delays.timing(device_of(context.part), name, size, context.budget_ns)

    def _access(self, graph: LoopGraph, operation: Operation, storage: Storage) -> Timing:
        """Memories, FIFOs, AXI ports, registers."""
        device, budget, kind = device_of(graph.context.part), graph.context.budget_ns, storage.kind
        if kind in (StorageKind.MEMORY, StorageKind.ROM):
            delay = self.delays.memory(device, storage.bits, storage.depth)
            if operation.opcode == "load":
                return Timing(1 + storage.registers_output, delay, delay)
            return Timing(0, delay)
        if kind is StorageKind.SCALAR or operation.opcode in ("nbreadreq", "nbwritereq"):
            return Timing(0, 0.0)
        if kind is StorageKind.AXI:
            return Timing(_AXI_LATENCY.get(operation.opcode, 0), budget, budget)
        found: Timing | None = None
        if kind is StorageKind.STREAM:
            # Never more than half the budget is charged (all reports, 12 clocks).
            return Timing(0, min(self.delays.fifo(device, storage.bits, storage.depth), budget / 2))
        if kind is StorageKind.AXI_STREAM:
            writes = "write" in operation.opcode
            if graph.context.tool_version >= _REGISTER_SLICE_TOOL:
                found = self._of_family(graph, "axis_write" if writes else "axis_read", 1)
            return found or Timing(int(writes), 0.0)
        if operation.opcode == "store" and storage.sources > 1:
            found = self._of_family(graph, "register", storage.sources)
        elif operation.opcode == "load" and kind is StorageKind.REGISTER_FILE:
            found = self._of_family(graph, "mux", max(storage.depth, 2))
        return found or Timing(0, 0.0)


@lru_cache(maxsize=1)
def fitted_model() -> OperatorModel:
    """The model fitted on the schedule reports of public repositories (operators.json)."""
    text = resources.files("codegen.schedule").joinpath("operators.json").read_text(encoding="utf-8")
    document = json.loads(text)
    return parse_json(OperatorModel, json.dumps(document["model"]), "operators.json", "install aebert again")
