"""PCIe cards (Alveo) through XRT's own Python module.

PYNQ 4.0 no longer finds PCIe cards (its ``XrtDevice._probe_`` returns nothing, and its compute units have no start), so
``pyxrt``, which comes with XRT, takes its place here. Written after XRT's ``pyxrt.cpp``; it has never met a card.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aebert.design.kernel_streams import PORTS
from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError
from codegen.manifest import TOP, Manifest
from host.boards.bitstream import check_bitstream, read_bitstream_facts
from host.boards.conditions import SensorReading
from host.boards.xrt_sensors import parse_sensors
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.devices.protocol import DeviceBuffer, Launch

# Between looks at whether somebody wants the launch to end.
WAIT_SLICE_S = 0.2


def import_pyxrt() -> ModuleType:
    """Raises AebertError when XRT is not installed."""
    try:
        return importlib.import_module("pyxrt")
    except ImportError as error:
        raise AebertError(f"pyxrt: {error}; install XRT and source its setup.sh") from None


class Run(Protocol):
    """The part of ``pyxrt.run`` that is waited on."""

    def wait(self, timeout_ms: int, /) -> object: ...


class XrtBuffer:
    """A buffer object that is mapped into this process."""

    def __init__(self, pyxrt: ModuleType, handle: object, size: int) -> None:
        self._pyxrt = pyxrt
        self.handle = handle
        self._array = np.frombuffer(handle.map(), np.uint8)[:size]  # type: ignore[attr-defined]  # pyxrt has no types

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        return self._array

    def to_device(self) -> None:
        self._sync(self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)

    def from_device(self) -> None:
        self._sync(self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE)

    def _sync(self, direction: object) -> None:
        try:
            self.handle.sync(direction)  # type: ignore[attr-defined]  # pyxrt has no types
        except RuntimeError as error:
            raise DeviceFault(f"xrt: transfer failed ({error})") from None


class XrtBoard:
    """Loads ``bitstream`` (an xclbin) on card ``number``, in the order of ``xbutil examine``.

    Raises AebertError when the bitstream is not of the project's design, and DeviceFault when the card fails.
    """

    def __init__(
        self, number: int, bitstream: Path, manifest: Manifest, *, source: SourceKind, released: Callable[[], None]
    ) -> None:
        self.name = f"xrt:{number}"
        self.source = source
        self._released = released
        check_bitstream(bitstream, manifest, read_bitstream_facts(bitstream))
        self._pyxrt = import_pyxrt()
        self._aborted = False
        try:
            self._card = self._pyxrt.device(number)
            uuid = self._card.load_xclbin(str(bitstream.absolute()))
            self._kernel = self._pyxrt.kernel(self._card, uuid, TOP, self._pyxrt.kernel.cu_access_mode.exclusive)
        except (OSError, RuntimeError) as error:
            raise DeviceFault(f"{self.name}: {bitstream.name} cannot be loaded ({error})") from None

    def allocate(self, port: str, size: int) -> XrtBuffer:
        """In the bank (memory group) that the xclbin connects to the argument."""
        try:
            group = self._kernel.group_id(PORTS.index(port))
            handle = self._pyxrt.bo(self._card, size, self._pyxrt.bo.flags.normal, group)
        except (MemoryError, OSError, RuntimeError) as error:
            raise DeviceFault(f"{self.name}: no memory for {size} bytes of {port} ({error})") from None
        return XrtBuffer(self._pyxrt, handle, size)

    def launch(self, launch: Launch, deadline_s: float) -> None:
        states = self._pyxrt.ert_cmd_state
        try:
            run = self._pyxrt.run(self._kernel)
            for number, buffer in enumerate(launch.buffers):
                run.set_arg(number, _handle(buffer))
            for number, count in enumerate(launch.counts, start=len(launch.buffers)):
                run.set_arg(number, count)
            run.start()
            state = self._wait(run, deadline_s)
        except RuntimeError as error:
            raise DeviceFault(f"{self.name}: launch failed ({error})") from None
        if state == states.ERT_CMD_STATE_COMPLETED:
            return
        failed = (states.ERT_CMD_STATE_ERROR, states.ERT_CMD_STATE_ABORT, states.ERT_CMD_STATE_NORESPONSE)
        if state in failed:
            raise DeviceFault(f"{self.name}: the kernel ended with {state}; see dmesg, then 'xbutil reset'")
        raise DeadlineExceededError(
            f"{self.name}: the kernel was not done within {deadline_s:g} s; 'xbutil reset' gets the card back"
        )

    def _wait(self, run: Run, deadline_s: float) -> object:
        """The command's state when it is over, or when time is. In slices, as nothing interrupts XRT while it waits."""
        deadline = time.monotonic() + deadline_s
        while True:
            left_s = deadline - time.monotonic()
            # 0 would mean for ever.
            state = run.wait(max(1, round(1000 * min(left_s, WAIT_SLICE_S))))
            if self._aborted:
                raise DeviceFault(f"{self.name}: aborted; open the device again")
            if state != self._pyxrt.ert_cmd_state.ERT_CMD_STATE_TIMEOUT or left_s <= WAIT_SLICE_S:
                return state

    def abort(self) -> None:
        """A launch that is waited for raises DeviceFault within a slice."""
        self._aborted = True

    def read_sensors(self) -> SensorReading:
        """Nothing with an XRT whose Python module has no ``get_info``. Raises DeviceFault when the card is silent."""
        info = getattr(self._pyxrt, "xrt_info_device", None)
        if info is None:
            return SensorReading()
        try:
            return parse_sensors(*(self._card.get_info(key) for key in (info.electrical, info.thermal, info.platform)))
        except RuntimeError as error:
            raise DeviceFault(f"{self.name}: sensors cannot be read ({error})") from None

    def close(self) -> None:
        self._kernel = self._card = None
        self._released()


def _handle(buffer: DeviceBuffer) -> object:
    if not isinstance(buffer, XrtBuffer):
        raise TypeError(f"{buffer!r} was not allocated on this card")
    return buffer.handle
