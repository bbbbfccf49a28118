"""Pipelined loops joined by FIFOs, simulated one clock cycle after the other: slow, and simple enough to be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class ClockedLoop:
    """``reads`` and ``writes`` are the numbers of the FIFOs, one element per iteration each."""

    count: int
    ii: int
    depth: int
    reads: int | None
    writes: int | None
    waits: bool = True  # else it neither waits for an element nor for room
    write_stage: int | None = None
    read_stage: int = 0
    lost: int = 0
    step: int = 0  # of the pipeline: counts cycles in which it was not stopped
    has_read: bool = False
    finished: int | None = None

    @property
    def last_step(self) -> int:
        return (self.count - 1) * self.ii + self.depth

    def must_read(self) -> bool:
        return self.reads is not None and self._iteration_at(self.step - self.read_stage) and not self.has_read

    def must_write(self) -> bool:
        stage = self.depth - 1 if self.write_stage is None else self.write_stage
        return self.writes is not None and self._iteration_at(self.step - stage)

    def _iteration_at(self, step: int) -> bool:
        return step >= 0 and step % self.ii == 0 and step // self.ii < self.count


@dataclass
class ClockedFifo:
    """What was written (taken) in a cycle can be read (is free) in the next one."""

    depth: int
    written: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def readable(self, cycle: int) -> bool:
        return len(self.written) > len(self.taken) and self.written[len(self.taken)] < cycle

    def writable(self, cycle: int) -> bool:
        older = len(self.written) - self.depth
        return older < 0 or (older < len(self.taken) and self.taken[older] < cycle)


def simulate(loops: Sequence[ClockedLoop], depths: Sequence[int]) -> int:
    """The cycle in which the last loop ends; every loop is entered in cycle 1."""
    fifos = [ClockedFifo(depth) for depth in depths]
    cycle = 0
    while any(loop.finished is None for loop in loops):
        cycle += 1
        for loop in loops:
            if loop.finished is None:
                _clock(loop, fifos, cycle)
    return max(loop.finished or 0 for loop in loops)


def _clock(loop: ClockedLoop, fifos: Sequence[ClockedFifo], cycle: int) -> None:
    if loop.step == loop.last_step:
        loop.finished = cycle
        return
    if loop.must_read() and loop.reads is not None:
        fifo = fifos[loop.reads]
        if fifo.readable(cycle):
            fifo.taken.append(cycle)
            loop.has_read = True
        elif loop.waits:
            return
    if loop.must_write() and loop.writes is not None:
        fifo = fifos[loop.writes]
        if fifo.writable(cycle):
            fifo.written.append(cycle)
        elif loop.waits:
            return
        else:
            loop.lost += 1
    loop.step += 1
    loop.has_read = False
