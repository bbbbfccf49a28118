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

from aebert.design.hardware_config import HardwareConfig
from aebert.design.program import Program, Stored, build_program
from aebert.numerics.quantised import QuantisedEncoder
from aebert.support.errors import AebertError
from codegen.memory_image import MemoryImage
from codegen.vector_order import Int16Array, StoredPass, input_bytes, output_size, split_output, stored_passes
from host.devices.faults import DeviceFault
from host.devices.guard import KnownSequence
from host.devices.protocol import Device, DeviceBuffer, Launch

# For emulators, which need seconds for what takes a board less than a millisecond.
DEADLINE_S = 600.0
# Of the time that launches take: what reading the resident weights back may cost.
READ_BACK_SHARE = 0.01
# Odd, so that the pattern does not repeat with the words of any memory.
_PATTERN_BYTES = 4099
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
class Asked:
    """A launch as its caller asked for it."""

    program: Program
    residuals: tuple[Int16Array, ...]


@dataclass(frozen=True)
class PreparedLaunch:
    """Program and input in the buffers of a slot, not yet on the device. To be executed exactly once.

    ``asked`` is what they were made from; None where they came as bytes.
    """

    slot: Slot
    image: MemoryImage
    launch: Launch
    program: Bytes
    input: Bytes
    output_bytes: int
    asked: Asked | None = None


class Accelerator:
    """Runs sequences of residuals through the encoder on ``device``.

    Weights, indices and parameters are read back after the upload, and again whenever the launches since then took a
    hundred times as long as that: wrong bits in them are found at less than one per cent of the time. ``guarded``: each
    launch's program and input are read back too, it runs twice at different places with a sequence whose answer is
    known (`KnownSequence`), and the resident weights are read back once more before an output is believed. Outputs are
    filled with a new pattern before every run, guarded or not. One thread may prepare launches while another executes
    them.

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
        self._known: KnownSequence | None = None
        self._random = np.random.default_rng()
        self._check_slot = Slot(device)
        self._since_check_s = 0.0
        self._launches_since_check = 0
        self._read_back_s = 0.0
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

    @property
    def quantised(self) -> QuantisedEncoder:
        """The subnet that is resident."""
        return self._quantised

    @property
    def image(self) -> MemoryImage:
        """What of it lies in the device's memory."""
        return self._image

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
            self._known = KnownSequence(self._config, quantised) if self._guarded else None
            self._launches_since_check = 0
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
            Asked(program, tuple(residuals)),
        )

    def prepare_bytes(
        self, program: Bytes, content: Bytes, pass_count: int, output_bytes: int, asked: Asked | None = None
    ) -> PreparedLaunch:
        """The same from buffers as the kernel reads them."""
        slot = self._slots.get()
        try:
            return self._fill(slot, program, content, pass_count, output_bytes, asked)
        except BaseException:
            self._slots.put(slot)
            raise

    def _fill(
        self, slot: Slot, program: Bytes, content: Bytes, pass_count: int, output_bytes: int, asked: Asked | None
    ) -> PreparedLaunch:
        counts = self._image.counts
        launch = Launch(
            pass_table=slot.filled("pass_table", program),
            weights=self._resident["weights"][0],
            indices=self._resident["indices"][0],
            parameters=self._resident["parameters"][0],
            embeddings=slot.filled("embeddings", content),
            results=slot.buffer("results", output_bytes),
            pass_count=pass_count,
            tile_count=counts.tile_count,
            index_word_count=counts.index_word_count,
        )
        return PreparedLaunch(slot, self._image, launch, program, content, output_bytes, asked)

    def execute(self, prepared: PreparedLaunch) -> Bytes:
        """Runs it to its end; the bytes of its output. The slot is free again afterwards, however it ends."""
        try:
            with self._busy:
                if prepared.image is not self._image:
                    raise AebertError("launch: prepared for a subnet that is not resident any more; prepare it again")
                output = self._launch(prepared)
                times = self.last_times
                if self._known is not None:
                    self._guard(prepared, output, self._known)
                    self.check_resident()
                elif self._since_check_s >= self._read_back_s / READ_BACK_SHARE:
                    self.check_resident()
                self.last_times = times
                return output
        finally:
            self._slots.put(prepared.slot)

    def _guard(self, prepared: PreparedLaunch, output: Bytes, known: KnownSequence) -> None:
        """Raises DeviceFault for whatever speaks against ``output``."""
        self._check(prepared.launch.pass_table, prepared.program, "program")
        self._check(prepared.launch.embeddings, prepared.input, "input")
        asked = prepared.asked
        runs = [] if asked is None else known.check_runs(asked.program, asked.residuals)
        if not any(run.shared for run in runs) and not np.array_equal(self._launch(prepared), output):
            raise self._fault("two runs of the same launch gave different outputs")
        for run in runs:
            assert asked is not None, "there are no check runs without it"
            program, config = run.program, self._config
            check = self._fill(
                self._check_slot,
                self._image.program_bytes(program),
                input_bytes(config, program, run.residuals),
                len(program.passes),
                output_size(config, program),
                None,
            )
            again = self._launch(check)
            answers = []
            if run.shared:
                (last,) = self.stored(asked.program, output)
                answers = split_output(config, asked.program, last.values)
            if problem := known.problem(run, again, answers):
                raise self._fault(problem)

    def _fault(self, problem: str) -> DeviceFault:
        return DeviceFault(f"{self._device.name}: {problem}")

    def check_resident(self) -> None:
        """Reads weights, indices and parameters back. Raises DeviceFault when they are not what was uploaded.

        Then the answers of the launches since the last time are not to be trusted, and the fault says how many.
        """
        began = time.perf_counter()
        for port, (buffer, content) in self._resident.items():
            self._check(buffer, content, port)
        self._read_back_s = time.perf_counter() - began
        self._since_check_s = 0.0
        self._launches_since_check = 0

    def _launch(self, prepared: PreparedLaunch) -> Bytes:
        launch = prepared.launch
        # A kernel that says it is done and wrote nothing must not pass off an earlier answer as this one.
        pattern = self._pattern(prepared.output_bytes)
        launch.results.array[: prepared.output_bytes] = pattern
        launch.results.to_device()
        began = time.perf_counter()
        launch.pass_table.to_device()
        launch.embeddings.to_device()
        uploaded = time.perf_counter()
        self._device.launch(launch, self._deadline_s)
        done = time.perf_counter()
        launch.results.from_device()
        output: Bytes = launch.results.array[: prepared.output_bytes].copy()
        self.last_times = LaunchTimes(uploaded - began, done - uploaded, time.perf_counter() - done)
        self._since_check_s += time.perf_counter() - began
        self._launches_since_check += 1
        for end in (slice(0, self._config.word_bytes), slice(-self._config.word_bytes, None)):
            if np.array_equal(output[end], pattern[end]):
                raise self._fault("the kernel said it was done and had not written its output")
        return output

    def _pattern(self, size: int) -> Bytes:
        """Other bytes every time: what was not written differs between two runs of the same launch."""
        word = np.frombuffer(self._random.bytes(_PATTERN_BYTES), np.uint8)
        pattern: Bytes = np.resize(word, size)
        return pattern

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
        if not np.array_equal(buffer.array[: len(content)], content):
            wrong = np.flatnonzero(buffer.array[: len(content)] != content)
            doubted = self._launches_since_check
            answers = f"; do not trust the answers of the last {doubted} launches" if doubted else ""
            raise self._fault(
                f"{port} read back differ from what was uploaded in {len(wrong)} of {len(content)} bytes, "
                f"the first at {wrong[0]}{answers}"
            )
