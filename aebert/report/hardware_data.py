"""A project against its board: roofline, resources, and the closed form's cycles beside those of timed emulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.cost_model.breakdown import Breakdown, PredictionInterval, break_down
from aebert.cost_model.predictor import launch_kind
from aebert.cost_model.scheduled_kernel import ScheduledKernel
from aebert.design.board import Board, load_board
from aebert.design.board_fit import RESOURCES, TITLES, ceilings, check_fit
from aebert.design.design import Design
from aebert.design.kernel_records import PARAMETER_BYTES
from aebert.design.launch_cycles import time_passes
from aebert.design.pipeline_latencies import Latencies
from aebert.design.program import Pass
from aebert.design.size_arrays import Sizes
from aebert.design.workload import TileCounts, Workload, subnet_tiles, weight_tiles
from aebert.models.encoder import MATRIX_NAMES
from aebert.timing.scheduled_latencies import scheduled_latencies
from codegen.placement import ComputeUnit, place_compute_units
from codegen.project import Project
from codegen.schedule.stored_schedule import StoredSchedule
from host.emulated.timed_run import TimedRun

# Loading the embeddings overlaps with the first projection; where one ends is a matter of definition.
PROJECTIONS = ("load", "query", "key", "value")
KINDS = ("projections", "scores", "context", "attention_output", "ffn_in", "ffn_out", "store")
# Ports that are read while the engine works; input and output move before and after.
STREAMED_PORTS = ("weights", "indices", "parameters")


@dataclass(frozen=True)
class KindOfPass:
    """All passes of a kind. ``timed``: cycles of timed emulation, ``predicted``: of the closed form; both from when the
    engine let go of the pass before, waiting for operands included. ``weight_bytes``: read from off-chip memory."""

    kind: str
    timed: int
    predicted: float
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class ResourceShare:
    """Counts of one resource. ``by_slr``: what the platform leaves in each die; ``limit``: the most that timing closure
    lets the design's place take; ``used``: all compute units, predicted on ``basis``."""

    name: str
    total: int
    by_slr: Mapping[str, int]
    limit: int
    used: PredictionInterval
    basis: str

    @property
    def available(self) -> int:
        return sum(self.by_slr.values())


@dataclass(frozen=True)
class HardwareData:
    """``peak_macs``: multiply-accumulates per second of one compute unit's lanes; ``board_bytes``: bytes per second of
    the board's memory, ``port_bytes``: of the ports that stream weights. ``where``: the dies of each compute unit.
    ``dense_cycles``: of the same launch with no weight zeroed, in closed form."""

    board: Board
    clock_mhz: float
    kinds: tuple[KindOfPass, ...]
    breakdown: Breakdown
    dense_cycles: PredictionInterval
    timed_cycles: int | None
    launch_bytes: int
    launch_macs: int
    peak_macs: float
    board_bytes: float
    port_bytes: float
    resources: tuple[ResourceShare, ...]
    where: str

    @property
    def dense_ms(self) -> float:
        """Predicted for the dense model on this design."""
        return self.dense_cycles.mean / self.clock_mhz / 1e3

    def rate(self, macs: int, cycles: float) -> float:
        """Multiply-accumulates per second."""
        return macs / cycles * self.clock_mhz * 1e6


def collect_hardware(project: Project, timed: TimedRun, schedule: StoredSchedule | None) -> HardwareData:
    """``schedule``: of the project's loops, None None without LLVM. Raises AebertError for an unknown board."""
    manifest = project.manifest
    config = manifest.config
    board = load_board(manifest.board)
    design = Design(config, board, manifest.clock_mhz, manifest.compute_units)
    tiles = subnet_tiles(project.quantised)
    lengths = timed.program.lengths
    latencies = scheduled_latencies(config, timed.schedules)
    scheduled = None if schedule is None else ScheduledKernel(latencies, schedule.reached_mhz, schedule.register_bits)
    breakdown = break_down(design, manifest.shape, tiles, lengths, scheduled=scheduled)
    dense = break_down(design, manifest.shape, _dense_tiles(project), lengths, scheduled=scheduled)
    hertz = manifest.clock_mhz * 1e6
    return HardwareData(
        board=board,
        clock_mhz=manifest.clock_mhz,
        kinds=_kinds(project, timed, _predicted(design, project, tiles, lengths, latencies)),
        breakdown=breakdown,
        dense_cycles=dense.cycles,
        timed_cycles=timed.result.cycles,
        launch_bytes=sum(port.words for port in timed.result.ports) * config.word_bytes,
        launch_macs=sum(item.macs for item in timed.work),
        peak_macs=config.macs_per_cycle * hertz,
        board_bytes=board.memory.bandwidth_gb_s * 1e9,
        port_bytes=sum(timed.ports[name].words_per_cycle for name in STREAMED_PORTS) * config.word_bytes * hertz,
        resources=_resources(design, breakdown),
        where=_where(design),
    )


def _dense_tiles(project: Project) -> TileCounts:
    layers = project.quantised.layers
    full = [np.ones_like(layers[0].matrix(name).weight) for name in MATRIX_NAMES]
    return weight_tiles(project.quantised.shape, [full] * len(layers))


def kind_of(name: str) -> str:
    """The kind of a pass, by the pass's name."""
    return "projections" if name in PROJECTIONS else "store" if name == "end" else name


def _predicted(
    design: Design, project: Project, tiles: TileCounts, lengths: tuple[int, ...], latencies: Latencies
) -> dict[str, float]:
    """Cycles of the closed form by kind; the wait for a LayerNorm goes to the pass that waits."""
    shape = project.manifest.shape
    memory = launch_kind(design, shape, lengths).memory
    cycles = dict.fromkeys(KINDS, 0.0)
    waited = 0.0
    workload = Workload(shape, tiles, lengths)
    for step in time_passes(Sizes.of(design.config), workload, memory=memory, latencies=latencies):
        own = float(step.cycles[0])
        if step.name == "layer_norm":
            waited += own
        else:
            cycles[kind_of(step.name)] += own + waited
            waited = 0.0
    cycles["store"] += waited
    return cycles


def _kinds(project: Project, timed: TimedRun, predicted: Mapping[str, float]) -> tuple[KindOfPass, ...]:
    config = project.manifest.config
    passes = timed.program.passes
    cycles, macs, weight_bytes = (dict.fromkeys(KINDS, 0) for _ in range(3))
    before = 0
    ends = sorted(
        (each.end, each.iteration) for each in timed.result.process("engine").intervals if each.iteration >= 0
    )
    for end, number in ends:
        cycles[kind_of(passes[number].name)] += end - before
        before = end
    if timed.result.cycles is not None:
        cycles["store"] += timed.result.cycles - before
    for item in timed.work:
        kind = kind_of(item.step.name)
        macs[kind] += item.macs
        if item.step.matrix is not None:
            stored = item.engine_steps // item.step.group_count
            tile_bytes = config.out_lanes * config.in_lanes + config.in_lanes * config.index_bytes
            weight_bytes[kind] += stored * tile_bytes + _channel_bytes(item.step)
    return tuple(KindOfPass(kind, cycles[kind], predicted[kind], macs[kind], weight_bytes[kind]) for kind in KINDS)


def _channel_bytes(step: Pass) -> int:
    """What requantisation reads for each output channel."""
    return step.outputs * PARAMETER_BYTES


def _resources(design: Design, breakdown: Breakdown) -> tuple[ResourceShare, ...]:
    used = check_fit(design.config, design.board, design.compute_units)
    share = ceilings(design.board)
    found = []
    for name, use in zip(RESOURCES, breakdown.resources, strict=True):
        total = int(getattr(design.board.total, name))
        if not total:
            continue
        by_slr = {slr.name: int(getattr(slr.available, name)) for slr in design.board.slrs}
        limit = min(getattr(used.placement.limit, name) * design.compute_units, int(share[name] * sum(by_slr.values())))
        found.append(ResourceShare(TITLES[name], total, by_slr, limit, use.used, breakdown.basis[name]))
    return tuple(found)


def _where(design: Design) -> str:
    if len(design.board.slrs) == 1:
        return "one die"
    units = place_compute_units(design.config, design.board, design.compute_units)
    most = design.board.wires_between_dies
    return "; ".join(filter(None, (_dies_of(unit, most) for unit in units))) or "wherever the tools put it"


def _dies_of(unit: ComputeUnit, wires_between_dies: int | None) -> str:
    """Empty where it is left to the tools."""
    if unit.slr is not None:
        return f"{unit.name} in {unit.slr}"
    if not unit.dies:
        return ""
    dies = dict(unit.dies)
    engines = Counter(slr for process, slr in unit.dies if process.startswith("engine"))
    where = ", ".join(f"{count} in {slr}" for slr, count in engines.items())
    wires = f"{unit.wires} wires" + (f" of {wires_between_dies}" if wires_between_dies else "")
    return f"{unit.name}: engines {where}; what they share in {dies['fetch_tiles']}; at most {wires} from die to die"
