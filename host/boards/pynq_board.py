"""Boards through PYNQ: the same code drives Zynq and Kria boards, a board behind PYNQ.remote, and emulated boards.

PYNQ 4.0 has no ``kernel.call`` any more; the kernel is started through its registers, which every kind of
`pynq.Device` offers.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pynq

from aebert.design.kernel_streams import PORTS
from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError
from codegen.manifest import TOP, Manifest
from host.boards.bitstream import check_bitstream, read_bitstream_facts
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.devices.protocol import DeviceBuffer, Launch, register_writes
from host.emulated.board_process import CONTINUE, DONE, IDLE, START

CONTROL = 0
# A launch takes a fraction of a millisecond: poll without a pause at first, then let others have the processor.
BUSY_POLLS = 1000
POLL_PAUSE_S = 20e-6
# ap_idle falls a cycle after ap_start rises; no host reads it so often in that time.
IDLE_POLLS = 10


_RPC_ERROR: type[Exception] = importlib.import_module("grpc").RpcError
# How the kinds of board fail: no such device or permission, XRT, PYNQ.remote.
_BOARD_ERRORS = (MemoryError, OSError, RuntimeError, _RPC_ERROR)


@contextmanager
def board_errors(name: str, doing: str) -> Iterator[None]:
    """Raises DeviceFault for whatever the board's own library raises."""
    try:
        yield
    except _BOARD_ERRORS as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DeviceFault(f"{name}: {doing} failed ({reason})") from None


class SyncedArray(Protocol):
    """What PynqBuffer and RemoteBuffer have in common beyond a NumPy array."""

    device_address: int

    def sync_to_device(self) -> None: ...

    def sync_from_device(self) -> None: ...


class PynqBoardBuffer:
    """A buffer from `pynq.allocate`."""

    def __init__(self, buffer: SyncedArray, name: str) -> None:
        self._buffer = buffer
        self._name = name

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        return np.asarray(self._buffer, np.uint8)

    @property
    def device_address(self) -> int:
        return int(self._buffer.device_address)

    def to_device(self) -> None:
        with board_errors(self._name, "transfer to the device"):
            self._buffer.sync_to_device()

    def from_device(self) -> None:
        with board_errors(self._name, "transfer from the device"):
            self._buffer.sync_from_device()


class PynqBoard:
    """A project's design on a `pynq.Device`: loads ``bitstream`` and takes hold of its kernel.

    ``released`` is called by ``close``. Raises AebertError when the bitstream is not of the project's design, and
    DeviceFault when the device fails.
    """

    def __init__(
        self,
        board: pynq.Device,
        bitstream: Path,
        manifest: Manifest,
        *,
        name: str,
        source: SourceKind,
        released: Callable[[], None],
    ) -> None:
        self.name = name
        self.source = source
        self._released = released
        self._board = board
        self._manifest = manifest
        check_bitstream(bitstream, manifest, read_bitstream_facts(bitstream))
        with board_errors(name, f"loading {bitstream.name}"):
            self._overlay = pynq.Overlay(os.fspath(bitstream.absolute()), device=board)
        self._ip_name = self._find_kernel()
        self._check_registers()
        self._banks = self._find_banks()
        self._kernel: pynq.DefaultIP = getattr(self._overlay, self._ip_name)
        self._unusable = ""

    def allocate(self, port: str, size: int) -> PynqBoardBuffer:
        self._check_usable()
        bank = self._banks[port]
        with board_errors(self.name, f"allocating {size} bytes for {port}"):
            buffer = pynq.allocate((size,), np.uint8, target=self._board if bank is None else bank)
        return PynqBoardBuffer(buffer, self.name)

    def launch(self, launch: Launch, deadline_s: float) -> None:
        """Raises DeadlineExceededError when the kernel is not done in time; only a new `PynqBoard` gets it back."""
        self._check_usable()
        with board_errors(self.name, "register access"):
            self._start(launch)
            self._wait(deadline_s)
            if self._chained:
                self._kernel.write(CONTROL, CONTINUE)

    def abort(self) -> None:
        """A launch that is waited for raises DeviceFault at its next poll."""
        self._unusable = "aborted"

    def close(self) -> None:
        """Frees the device for others."""
        self._unusable = "closed"
        self._released()

    def _start(self, launch: Launch) -> None:
        values = [*map(_address, launch.buffers), *launch.counts]
        for offset, word in register_writes(self._manifest.registers, values):
            self._kernel.write(offset, word)
        self._kernel.write(CONTROL, START)

    def _check_usable(self) -> None:
        if self._unusable:
            raise DeviceFault(f"{self.name}: {self._unusable}; open the device again")

    def _wait(self, deadline_s: float) -> None:
        began = time.monotonic()
        polls = idle_polls = 0
        while not (status := self._kernel.read(CONTROL)) & DONE:
            # Idle is no proof: a start that was lost leaves the kernel idle too, with an old output in memory.
            idle_polls += bool(status & IDLE)
            if idle_polls > IDLE_POLLS:
                self._unusable = "a launch was lost"
                raise DeviceFault(f"{self.name}: the kernel is idle and was never done; its start or end was lost")
            self._check_usable()
            polls += 1
            if polls > BUSY_POLLS:
                time.sleep(POLL_PAUSE_S)
            if time.monotonic() - began > deadline_s:
                self._unusable = "an earlier launch never ended"
                raise DeadlineExceededError(f"{self.name}: the kernel was not done within {deadline_s:g} s")

    def _find_kernel(self) -> str:
        kernels = [name for name, ip in self._overlay.ip_dict.items() if f":{TOP}:" in str(ip["type"])]
        if not kernels:
            raise AebertError(f"{self.name}: the bitstream has no kernel {TOP}; build the project's own")
        return str(min(kernels))

    def _check_registers(self) -> None:
        """The metadata must have a register wherever the manifest has one. Vivado splits pointers and renames them."""
        registers: Mapping[str, Mapping[str, int]] = self._overlay.ip_dict[self._ip_name]["registers"]
        offsets = {int(register["address_offset"]) for register in registers.values()}
        for register in self._manifest.registers:
            if register.offset not in offsets:
                raise AebertError(
                    f"{self.name}: the kernel has no register at {register.offset:#x} for {register.name}; "
                    "build the bitstream from this project"
                )
        fields = cast("Mapping[str, Mapping[str, object]]", registers).get("CTRL", {}).get("fields", {})
        self._chained = "AP_CONTINUE" in cast("Mapping[str, object]", fields)

    def _find_banks(self) -> dict[str, object | None]:
        """The memory of each port as the bitstream's metadata connects it; None: the device has only one."""
        registers = self._overlay.ip_dict[self._ip_name]["registers"]
        tags = {port: registers.get(port, {}).get("memory") for port in PORTS}
        memories = self._overlay.mem_dict
        return {port: None if tag is None else self._board.get_memory(memories[tag]) for port, tag in tags.items()}


def _address(buffer: DeviceBuffer) -> int:
    if not isinstance(buffer, PynqBoardBuffer):
        raise TypeError(f"{buffer!r} was not allocated on this device")
    return buffer.device_address
