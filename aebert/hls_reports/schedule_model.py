"""What a Vitis HLS ``*.verbose.sched.rpt`` says, as data: every operation in every state, and the pipelines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportValue:
    """An operand of a printed statement: ``bits`` 0 when the report does not say; ``name`` empty for a constant."""

    bits: int
    name: str = ""
    constant: int | None = None
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class ReportStatement:
    """``%result = opcode bits operands``; ``function`` is what a call or an intrinsic names, ``labels`` the blocks."""

    result: str
    bits: int
    function: str
    operands: tuple[ReportValue, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportCore:
    """The library component that an operation is bound to; for a storage its ports, width and depth."""

    name: str
    latency: int = 0
    delay_ns: float = 0.0
    storage: bool = False
    ports: int = 0
    width: int = 0
    depth: int = 0
    kind: str = ""  # RAM, ROM, FIFO


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One line of a state: step ``steps - steps_left`` of an operation that takes ``steps`` states.

    ``delay_ns`` is charged from the inputs, ``output_delay_ns`` (from 2024.1 on printed for storages) at the output.
    """

    state: int
    number: int
    steps_left: int
    steps: int
    delay_ns: float
    output_delay_ns: float
    grouping: str
    opcode: str
    name: str
    text: str
    line: str
    predicate: str
    statement: ReportStatement
    core: ReportCore | None

    @property
    def is_first(self) -> bool:
        return self.steps_left == self.steps

    @property
    def is_last(self) -> bool:
        return self.steps_left == 1


@dataclass(frozen=True, slots=True)
class ReportPipeline:
    """``Pipeline-0 : II = 1, D = 3, States = { 2 3 4 }``."""

    initiation_interval: int
    depth: int
    states: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReportLoop:
    """A row of the loop table; None where the report prints ``-`` or ``?``."""

    name: str
    trip_count: tuple[int, int] | None
    iteration_latency: int | None
    achieved_ii: int | None
    target_ii: int | None
    pipelined: bool


@dataclass(frozen=True)
class ScheduleReport:
    """A module's schedule. ``state_delays_ns`` by state: the longest chain that Vitis estimates in it."""

    name: str
    sha256: str
    module: str
    tool_version: str
    part: str
    clock_period_ns: float
    clock_uncertainty_ns: float
    estimated_clock_ns: float
    pipelines: tuple[ReportPipeline, ...]
    loops: tuple[ReportLoop, ...]
    function_interval: int | None
    state_delays_ns: dict[int, float]
    steps: tuple[ScheduledStep, ...]
