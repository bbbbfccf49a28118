"""What runs a project: one interface for the emulator and for boards. Nothing above it knows which one it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from aebert.records.source_kind import SourceKind
from aebert.timing.loop_schedules import LoopLatency
from aebert.timing.timed_result import TimedResult
from codegen.manifest import Register
from host.emulated.board_process import Fault


class DeviceBuffer(Protocol):
    """Memory that host and device share after a sync; ``array`` is the host's view, uint8 [bytes]."""

    @property
    def array(self) -> npt.NDArray[np.uint8]: ...

    def to_device(self) -> None: ...

    def from_device(self) -> None: ...


@dataclass(frozen=True)
class Launch:
    """The kernel's arguments in their order: buffers by port, then the counts."""

    pass_table: DeviceBuffer
    weights: DeviceBuffer
    indices: DeviceBuffer
    parameters: DeviceBuffer
    embeddings: DeviceBuffer
    results: DeviceBuffer
    pass_count: int
    tile_count: int
    index_word_count: int

    @property
    def buffers(self) -> tuple[DeviceBuffer, ...]:
        return self.pass_table, self.weights, self.indices, self.parameters, self.embeddings, self.results

    @property
    def counts(self) -> tuple[int, ...]:
        return self.pass_count, self.tile_count, self.index_word_count


def register_writes(registers: Sequence[Register], values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(offset, 32-bit word) of every write that hands the kernel its arguments, in the order of its signature."""
    for register, value in zip(registers, values, strict=True):
        yield register.offset, value & 0xFFFFFFFF
        if register.bits == 64:
            yield register.offset + 4, value >> 32


class Device(Protocol):
    """A device with a project's design loaded.

    ``source`` is the kind that latencies measured on it carry. ``launch`` runs one program to its end and raises
    AebertError when the device fails or ``deadline_s`` passes.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> SourceKind: ...

    def allocate(self, port: str, size: int) -> DeviceBuffer:
        """``size`` bytes in the memory bank that ``port`` is connected to."""
        ...

    def launch(self, launch: Launch, deadline_s: float) -> None: ...

    def abort(self) -> None:
        """From another thread: a launch that is under way raises DeviceFault soon, and no other begins."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class CountingDevice(Device, Protocol):
    """A device that counts the cycles of its launches: the clock on the wall says nothing of the design there.

    ``schedules``: of the kernel's loops, which the counts rest on; ``basis``: the same in words.
    """

    schedules: tuple[LoopLatency, ...]
    basis: str

    def counted_cycles(self) -> int:
        """Of the last launch. Raises AebertError where it did not end well."""
        ...


@runtime_checkable
class ClockedDevice(CountingDevice, Protocol):
    """A device in timed emulation."""

    def result(self) -> TimedResult:
        """Of the last launch."""
        ...

    def inject(self, fault: Fault) -> None:
        """Makes one of the next launches go wrong, to rehearse it."""
        ...
