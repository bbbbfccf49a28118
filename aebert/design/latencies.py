"""What the kernel's pipelines cost: the depths that the closed-form cycle count adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latencies:
    """Depth in cycles of the kernel's pipelined loops, of one round of a process's pass loop, and of a memory read.

    The defaults are what aebert.timing.schedules estimates at 300 MHz from the operators on each loop's longest path;
    ``engine`` is without the multipliers' cascade and the adder tree, whose depths follow from the lanes;
    ``parameters`` without the channels of a word, which leave one after the other.
    """

    engine: float = 15.0
    requantise: float = 31.0
    row_maximum: float = 4.0
    exponentials: float = 8.0
    quotients: float = 38.0
    add: float = 12.0
    scales: float = 38.0
    normalise: float = 31.0
    settle: float = 8.0
    pass_control: float = 5.0
    dispatch: float = 3.0
    credit: float = 2.0
    parameters: float = 2.0
    header: float = 8.0
    memory: float = 64.0


DEFAULT_LATENCIES = Latencies()
