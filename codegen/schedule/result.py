"""What the scheduler says of a loop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Limit(str, Enum):
    """What keeps a loop from its target II."""

    RECURRENCE = "carried dependence"
    PORTS = "memory ports"
    EXIT_TEST = "loop exit test"
    CALLEE = "interval of a called function"


@dataclass(frozen=True, slots=True)
class ChainedOperation:
    """A step of a critical chain: an operator, where it was written, and what it adds in ns."""

    operation: int
    description: str
    line: str
    delay_ns: float


@dataclass(frozen=True, slots=True)
class IntervalLimit:
    """Why ``initiation_interval`` was not possible: the kind, in words, and the operations that are on it.

    ``least_ii``: the whole cycles of the recurrence alone need this much.
    """

    initiation_interval: int
    kind: Limit
    reason: str
    chain: tuple[ChainedOperation, ...] = ()
    least_ii: int = 0


@dataclass(frozen=True, slots=True)
class AccessStage:
    """In which stage (counted from 0) a stream, memory or port is accessed, and when its result is there."""

    operation: int
    storage: str
    opcode: str
    stage: int
    last_stage: int
    line: str


@dataclass(frozen=True)
class LoopSchedule:
    """``depth`` D is the tool's pipeline depth, or one more (``depth_range``); ``clock_range_ns`` likewise.

    ``cycles``, ``offsets_ns``: start of each operation, in its state; ``finish_ns``: of its result, in its last state,
    ``last_cycles``.
    ``critical``: the longest chain of a state. ``limits``: why each smaller II was impossible.
    """

    process: str
    label: str
    target_ii: int
    initiation_interval: int
    depth: int
    iteration_latency: int
    clock_ns: float
    clock_range_ns: tuple[float, float]
    budget_ns: float
    cycles: tuple[int, ...]
    last_cycles: tuple[int, ...]
    offsets_ns: tuple[float, ...]
    finish_ns: tuple[float, ...]
    accesses: tuple[AccessStage, ...]
    critical: tuple[ChainedOperation, ...]
    limits: tuple[IntervalLimit, ...]

    @property
    def depth_range(self) -> tuple[int, int]:
        return self.depth, self.depth + 1

    @property
    def misses_target(self) -> bool:
        return self.initiation_interval > self.target_ii

    @property
    def misses_clock(self) -> bool:
        """Whether a state takes longer than the budget."""
        return self.clock_ns > self.budget_ns + 0.005
