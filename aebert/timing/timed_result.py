"""What a timed run found out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypedDict

from aebert.support.errors import AebertError


@dataclass(frozen=True)
class PassInterval:
    """One iteration of a process's outermost loop (a pass; -1: outside of it), in cycles.

    ``starved``: waited for an empty FIFO, ``stalled``: for a full one, ``memory``: for an AXI port, ``idle``:
    iterations in which the process polled and had nothing to do.
    """

    iteration: int
    start: int
    end: int
    starved: int
    stalled: int
    memory: int
    idle: int

    @property
    def cycles(self) -> int:
        return self.end - self.start

    @property
    def busy(self) -> int:
        return self.cycles - self.starved - self.stalled - self.memory - self.idle


@dataclass(frozen=True)
class ProcessTimeline:
    """``end``: the cycle in which the process ended (or got stuck)."""

    name: str
    end: int
    intervals: tuple[PassInterval, ...]

    @property
    def busy(self) -> int:
        return sum(interval.busy for interval in self.intervals)

    @property
    def starved(self) -> int:
        return sum(interval.starved for interval in self.intervals)

    @property
    def stalled(self) -> int:
        return sum(interval.stalled for interval in self.intervals)

    @property
    def memory(self) -> int:
        return sum(interval.memory for interval in self.intervals)

    @property
    def idle(self) -> int:
        return sum(interval.idle for interval in self.intervals)


@dataclass(frozen=True)
class FifoUse:
    """``occupancy``: the most elements held at once. ``reader_waited``, ``writer_waited``: cycles."""

    name: str
    depth: int
    occupancy: int
    transfers: int
    left: int
    reader_waited: int
    writer_waited: int


@dataclass(frozen=True)
class LoopUse:
    name: str
    ii: int
    depth: int
    entries: int
    iterations: int


@dataclass(frozen=True)
class PortUse:
    """``sequences``: runs of bursts at consecutive addresses."""

    name: str
    words: int
    sequences: int


@dataclass(frozen=True)
class BlockedProcess:
    """A process that can never go on: it waits to ``action`` (read, write, poll) ``stream`` since ``cycle``."""

    process: str
    action: str
    stream: str
    cycle: int


@dataclass(frozen=True)
class MemoryViolation:
    """What a pipeline could not do: first seen in ``iteration`` of ``loop``, ``count`` times in all."""

    kind: str
    array: str
    loop: str
    bank: int
    iteration: int
    count: int
    detail: str

    def __str__(self) -> str:
        return (
            f"{self.kind}: array {self.array}, bank {self.bank}, loop {self.loop}, iteration {self.iteration}: "
            f"{self.detail} ({self.count} times)"
        )


@dataclass(frozen=True)
class TimedResult:
    """One launch. ``cycles`` is None after a deadlock, an error or a violation: such a design has no cycle count."""

    cycles: int | None
    error: str
    processes: tuple[ProcessTimeline, ...]
    streams: tuple[FifoUse, ...]
    loops: tuple[LoopUse, ...]
    ports: tuple[PortUse, ...]
    blocked: tuple[BlockedProcess, ...]
    violations: tuple[MemoryViolation, ...]

    def process(self, name: str) -> ProcessTimeline:
        """Raises AebertError when there is no process of this name."""
        for process in self.processes:
            if process.name == name:
                return process
        names = ", ".join(process.name for process in self.processes)
        raise AebertError(f"timed result: no process {name!r}; there are {names}")

    def cycles_per_pass(self, process: str = "engine") -> dict[int, int]:
        """Cycles that ``process`` spent on each pass of the program, by the pass's number."""
        return {
            interval.iteration: interval.cycles
            for interval in self.process(process).intervals
            if interval.iteration >= 0
        }

    def checked_cycles(self) -> int:
        """The total. Raises AebertError that names the deadlock or the first violation."""
        if self.cycles is not None:
            return self.cycles
        if self.error:
            raise AebertError(f"timed emulation: {self.error}")
        raise AebertError(f"timed emulation: {self.violations[0]}")

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(asdict(self), sort_keys=True)


class _Process(TypedDict):
    name: str
    end: int
    intervals: list[tuple[int, int, int, int, int, int, int]]


class _Stream(TypedDict):
    name: str
    depth: int
    occupancy: int
    transfers: int
    left: int
    empty: int
    full: int


class _Loop(TypedDict):
    name: str
    ii: int
    depth: int
    entries: int
    iterations: int


class _Port(TypedDict):
    name: str
    words: int
    sequences: int


class _Blocked(TypedDict):
    process: str
    action: str
    stream: str
    cycle: int


class _Violation(TypedDict):
    kind: str
    array: str
    loop: str
    bank: int
    iteration: int
    count: int
    detail: str


class _Raw(TypedDict):
    """As templates/emulation/timed_result.cpp writes it."""

    cycles: int | None
    error: str
    processes: list[_Process]
    streams: list[_Stream]
    loops: list[_Loop]
    ports: list[_Port]
    blocked: list[_Blocked]
    violations: list[_Violation]


def parse_result(text: str) -> TimedResult:
    """From the JSON of ``aebert_timing_result()``."""
    raw: _Raw = json.loads(text)
    return TimedResult(
        cycles=raw["cycles"],
        error=raw["error"],
        processes=tuple(
            ProcessTimeline(item["name"], item["end"], tuple(PassInterval(*values) for values in item["intervals"]))
            for item in raw["processes"]
        ),
        streams=tuple(
            FifoUse(
                item["name"],
                item["depth"],
                item["occupancy"],
                item["transfers"],
                item["left"],
                reader_waited=item["empty"],
                writer_waited=item["full"],
            )
            for item in raw["streams"]
        ),
        loops=tuple(LoopUse(**item) for item in raw["loops"]),
        ports=tuple(PortUse(**item) for item in raw["ports"]),
        blocked=tuple(BlockedProcess(**item) for item in raw["blocked"]),
        violations=tuple(MemoryViolation(**item) for item in raw["violations"]),
    )
