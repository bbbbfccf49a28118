"""How long a launch takes: on a board by the clock on the wall, in emulation by the design's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from aebert.cost_model.run_inputs import Launch, RunInputs, to_text
from aebert.records.record import RunRecord
from aebert.source_kind import SourceKind
from codegen.memory_image import pack_encoder
from codegen.project import Project
from codegen.vectors import Int16Array
from host.accelerator import Accelerator, LaunchTimes
from host.conditions import Conditions, observe
from host.device import ClockedDevice
from host.faults import DeviceFault
from host.open import open_accelerator

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
    """One launch of sequences of ``lengths`` tokens.

    ``kernel_ms`` is from start to done; ``upload_ms`` and ``download_ms`` are program and input to the device and the
    output back, ``cold_ms`` all three of the first launch: None in emulation, where only ``cycles`` is a fact, which at
    ``clock_mhz`` give ``kernel_ms``. ``basis`` says what the figures rest on. ``clock_mhz`` is the design's;
    ``conditions`` has the one that the board says it runs at.
    """

    device: str
    source: SourceKind
    basis: str
    clock_mhz: float
    lengths: tuple[int, ...]
    cycles: int | None
    kernel_ms: Distribution
    upload_ms: Distribution | None
    download_ms: Distribution | None
    cold_ms: float | None
    conditions: Conditions


def measure(project: Project, device: str, lengths: Sequence[int], warm_up: int, repeats: int) -> Measurement:
    """On ``device`` (see `host.open.open_device`); emulated devices run in timed emulation.

    Raises DeviceFault when the device does not give the known answer, or not the same output every time: then there is
    no figure.
    """
    with open_accelerator(project, device, known_answer=True, clocked=True) as accelerator:
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
    if isinstance(accelerator.device, ClockedDevice):
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
    program, residuals = accelerator.program(lengths), random_residuals(project, lengths)
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
        lengths=tuple(lengths),
        cycles=None,
        kernel_ms=distribution([time.kernel_s for time in counted]),
        upload_ms=distribution([time.upload_s for time in counted]),
        download_ms=distribution([time.download_s for time in counted]),
        cold_ms=1e3 * _total(times[0]),
        conditions=conditions,
    )


def _measure_cycles(
    project: Project, accelerator: Accelerator, device: ClockedDevice, lengths: Sequence[int]
) -> Measurement:
    """One launch: every other one takes as many cycles."""
    accelerator.execute(accelerator.prepare(accelerator.program(lengths), random_residuals(project, lengths)))
    accelerator.check_resident()
    cycles = device.result().checked_cycles()
    clock_mhz = project.manifest.clock_mhz
    return Measurement(
        device=device.name,
        source=device.source,
        basis=device.basis,
        clock_mhz=clock_mhz,
        lengths=tuple(lengths),
        cycles=cycles,
        kernel_ms=distribution([cycles / clock_mhz / 1e6]),
        upload_ms=None,
        download_ms=None,
        cold_ms=None,
        conditions=observe(device, lambda: None, 0.0),
    )


def distribution(seconds: Sequence[float]) -> Distribution:
    """Of at least one run."""
    milliseconds = 1e3 * np.asarray(seconds, np.float64)
    low, median, p95, high = (float(np.percentile(milliseconds, share)) for share in (0, 50, 95, 100))
    return Distribution(len(milliseconds), low, median, p95, high)


def run_record(project: Project, measurement: Measurement) -> RunRecord:
    """The measurement as a fact for the database: median, least and most of the kernel's time."""
    manifest = project.manifest
    lengths = set(measurement.lengths)
    return RunRecord(
        source=measurement.source,
        design=manifest.top,
        design_digest=manifest.design_digest,
        subnet_digest=manifest.subnet_digest,
        board=manifest.board,
        part=manifest.part,
        tool="aebert measure",
        tool_version=manifest.toolkit_version,
        clock_asked_mhz=manifest.clock_mhz,
        clock_achieved_mhz=measurement.conditions.clock_mhz,
        cycles=measurement.cycles,
        latency_min_ms=measurement.kernel_ms.min,
        latency_ms=measurement.kernel_ms.median,
        latency_max_ms=measurement.kernel_ms.max,
        runs=measurement.kernel_ms.runs,
        sequence_length=lengths.pop() if len(lengths) == 1 else None,
        workload=f"{len(measurement.lengths)} sequences of {', '.join(map(str, measurement.lengths))} tokens",
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        note="; ".join([measurement.device, measurement.basis, *_conditions_in_words(measurement.conditions)]),
        inputs=to_text(run_inputs(project, measurement.lengths)),
    )


def run_inputs(project: Project, lengths: Sequence[int]) -> RunInputs:
    """What the closed form needs to predict a launch of sequences of ``lengths`` tokens."""
    manifest = project.manifest
    packed = pack_encoder(project.quantised, manifest.config)
    tiles = tuple(tuple(matrix.tiles for matrix in layer) for layer in packed)
    launch = Launch(manifest.shape, tuple(lengths), tiles)
    return RunInputs(manifest.config, manifest.compute_units, manifest.clock_mhz, launch)


def _conditions_in_words(conditions: Conditions) -> list[str]:
    words = [] if conditions.power_w is None else [f"{conditions.power_w:.1f} W ({conditions.note})"]
    if conditions.temperature_c is not None:
        words.append(f"{conditions.temperature_c:.0f} C")
    return words


def random_residuals(project: Project, lengths: Sequence[int]) -> list[Int16Array]:
    """Random: the time of a launch does not depend on the values."""
    random = np.random.default_rng(0)
    hidden = project.manifest.shape.hidden
    return [
        np.clip(np.rint(random.normal(0.0, RESIDUAL_SPREAD, (length, hidden))), -32767, 32767).astype(np.int16)
        for length in lengths
    ]


def _total(times: LaunchTimes) -> float:
    return times.upload_s + times.kernel_s + times.download_s
