"""How long a launch takes: on a board by the clock on the wall, in emulation by the design's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np

from aebert.cost_model.run_inputs import LaunchShape, to_text
from aebert.design.pipeline_latencies import Latencies
from aebert.models.encoder import EncoderShape
from aebert.records.record import RunRecord
from aebert.records.source_kind import SourceKind
from aebert.timing.loop_schedules import LoopFigures
from aebert.timing.scheduled_latencies import scheduled_latencies
from codegen.project import Project
from codegen.project_inputs import project_inputs
from codegen.vector_order import Int16Array
from host.boards.conditions import Conditions, observe
from host.devices.accelerator import Accelerator, LaunchTimes
from host.devices.faults import DeviceFault
from host.devices.open import open_accelerator
from host.devices.protocol import CountingDevice

RESIDUAL_SPREAD = 3000.0
# Of launches without a pause, for sensors that average over a part of a second.
LOAD_SECONDS = 2.0


@dataclass(frozen=True)
class Distribution:
    """Milliseconds over ``runs`` runs; ``p95`` is the 95th percentile."""

    runs: int
    min: float
    median: float
    p95: float
    max: float


@dataclass(frozen=True)
class Measurement:
    """One launch of the subnet ``subnet_digest``; ``launch`` has its shape, its tiles in memory and the sequences.

    ``kernel_ms`` is from start to done; ``upload_ms`` and ``download_ms`` are program and input to the device and the
    output back, ``cold_ms`` all three of the first launch: None in emulation, where only ``cycles`` is a fact, which at
    ``clock_mhz`` give ``kernel_ms``. ``basis`` says what the figures rest on. ``clock_mhz`` is the design's;
    ``conditions`` has the one that the board says it runs at. ``measured_at``: ISO 8601 in UTC. ``latencies``: of the
    loops' schedules that ``cycles`` were counted with.
    """

    device: str
    source: SourceKind
    basis: str
    clock_mhz: float
    subnet_digest: str
    launch: LaunchShape
    measured_at: str
    cycles: int | None
    kernel_ms: Distribution
    upload_ms: Distribution | None
    download_ms: Distribution | None
    cold_ms: float | None
    conditions: Conditions
    latencies: Latencies | None = None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sequence."""
        return self.launch.lengths


def measure(
    project: Project,
    device: str,
    lengths: Sequence[int],
    warm_up: int,
    repeats: int,
    recorded: Mapping[str, LoopFigures] | None = None,
) -> Measurement:
    """On ``device`` (see `host.devices.open.open_device`, for ``recorded`` too); emulated devices run in timed
    emulation.

    Raises DeviceFault when the device does not give the known answer, or not the same output every time: then there is
    no figure.
    """
    with open_accelerator(project, device, known_answer=True, clocked=True, recorded=recorded) as accelerator:
        return measure_resident(project, accelerator, lengths, warm_up, repeats)


def measure_resident(
    project: Project,
    accelerator: Accelerator,
    lengths: Sequence[int],
    warm_up: int,
    repeats: int,
    load_seconds: float = LOAD_SECONDS,
) -> Measurement:
    """Of the subnet that is resident: in cycles where the device counts them, else by the clock on the wall.

    Where the device has sensors, they are read during ``load_seconds`` of launches without a pause.
    """
    if isinstance(accelerator.device, CountingDevice):
        return _measure_cycles(project, accelerator, accelerator.device, lengths)
    return measure_board(project, accelerator, lengths, warm_up, repeats, load_seconds)


def measure_board(
    project: Project,
    accelerator: Accelerator,
    lengths: Sequence[int],
    warm_up: int,
    repeats: int,
    load_seconds: float = LOAD_SECONDS,
) -> Measurement:
    """``warm_up`` launches that do not count, the first of them cold, then ``repeats`` that do."""
    program, residuals = accelerator.program(lengths), random_residuals(accelerator.quantised.shape, lengths)
    outputs, times = [], []
    for _ in range(warm_up + repeats):
        outputs.append(accelerator.execute(accelerator.prepare(program, residuals)))
        times.append(accelerator.last_times)
        if not np.array_equal(outputs[-1], outputs[0]):
            raise DeviceFault(f"{accelerator.device.name}: launch {len(outputs)} gave another output than the first")
        del outputs[1:]
    conditions = observe(
        accelerator.device, lambda: accelerator.execute(accelerator.prepare(program, residuals)), load_seconds
    )
    accelerator.check_resident()
    counted = times[warm_up:]
    return Measurement(
        device=accelerator.device.name,
        source=accelerator.device.source,
        basis="wall clock of the host",
        clock_mhz=project.manifest.clock_mhz,
        subnet_digest=accelerator.quantised.subnet_digest,
        launch=launch_shape(accelerator, lengths),
        measured_at=_now(),
        cycles=None,
        kernel_ms=distribution([time.kernel_s for time in counted]),
        upload_ms=distribution([time.upload_s for time in counted]),
        download_ms=distribution([time.download_s for time in counted]),
        cold_ms=1e3 * _total(times[0]),
        conditions=conditions,
    )


def _measure_cycles(
    project: Project, accelerator: Accelerator, device: CountingDevice, lengths: Sequence[int]
) -> Measurement:
    """One launch: every other one takes as many cycles."""
    residuals = random_residuals(accelerator.quantised.shape, lengths)
    accelerator.execute(accelerator.prepare(accelerator.program(lengths), residuals))
    accelerator.check_resident()
    cycles = device.counted_cycles()
    clock_mhz = project.manifest.clock_mhz
    return Measurement(
        device=device.name,
        source=device.source,
        basis=device.basis,
        clock_mhz=clock_mhz,
        subnet_digest=accelerator.quantised.subnet_digest,
        launch=launch_shape(accelerator, lengths),
        measured_at=_now(),
        cycles=cycles,
        kernel_ms=distribution([cycles / clock_mhz / 1e6]),
        upload_ms=None,
        download_ms=None,
        cold_ms=None,
        conditions=observe(device, lambda: None, 0.0),
        latencies=scheduled_latencies(project.manifest.config, device.schedules),
    )


def distribution(seconds: Sequence[float]) -> Distribution:
    """Of at least one run."""
    milliseconds = 1e3 * np.asarray(seconds, np.float64)
    low, median, p95, high = (float(np.percentile(milliseconds, share)) for share in (0, 50, 95, 100))
    return Distribution(len(milliseconds), low, median, p95, high)


def run_record(project: Project, measurement: Measurement) -> RunRecord:
    """The measurement as a fact for the database: median, least and most of the kernel's time.

    ``project`` is the design that it ran on; what ran is the measurement's own, for one design runs many subnets.
    """
    manifest = project.manifest
    lengths = set(measurement.lengths)
    inputs = replace(
        project_inputs(project.directory, manifest),
        clock_mhz=measurement.clock_mhz,
        launch=measurement.launch,
        latencies=measurement.latencies,
    )
    return RunRecord(
        source=measurement.source,
        design=manifest.top,
        design_digest=manifest.design_digest,
        subnet_digest=measurement.subnet_digest,
        board=manifest.board,
        part=manifest.part,
        tool="aebert measure",
        tool_version=version("aebert"),
        clock_asked_mhz=measurement.clock_mhz,
        clock_achieved_mhz=measurement.conditions.clock_mhz,
        cycles=measurement.cycles,
        latency_min_ms=measurement.kernel_ms.min,
        latency_ms=measurement.kernel_ms.median,
        latency_max_ms=measurement.kernel_ms.max,
        runs=measurement.kernel_ms.runs,
        sequence_length=lengths.pop() if len(lengths) == 1 else None,
        workload=f"{len(measurement.lengths)} sequences of {', '.join(map(str, measurement.lengths))} tokens",
        measured_at=measurement.measured_at,
        note="; ".join(
            [
                measurement.device,
                measurement.basis,
                *_conditions_in_words(measurement.conditions),
                *_trusted_in_words(project),
            ]
        ),
        inputs=to_text(inputs),
    )


def launch_shape(accelerator: Accelerator, lengths: Sequence[int]) -> LaunchShape:
    """A launch of the resident subnet with sequences of ``lengths`` tokens: the tiles are those in memory."""
    quantised = accelerator.quantised
    heads = tuple(map(len, quantised.kept_heads))
    return LaunchShape(quantised.shape, tuple(lengths), accelerator.image.tiles, heads)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _conditions_in_words(conditions: Conditions) -> list[str]:
    words = [] if conditions.power_w is None else [f"{conditions.power_w:.1f} W ({conditions.note})"]
    if conditions.temperature_c is not None:
        words.append(f"{conditions.temperature_c:.0f} C")
    return words


def _trusted_in_words(project: Project) -> list[str]:
    return [f"trusted changes: {', '.join(project.trusted_changes)}"] if project.trusted_changes else []


def random_residuals(shape: EncoderShape, lengths: Sequence[int]) -> list[Int16Array]:
    """Random: the time of a launch does not depend on the values."""
    random = np.random.default_rng(0)
    return [
        np.clip(np.rint(random.normal(0.0, RESIDUAL_SPREAD, (length, shape.hidden))), -32767, 32767).astype(np.int16)
        for length in lengths
    ]


def _total(times: LaunchTimes) -> float:
    return times.upload_s + times.kernel_s + times.download_s
