"""A task's development set through the device: every sequence's bits, the metric, and what the device's clock says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models import load_encoder
from aebert.models.encoder import Encoder, FloatArray
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.packed_sequences import PackedStates, pack
from aebert.numerics.reference import from_residual, run_encoder, to_residual
from aebert.records.source_kind import SourceKind
from aebert.support.progress import Progress, count_through, no_progress
from aebert.tasks.evaluation import ALLOWED_LOSS_POINTS, choose_rows, evaluate_rows, points_lost
from aebert.tasks.metrics import compute_metrics
from aebert.tasks.predict import first_tokens, fp32_run, required_label_order
from aebert.tasks.task import Example, Task, TaskData
from codegen.project import Project
from codegen.vector_order import Int16Array
from host.devices.accelerator import Accelerator
from host.devices.protocol import CountingDevice, Device
from host.measure import Distribution, distribution


@dataclass(frozen=True)
class SequenceCheck:
    """One row, alone in a launch: the first value (token, channel) in which device and integer reference differ."""

    row: int
    length: int
    difference: str | None
    latency_ms: float | None


@dataclass(frozen=True)
class TaskLatency:
    """Kernel time of one sequence per launch over the rows; ``basis`` says what the figures rest on."""

    source: SourceKind
    basis: str
    clock_mhz: float
    kernel_ms: Distribution


@dataclass(frozen=True)
class TaskCheck:
    """One development set on a device. ``metrics`` of the device and of PyTorch (``fp32``) are fractions of 1.

    ``latency`` is None where the device neither counts cycles nor is a board (simulation of the RTL: it has only the
    simulator's own time).
    """

    device: str
    task: str
    rows_of: str
    sequences: tuple[SequenceCheck, ...]
    primary: str
    metrics: Mapping[str, float]
    fp32: Mapping[str, float]
    latency: TaskLatency | None

    @property
    def different(self) -> tuple[SequenceCheck, ...]:
        """The rows whose bits are not those of the integer reference."""
        return tuple(sequence for sequence in self.sequences if sequence.difference is not None)

    @property
    def loss_points(self) -> float:
        """By how many points the primary metric is lower than PyTorch's; negative: higher."""
        return points_lost(self.fp32[self.primary], self.metrics[self.primary])

    @property
    def allowed_points(self) -> float:
        """One point, or on few rows what a single row weighs in an accuracy."""
        return max(ALLOWED_LOSS_POINTS, points_lost(1 / len(self.sequences), 0))


def check_task(
    project: Project,
    accelerator: Accelerator,
    data: TaskData,
    rows: int | None = None,
    progress: Progress = no_progress,
) -> tuple[TaskCheck, ...]:
    """Every development set of ``data``, or ``rows`` of each, one sequence per launch.

    Raises AebertError when the model has no head for the task, DeviceFault when the device fails.
    """
    encoder = load_encoder(project.model_directory)
    model = load_host_model(project.model_directory)
    return tuple(
        _check_rows(project, accelerator, encoder, model, data.task, name, choose_rows(examples, rows), progress)
        for name, examples in data.dev.items()
    )


def _check_rows(
    project: Project,
    accelerator: Accelerator,
    encoder: Encoder,
    model: HostModel,
    task: Task,
    rows_of: str,
    rows: Sequence[Example],
    progress: Progress,
) -> TaskCheck:
    longest = min(project.manifest.config.max_length, encoder.shape.max_positions)
    order = list(required_label_order(model, task))
    texts = model.tokenise([row.text for row in rows], longest)
    logits = np.empty((len(rows), len(order)), np.float32)
    sequences = []
    step = f"{task.name} {rows_of} on {accelerator.device.name}"
    for number, text in enumerate(count_through(texts, step, len(texts), progress)):
        residual = to_residual(model.embed_texts([text]).values.numpy(), project.quantised.input_scale)
        (output,) = accelerator.run([residual])
        difference = _difference(output, run_encoder(project.quantised, residual))
        sequences.append(SequenceCheck(number, len(text), difference, _latency_ms(project, accelerator)))
        logits[number] = _logits(model, from_residual(output, project.quantised.output_scale))[order]
    return TaskCheck(
        device=accelerator.device.name,
        task=task.name,
        rows_of=rows_of,
        sequences=tuple(sequences),
        primary=task.primary,
        metrics={str(name): value for name, value in compute_metrics(task, logits, [r.label for r in rows]).items()},
        fp32=evaluate_rows(model, task, fp32_run(encoder), rows, longest, f"{task.name} {rows_of} in fp32", progress),
        latency=_latency(project, accelerator.device, [each.latency_ms for each in sequences]),
    )


def _latency_ms(project: Project, accelerator: Accelerator) -> float | None:
    """Of the last launch: in cycles where the device counts them, by the clock on the wall on a board."""
    device = accelerator.device
    if isinstance(device, CountingDevice):
        return device.counted_cycles() / project.manifest.clock_mhz / 1e3
    return 1e3 * accelerator.last_times.kernel_s if device.source == "hw" else None


def _latency(project: Project, device: Device, measured_ms: Sequence[float | None]) -> TaskLatency | None:
    seconds = [latency_ms / 1e3 for latency_ms in measured_ms if latency_ms is not None]
    if not seconds:
        return None
    return TaskLatency(
        source=device.source,
        basis=device.basis if isinstance(device, CountingDevice) else "wall clock of the host",
        clock_mhz=project.manifest.clock_mhz,
        kernel_ms=distribution(seconds),
    )


def _logits(model: HostModel, hidden: FloatArray) -> FloatArray:
    """[labels] from the last hidden states [tokens, hidden] of one sequence."""
    states: PackedStates = pack([torch.from_numpy(hidden)])
    logits: FloatArray = model.logits(first_tokens(states))[0].numpy()
    return logits


def _difference(output: Int16Array, expected: Int16Array) -> str | None:
    wrong = np.argwhere(output != expected)
    if not len(wrong):
        return None
    token, channel = (int(at) for at in wrong[0])
    return (
        f"token {token}, channel {channel}: {output[token, channel]}, expected {expected[token, channel]} "
        f"({len(wrong)} values of this sequence differ)"
    )
