"""A subnet resident on a device: weights uploaded once, programs and inputs per launch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from aebert.design.config import HardwareConfig
from aebert.design.program import Program, Stored, build_program
from aebert.errors import AebertError
from aebert.quantised import QuantisedEncoder
from codegen.memory_image import MemoryImage
from codegen.vectors import Int16Array, StoredPass, input_bytes, output_size, split_output, stored_passes
from host.device import Device, DeviceBuffer, Launch
from host.faults import DeviceFault

# For emulators, which need seconds for what takes a board less than a millisecond.
DEADLINE_S = 600.0
# While one set of buffers is on the device, the host fills the other.
SLOTS = 2
RESIDENT_PORTS = ("weights", "indices", "parameters")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LaunchTimes:
    """Wall-clock seconds of the last launch: input and program to the device, kernel, output back."""

    upload_s: float
    kernel_s: float
    download_s: float


class Slot:
    """Program, input and output buffers of one launch; they grow to the largest launch and are used again."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._buffers: dict[str, DeviceBuffer] = {}

    def buffer(self, port: str, size: int) -> DeviceBuffer:
        """At least ``size`` bytes."""
        found = self._buffers.get(port)
        if found is None or len(found.array) < size:
            found = self._buffers[port] = self._device.allocate(port, size)
        return found

    def filled(self, port: str, content: Bytes) -> DeviceBuffer:
        """``content`` at the beginning of the host's side of the buffer."""
        buffer = self.buffer(port, len(content))
        buffer.array[: len(content)] = content
        return buffer


@dataclass(frozen=True)
class PreparedLaunch:
    """Program and input in the buffers of a slot, not yet on the device. To be executed exactly once."""

    slot: Slot
    image: MemoryImage
    launch: Launch
    program: Bytes
    input: Bytes
    output_bytes: int


class Accelerator:
    """Runs sequences of residuals through the encoder on ``device``.

    Weights, indices and parameters are read back after the upload. ``guarded``: each launch's program and input are
    read back too, it runs twice, both outputs must be the same, and the resident weights are read back once more
    before an output is believed. One thread may prepare launches while another executes them.

    Raises AebertError when the subnet does not fit the design, and DeviceFault when the device fails.
    """

    def __init__(
        self,
        device: Device,
        config: HardwareConfig,
        quantised: QuantisedEncoder,
        image: MemoryImage,
        *,
        deadline_s: float = DEADLINE_S,
        guarded: bool = False,
    ) -> None:
        self._device = device
        self._config = config
        self._deadline_s = deadline_s
        self._guarded = guarded
        self._busy = threading.Lock()
        self._slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for _ in range(SLOTS):
            self._slots.put(Slot(device))
        self._resident: dict[str, tuple[DeviceBuffer, Bytes]] = {}
        self.last_times = LaunchTimes(0.0, 0.0, 0.0)
        self.load(quantised, image)

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._device.close()

    @property
    def device(self) -> Device:
        return self._device

    def load(self, quantised: QuantisedEncoder, image: MemoryImage) -> None:
        """Makes another subnet resident, without another bitstream, and reads it back.

        Raises AebertError when it does not fit the design; then the one before is still resident.
        """
        self._config.check_fits(quantised.shape)
        with self._busy:
            self._quantised, self._image = quantised, image
            for port in RESIDENT_PORTS:
                content: Bytes = getattr(image, port)
                self._resident[port] = (self._upload(port, content), content)
            self.check_resident()

    def program(self, lengths: Sequence[int], stored: Stored = "output") -> Program:
        """The program for sequences of these lengths; see `build_program`."""
        return build_program(self._config, self._quantised, lengths, stored=stored)

    def run(self, residuals: Sequence[Int16Array]) -> list[Int16Array]:
        """Last residuals, int16 [length, hidden] each, of as many first residuals, in one launch."""
        program = self.program([len(residual) for residual in residuals])
        (last,) = self.run_program(program, residuals)
        return split_output(self._config, program, last.values)

    def run_program(self, program: Program, residuals: Sequence[Int16Array]) -> list[StoredPass]:
        """Everything that ``program`` stores, in its order."""
        return self.stored(program, self.execute(self.prepare(program, residuals)))

    def stored(self, program: Program, output: Bytes) -> list[StoredPass]:
        """The passes in an output buffer of ``program``."""
        return stored_passes(self._config, program, output)

    def prepare(self, program: Program, residuals: Sequence[Int16Array]) -> PreparedLaunch:
        """Waits for a free slot, and fills it."""
        return self.prepare_bytes(
            self._image.program_bytes(program),
            input_bytes(self._config, program, residuals),
            len(program.passes),
            output_size(self._config, program),
        )

    def prepare_bytes(self, program: Bytes, content: Bytes, pass_count: int, output_bytes: int) -> PreparedLaunch:
        """The same from buffers as the kernel reads them."""
        slot = self._slots.get()
        try:
            counts = self._image.counts
            launch = Launch(
                program=slot.filled("program", program),
                weights=self._resident["weights"][0],
                indices=self._resident["indices"][0],
                parameters=self._resident["parameters"][0],
                input=slot.filled("input", content),
                output=slot.buffer("output", output_bytes),
                pass_count=pass_count,
                tile_count=counts.tile_count,
                index_word_count=counts.index_word_count,
                row_group_count=counts.row_group_count,
            )
        except BaseException:
            self._slots.put(slot)
            raise
        return PreparedLaunch(slot, self._image, launch, program, content, output_bytes)

    def execute(self, prepared: PreparedLaunch) -> Bytes:
        """Runs it to its end; the bytes of its output. The slot is free again afterwards, however it ends."""
        try:
            with self._busy:
                if prepared.image is not self._image:
                    raise AebertError("launch: prepared for a subnet that is not resident any more; prepare it again")
                output = self._launch(prepared)
                if self._guarded:
                    self._check(prepared.launch.program, prepared.program, "program")
                    self._check(prepared.launch.input, prepared.input, "input")
                    if not np.array_equal(self._launch(prepared), output):
                        raise DeviceFault(f"{self._device.name}: two runs of the same launch gave different outputs")
                    self.check_resident()
                return output
        finally:
            self._slots.put(prepared.slot)

    def check_resident(self) -> None:
        """Reads weights, indices and parameters back. Raises DeviceFault when they are not what was uploaded."""
        for port, (buffer, content) in self._resident.items():
            self._check(buffer, content, port)

    def _launch(self, prepared: PreparedLaunch) -> Bytes:
        began = time.perf_counter()
        prepared.launch.program.to_device()
        prepared.launch.input.to_device()
        uploaded = time.perf_counter()
        self._device.launch(prepared.launch, self._deadline_s)
        done = time.perf_counter()
        prepared.launch.output.from_device()
        output: Bytes = prepared.launch.output.array[: prepared.output_bytes].copy()
        self.last_times = LaunchTimes(uploaded - began, done - uploaded, time.perf_counter() - done)
        return output

    def _upload(self, port: str, content: Bytes) -> DeviceBuffer:
        held = self._resident.get(port)
        buffer = held[0] if held is not None and len(held[0].array) >= len(content) else None
        if buffer is None:
            self._resident.pop(port, None)  # frees it before its successor needs the room
            del held
            buffer = self._device.allocate(port, len(content))
        buffer.array[: len(content)] = content
        buffer.to_device()
        return buffer

    def _check(self, buffer: DeviceBuffer, content: Bytes, port: str) -> None:
        buffer.from_device()
        wrong = np.flatnonzero(buffer.array[: len(content)] != content)
        if len(wrong):
            raise DeviceFault(
                f"{self._device.name}: {port} read back differ from what was uploaded in {len(wrong)} of "
                f"{len(content)} bytes, the first at {wrong[0]}"
            )
