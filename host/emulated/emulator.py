"""The emulator as a device: the project's compiled C++ in a process of its own, driven through buffers and registers.

A process of its own, so that a launch has a deadline: a kernel that hangs or crashes is killed, and nothing else.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError
from codegen.manifest import TOP, register_map
from codegen.project_sources import ProjectSources
from codegen.toolchains.emulator import build_emulator
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.devices.protocol import Launch, register_writes
from host.emulated.board_process import DONE, START, Fault, LibraryCall, MappedBank
from host.emulated.emulated_board import EmulatedMemory, EmulatedRegisters

CONTROL = 0
# The whole memory: address 0 stays in no bank, so that a forgotten pointer is found. Pages that nobody writes cost
# nothing.
MEMORY = MappedBank("emulator", base=1 << 32, size=1 << 33, offset=0)


class EmulatorBuffer:
    """Memory that this process and the emulator's share; it is free again when this object is."""

    def __init__(self, memory: EmulatedMemory, size: int) -> None:
        self.address = memory.allocate(MEMORY.tag, size)
        self._array = memory.view(self.address, size)
        weakref.finalize(self, memory.free, self.address)

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        return self._array

    def to_device(self) -> None:
        """Nothing to copy: memory is shared."""

    def from_device(self) -> None:
        """Nothing to copy: memory is shared."""


class LibraryDevice:
    """Loads a compiled kernel in a process that ends with this object."""

    name = "library"
    source: SourceKind = "emulated"

    def __init__(self, library: Path) -> None:
        self._memory = EmulatedMemory([MEMORY])
        try:
            self._registers = EmulatedRegisters(
                self._memory, library.read_bytes(), TOP, register_map(), chained=False, name=self.name
            )
        except BaseException as error:
            self._memory.close()
            if not isinstance(error, DeviceFault):
                raise
            fault = error
            raise AebertError(f"{library}: cannot be loaded ({fault}); delete it and build again") from None
        self._release = weakref.finalize(self, _release, self._registers, self._memory)
        self._unusable = ""

    @property
    def confinement(self) -> tuple[str, ...]:
        """The layers of `host.emulated.confinement` that hold for its process."""
        return self._registers.confinement

    def allocate(self, port: str, size: int) -> EmulatorBuffer:
        return EmulatorBuffer(self._memory, size)

    def launch(self, launch: Launch, deadline_s: float) -> None:
        """A deadlock of the kernel's processes is found and named. What exceeds the deadline is killed."""
        if self._unusable:
            raise DeviceFault(f"{self.name}: {self._unusable}; open the device again")
        addresses = [_address(buffer) for buffer in launch.buffers]
        for offset, value in register_writes(register_map(), [*addresses, *launch.counts]):
            self._registers.write(offset, value)
        self._registers.write(CONTROL, START)
        try:
            status = self._registers.wait(deadline_s)
        except DeadlineExceededError:
            self.close()
            self._unusable = "an earlier launch never ended, its process was killed"
            raise DeadlineExceededError(f"{self.name}: the kernel was not done within {deadline_s:g} s") from None
        if not status & DONE:
            self._unusable = "a launch was lost"
            raise DeviceFault(f"{self.name}: the kernel is idle and was never done; its start or end was lost")

    def call(self, calls: Sequence[LibraryCall]) -> None:
        """Configures the compiled emulator."""
        self._registers.call(calls)

    def timing(self) -> str:
        """What timed emulation says of the last launch, as JSON."""
        return self._registers.timing()

    def inject(self, fault: Fault) -> None:
        """Makes one of the next launches go wrong."""
        self._registers.inject(fault)

    def abort(self) -> None:
        """From another thread: ends a launch that is under way, which raises DeviceFault there."""
        self._unusable = "aborted"
        self._registers.abort()

    def close(self) -> None:
        """Ends the process. Buffers stay readable."""
        self._unusable = "closed"
        self._release()


class EmulatorDevice(LibraryDevice):
    """Compiles ``sources`` if need be. ``options`` are further compiler options."""

    name = "emulator"

    def __init__(self, sources: ProjectSources, options: tuple[str, ...] = ()) -> None:
        super().__init__(build_emulator(sources, options))


def _release(registers: EmulatedRegisters, memory: EmulatedMemory) -> None:
    registers.close()
    memory.close()


def _address(buffer: object) -> int:
    if not isinstance(buffer, EmulatorBuffer):
        raise TypeError(f"{buffer!r} was not allocated on this device")
    return buffer.address
