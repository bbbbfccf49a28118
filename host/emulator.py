"""The emulator as a device: the project's compiled C++, driven through its buffers and arguments."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.errors import AebertError
from aebert.source_kind import SourceKind
from codegen.toolchains.emulator import build_emulator
from host.device import Launch

# As an AXI master sees memory: a buffer begins on a page.
ALIGNMENT = 4096


class EmulatorBuffer:
    """Host memory; the emulated device reads and writes it in place."""

    def __init__(self, size: int) -> None:
        whole = np.zeros(size + ALIGNMENT, np.uint8)
        start = -whole.ctypes.data % ALIGNMENT
        self._array = whole[start : start + size]

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        return self._array

    def to_device(self) -> None:
        """Nothing to copy: memory is shared."""

    def from_device(self) -> None:
        """Nothing to copy: memory is shared."""


class EmulatorDevice:
    """Compiles the project if need be, and loads it."""

    name = "emulator"
    source: SourceKind = "emulated"

    def __init__(self, project: Path, top: str, options: tuple[str, ...] = ()) -> None:
        library = build_emulator(project, options)
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise AebertError(f"{library}: cannot be loaded ({error}); delete it and build again") from None
        self._kernel = self._library[top]
        self._kernel.restype = None
        self._error = self._library.aebert_emulation_error
        self._error.restype = ctypes.c_char_p

    def allocate(self, port: str, size: int) -> EmulatorBuffer:
        return EmulatorBuffer(size)

    def launch(self, launch: Launch, deadline_s: float) -> None:
        """Runs in the calling thread; a deadlock of the processes is found and reported, so it cannot hang on one."""
        pointers = [ctypes.c_void_p(buffer.array.ctypes.data) for buffer in launch.buffers]
        self._kernel(*pointers, *(ctypes.c_int(count) for count in launch.counts))
        message = (self._error() or b"").decode()
        if message:
            raise AebertError(f"emulator: {message}")

    def close(self) -> None:
        """The library stays loaded: a process can hold several designs."""
