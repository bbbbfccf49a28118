"""Latency of the operators that the kernel's loops are made of, at 300 MHz on UltraScale+.

Operators: BindNode entries and module names of real Vitis HLS reports (2020.1 to 2024.1), which
benchmarks/operator_latencies.py prints from the files. Memories: the device's user guide. FIFO ends: one register each.
``latency_cycles`` as HLS counts it: 0 means that the result is ready in the cycle of the inputs and can share it with
further operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OperatorName = Literal[
    "fabric", "multiply", "cascade", "wide_multiply", "table", "memory_read", "stream_read", "stream_write", "divide_32"
]

CLOCK_MHZ = 300.0


@dataclass(frozen=True)
class Operator:
    """One kind of operator: cycles, DSP slices, and where the figures are from."""

    name: OperatorName
    latency_cycles: int
    dsp: int
    source: str


OPERATORS: dict[OperatorName, Operator] = {
    operator.name: operator
    for operator in (
        Operator("fabric", 0, 0, "BindNode add, sub, select, seteq, xor (fabric, auto): latency 0 at 3.33 to 13.3 ns"),
        Operator("multiply", 3, 1, "BindNode mul (dsp_slice, dsp48): latency 3, 1 DSP at 3.33 and 10 ns"),
        Operator(
            "cascade", 1, 1, "BindNode add (dsp_slice): mac_muladd adds in the multiplier's slice, one stage each"
        ),
        Operator("wide_multiply", 4, 2, "modules mul_50ns_50ns_100_5_1: 5 stages; DSPs: 32 x 17 bits in 27 x 18"),
        Operator("divide_32", 35, 0, "module names udiv_32s_8ns_9_36_1: 36 stages; udiv_24s_13ns_8_28_1: bits + 4"),
        Operator("table", 2, 0, "block RAM with its output register (UG573: DOA_REG)"),
        Operator("memory_read", 2, 0, "block RAM or UltraRAM with its output register (UG573: DOA_REG, OREG)"),
        Operator("stream_read", 1, 0, "a FIFO's output register"),
        Operator("stream_write", 1, 0, "a FIFO's input register"),
    )
}


def path_cycles(path: tuple[OperatorName, ...]) -> int:
    """Pipeline depth of operators in sequence.

    A fabric operator can share a cycle with its neighbours; each is given a cycle of its own here, so the estimate is
    an upper bound on what the scheduler does with the same path.
    """
    return sum(max(1, OPERATORS[name].latency_cycles) for name in path)
