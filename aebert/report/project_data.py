"""What the report shows, gathered from the project's own files and its verification; no drawing here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.pass_work import dense_macs
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, MatrixName
from aebert.numerics.quantised import QuantisedEncoder
from aebert.quantisation.error_sources import FILE_NAME, read_error_sources
from aebert.report.hardware_data import HardwareData, collect_hardware
from aebert.report.project_accuracy import DenseMetrics, ProjectAccuracy, measured_accuracy, recorded_accuracy
from codegen.project import QUANTISED_FOLDER, Project
from codegen.schedule.stored_schedule import StoredSchedule, known_schedule
from host.emulated.timed_run import TimedRun, time_project
from host.verify.ladder import Verification

MAPPED_MATRIX: MatrixName = "ffn_in"


@dataclass(frozen=True)
class LayerWork:
    """Engine steps, emulated cycles and multiply-accumulates of one layer, by pass name (heads added up)."""

    layer: int
    steps: dict[str, int]
    cycles: dict[str, int]
    macs: dict[str, int]
    dense_macs: dict[str, int]


@dataclass(frozen=True)
class ProjectFile:
    name: str
    size_bytes: int


@dataclass(frozen=True)
class ReportData:
    """``sparsity`` [layers, 6] zero weights / weights of the quantised matrices; ``stored`` [layers, 6] the share of
    weights that the packed tiles hold (what costs cycles). ``tile_map`` bool [row groups, inputs] of one matrix, True
    where a vector is stored. ``schedule`` None: clang and LLVM are not installed. ``accuracy``: one for each
    development set that was run, or what the subnet's records tell."""

    project: Project
    verification: Verification
    timed: TimedRun
    error_sources: tuple[dict[str, float], ...]
    sparsity: npt.NDArray[np.float64]
    stored: npt.NDArray[np.float64]
    tile_map: npt.NDArray[np.bool_]
    work: tuple[LayerWork, ...]
    length: int
    files: tuple[ProjectFile, ...]
    hardware: HardwareData
    schedule: StoredSchedule | None
    accuracy: tuple[ProjectAccuracy, ...]

    @property
    def steps(self) -> int:
        return sum(sum(layer.steps.values()) for layer in self.work)

    @property
    def macs(self) -> int:
        return sum(sum(layer.macs.values()) for layer in self.work)

    @property
    def dense_macs(self) -> int:
        return sum(sum(layer.dense_macs.values()) for layer in self.work)

    @property
    def overall_sparsity(self) -> float:
        matrices = [layer.matrix(name).weight for layer in self.project.quantised.layers for name in MATRIX_NAMES]
        return 1.0 - sum(np.count_nonzero(m) for m in matrices) / sum(m.size for m in matrices)


def collect(project: Project, verification: Verification, dense: DenseMetrics | None = None) -> ReportData:
    """Everything the report needs; runs the timed emulation once, on the design's longest sequence.

    ``dense``: the dense model's metrics on the development rows that ``verification`` ran.
    """
    config = project.manifest.config
    quantised = project.quantised
    length = min(config.max_length, quantised.shape.max_positions)
    timed = time_project(project, [length])
    schedule = known_schedule(project.directory, project.manifest)
    tile_weights = config.out_lanes * config.in_lanes
    hardware = collect_hardware(project, timed, schedule)
    return ReportData(
        project=project,
        verification=verification,
        timed=timed,
        error_sources=read_error_sources(project.directory / QUANTISED_FOLDER / FILE_NAME),
        sparsity=_per_matrix(quantised, lambda weight: 1.0 - np.count_nonzero(weight) / weight.size),
        stored=np.array(
            [
                [
                    tiles * tile_weights / layer.matrix(name).weight.size
                    for name, tiles in zip(MATRIX_NAMES, row, strict=True)
                ]
                for layer, row in zip(quantised.layers, project.image.tiles, strict=True)
            ]
        ),
        tile_map=_tile_map(quantised.layers[0].matrix(MAPPED_MATRIX).weight, config.out_lanes),
        work=_by_layer(timed, quantised.shape),
        length=length,
        files=tuple(
            ProjectFile(name, (project.directory / name).stat().st_size)
            for name in sorted(project.manifest.files)
            if (project.directory / name).is_file()
        ),
        hardware=hardware,
        schedule=schedule,
        accuracy=_accuracy(project, verification, dense or {}, timed, hardware),
    )


def _accuracy(
    project: Project, verification: Verification, dense: DenseMetrics, timed: TimedRun, hardware: HardwareData
) -> tuple[ProjectAccuracy, ...]:
    own = "no cycle count" if timed.result.cycles is None else f"{timed.latency_ms:.4f} ms (emulated)"
    of_dense = f"{hardware.dense_ms:.4f} ms (predicted)"
    model = project.model_directory
    if verification.tasks:
        return tuple(measured_accuracy(check, model, dense, own, of_dense) for check in verification.tasks)
    found = recorded_accuracy(model, own, of_dense)
    return () if found is None else (found,)


def _per_matrix(
    quantised: QuantisedEncoder, figure: Callable[[npt.NDArray[np.int8]], float]
) -> npt.NDArray[np.float64]:
    return np.array([[figure(layer.matrix(name).weight) for name in MATRIX_NAMES] for layer in quantised.layers])


def _tile_map(weight: npt.NDArray[np.int8], out_lanes: int) -> npt.NDArray[np.bool_]:
    """Only vectors of ``out_lanes`` weights that are not all zero are stored (codegen.packing)."""
    stored: npt.NDArray[np.bool_] = weight.reshape(-1, out_lanes, weight.shape[1]).any(axis=1)
    return stored


def _by_layer(timed: TimedRun, shape: EncoderShape) -> tuple[LayerWork, ...]:
    dense = dense_macs(shape, timed.program.lengths)
    # Passes of removed heads are in the dense model alone.
    none = dict.fromkeys(dense, 0)
    result = tuple(LayerWork(number, {**none}, {**none}, {**none}, dense) for number in range(shape.layers))
    spent = timed.result.cycles_per_pass()
    cycles = {id(step): spent.get(number, 0) for number, step in enumerate(timed.program.passes)}
    for item in timed.work:
        layer, name = result[item.step.layer], item.step.name
        for totals, figure in (
            (layer.steps, item.engine_steps),
            (layer.cycles, cycles[id(item.step)]),
            (layer.macs, item.macs),
        ):
            totals[name] += figure
    return result
