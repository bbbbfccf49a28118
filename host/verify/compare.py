"""Device against integer reference, bit for bit, pass by pass."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from aebert.design.program import Pass
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import trace_encoder
from codegen.vector_order import Int16Array, expected_values
from host.devices.accelerator import Accelerator


@dataclass(frozen=True)
class Mismatch:
    """The first value that differs, in program order, then by token, then by channel (key, for scores)."""

    layer: int
    pass_name: str
    head: int
    token: int
    channel: int
    expected: int
    got: int
    wrong_values: int

    def __str__(self) -> str:
        head = "" if self.head < 0 else f", head {self.head}"
        return (
            f"layer {self.layer}, pass {self.pass_name}{head}, token {self.token}, channel {self.channel}: "
            f"{self.got}, expected {self.expected} ({self.wrong_values} values of this pass differ)"
        )


@dataclass(frozen=True)
class SequenceComparison:
    """One sequence of ``length`` tokens through every layer. ``seconds`` is the host's time, no latency of a design."""

    length: int
    passes: int
    values: int
    seconds: float
    mismatch: Mismatch | None


def compare_sequence(accelerator: Accelerator, quantised: QuantisedEncoder, residual: Int16Array) -> SequenceComparison:
    """Runs ``residual``, int16 [length, hidden], with every pass stored, and compares each with the reference."""
    length = len(residual)
    program = accelerator.program([length], stored="all")
    began = time.perf_counter()
    stored = accelerator.run_program(program, [residual])
    seconds = time.perf_counter() - began
    traces = trace_encoder(quantised, residual)
    mismatch = None
    values = 0
    for found in stored:
        expected = expected_values(found.step, traces, residual)
        got = found.values[:length, : expected.shape[1]]
        values += expected.size
        if mismatch is None and not np.array_equal(got, expected):
            mismatch = first_difference(found.step, got, expected)
    return SequenceComparison(length, len(stored), values, seconds, mismatch)


def first_difference(step: Pass, got: Int16Array, expected: Int16Array) -> Mismatch:
    wrong = np.argwhere(got != expected)
    token, channel = (int(at) for at in wrong[0])
    return Mismatch(
        layer=step.layer,
        pass_name=step.name,
        head=step.head,
        token=token,
        channel=channel if step.channels is None else step.channels[channel],
        expected=int(expected[token, channel]),
        got=int(got[token, channel]),
        wrong_values=len(wrong),
    )
