"""One launch on one design, taken apart: cycles by kind of pass, work and resources by unit, what the board offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aebert.cost_model.fitted_model import FittedModel, FittedQuantity
from aebert.cost_model.fitted_quantities import CLOCK_PERIOD
from aebert.cost_model.launch_overhead import Surrounding, host_transfer, launch_overhead
from aebert.cost_model.predictor import clock_of, cycle_coefficients, launch_kind
from aebert.cost_model.scheduled_kernel import ScheduledKernel
from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.synthesis import Synthesis, join
from aebert.cost_model.uncertainty import RESOURCES as RESOURCE_SPREADS
from aebert.design.board_fit import RESOURCES, Usage, check_fit
from aebert.design.design import Design
from aebert.design.launch_clock import PassTime
from aebert.design.launch_cycles import time_passes
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.design.scheduled_registers import with_scheduled_registers
from aebert.design.size_arrays import Sizes
from aebert.design.workload import TileCounts, Workload
from aebert.models.encoder import EncoderShape

_REGISTERS = "registers between stages as scheduled; "
_PROJECTIONS = ("query", "key", "value")
PASS_KINDS = (
    "load", "projections", "scores", "context", "attention_output", "ffn_in", "ffn_out", "layer_norm", "store",
)  # fmt: skip


@dataclass(frozen=True)
class PredictionInterval:
    """``low`` to ``high`` hold the true value nine times out of ten; ``assumed``: too few cases stand behind it to
    promise that."""

    mean: float
    low: float
    high: float
    assumed: bool

    @classmethod
    def around(cls, mean: float, spread: Spread) -> PredictionInterval:
        return cls(mean, mean * spread.low, mean * spread.high, spread.assumed)


@dataclass(frozen=True)
class PassKindTime:
    """All passes of a kind: cycles of the launch that go to them, and steps in which the engine multiplies."""

    kind: str
    passes: int
    cycles: float
    share: float
    lanes_busy: float


@dataclass(frozen=True)
class UnitUse:
    """One unit of the kernel: the share of the launch in which it works (None where that means nothing), and what it
    takes of the board (one compute unit; counts)."""

    unit: str
    busy: float | None
    resources: Mapping[str, float]


@dataclass(frozen=True)
class ResourceUse:
    """All compute units together, of what the board's platform leaves."""

    name: str
    used: PredictionInterval
    available: int


@dataclass(frozen=True)
class Breakdown:
    """``latency_ms`` is the kernel's. What comes on top of it is None where no run says it, and for the launch where a
    fitted model has it in ``latency_ms`` already. ``basis``: what each figure rests on."""

    cycles: PredictionInterval
    clock_mhz: PredictionInterval
    latency_ms: PredictionInterval
    launch_ms: PredictionInterval | None
    transfer_ms: PredictionInterval | None
    lane_utilisation: float
    passes: tuple[PassKindTime, ...]
    units: tuple[UnitUse, ...]
    resources: tuple[ResourceUse, ...]
    basis: Mapping[str, str]


def break_down(
    design: Design,
    shape: EncoderShape,
    tiles: TileCounts,
    lengths: tuple[int, ...],
    fitted: FittedModel | None = None,
    synthesis: Synthesis | None = None,
    scheduled: ScheduledKernel | None = None,
) -> Breakdown:
    """One launch of sequences of ``lengths`` on one compute unit.

    ``scheduled``: what a schedule of the kernel's own loops says of depths, clock and registers. The design's
    ``synthesis`` comes before it, and so does a fitted clock. Raises AebertError where the design does not fit.
    """
    used = check_fit(design.config, design.board, design.compute_units)
    memory = launch_kind(design, shape, lengths).memory
    if synthesis is not None:
        scheduled = None
    if scheduled is not None:
        used = replace(
            used, resources=with_scheduled_registers(used.resources, scheduled.register_bits, design.config.engines)
        )
    latencies = _latencies(design, synthesis, scheduled)
    work = Workload(shape, tiles, lengths)
    steps = time_passes(Sizes.of(design.config), work, memory=memory, latencies=latencies)
    total = sum(float(step.cycles[0]) for step in steps)
    lanes = sum(float(step.lane_cycles[0]) for step in steps)
    engine = latencies.engine_interval * lanes

    per_engine, per_other, per_launch, cycle_spread = cycle_coefficients(design, fitted, latencies)
    ms_per_cycle, clock_spread = clock_of(design, fitted, synthesis)
    if scheduled is not None and (fitted is None or CLOCK_PERIOD not in fitted.quantities):
        ms_per_cycle, clock_spread = scheduled.clock(design.clock_mhz, used.placement.slrs)
    cycles = engine * per_engine + (total - engine) * per_other + per_launch
    launch, transfer = _surroundings(design, shape, lengths, len(steps), launches_known=per_launch > 0)
    resources = tuple(_resource(name, used, design, fitted, synthesis) for name in RESOURCES)
    if scheduled is not None and scheduled.register_bits:
        resources = tuple((use, _REGISTERS + basis if use.name == "ff" else basis) for use, basis in resources)
    return Breakdown(
        cycles=PredictionInterval.around(cycles, cycle_spread),
        clock_mhz=PredictionInterval.around(1e-3 / ms_per_cycle, clock_spread.inverse),
        latency_ms=PredictionInterval.around(cycles * ms_per_cycle, combine(cycle_spread, clock_spread)),
        launch_ms=_interval(launch),
        transfer_ms=_interval(transfer),
        lane_utilisation=lanes / total,
        passes=_by_kind(steps, total),
        units=_units(steps, total, used, design),
        resources=tuple(use for use, _ in resources),
        basis={
            "cycles": f"closed form over the program of passes, {_origin(synthesis, scheduled)}{cycle_spread.basis}",
            "clock": clock_spread.basis,
            "launch": launch.basis,
            "transfer": transfer.basis,
            **{use.name: basis for use, basis in resources},
        },
    )


def _latencies(design: Design, synthesis: Synthesis | None, scheduled: ScheduledKernel | None) -> Latencies:
    if synthesis is not None:
        return synthesis.latencies(design.config)
    return DEFAULT_LATENCIES if scheduled is None else scheduled.latencies


def _origin(synthesis: Synthesis | None, scheduled: ScheduledKernel | None) -> str:
    if synthesis is not None:
        return f"loop depths and the engine's II from csynth ({synthesis.tool}); "
    return "" if scheduled is None else "loop depths and the engine's II as scheduled; "


def _surroundings(
    design: Design, shape: EncoderShape, lengths: tuple[int, ...], steps: int, *, launches_known: bool
) -> tuple[Surrounding, Surrounding]:
    """The launch's overhead, and the host's transfers: int16 hidden states of whole token groups in and out."""
    config = design.config
    moved = 2 * shape.hidden * config.tokens * sum(config.groups(length) for length in lengths)
    launch = launch_overhead(design.board)
    if launches_known:
        launch = Surrounding(None, Spread(1.0, 1.0, "in the latency: the fitted model has seen launches"))
    # Every LayerNorm is a step of its own in the breakdown, and none in the program.
    return launch, host_transfer(design.board, steps - 2 * shape.layers, moved, moved)


def _interval(found: Surrounding) -> PredictionInterval | None:
    return None if found.ms is None else PredictionInterval.around(found.ms, found.spread)


def _by_kind(steps: tuple[PassTime, ...], total: float) -> tuple[PassKindTime, ...]:
    found = []
    for kind in PASS_KINDS:
        chosen = [step for step in steps if step.name == kind or (kind == "projections" and step.name in _PROJECTIONS)]
        cycles = sum(float(step.cycles[0]) for step in chosen)
        lanes = sum(float(step.lane_cycles[0]) for step in chosen)
        found.append(PassKindTime(kind, len(chosen), cycles, cycles / total, lanes / cycles if cycles else 0.0))
    return tuple(found)


def _units(steps: tuple[PassTime, ...], total: float, used: Usage, design: Design) -> tuple[UnitUse, ...]:
    """Vectors pass through requantiser, softmax and LayerNorm at one per cycle; LayerNorm sweeps twice."""

    def vectors(*names: str) -> float:
        return sum(float(np.max(step.vectors)) for step in steps if step.name in names)

    matmuls = vectors(*_PROJECTIONS, "scores", "context", "attention_output", "ffn_in", "ffn_out")
    busy = {
        "engine_array": sum(float(step.lane_cycles[0]) for step in steps),
        "requantise": matmuls,
        "softmax": vectors("scores"),
        "layer_norm": vectors("load") + 2 * vectors("layer_norm"),
    }
    units = []
    for unit, count in used.resources.parts.items():
        taken = {name: float(np.max(getattr(count, name))) for name in RESOURCES}
        units.append(UnitUse(unit, busy[unit] / total if unit in busy else None, taken))
    return tuple(units)


def _resource(
    name: str, used: Usage, design: Design, fitted: FittedModel | None, synthesis: Synthesis | None
) -> tuple[ResourceUse, str]:
    """The count of all compute units, and what it rests on."""
    count = float(np.max(getattr(used.resources.total, name)))
    spread = RESOURCE_SPREADS[name]
    recorded, per_tile = ("bram_18k", 2) if name == "bram36" else (name, 1)
    quantity = None if fitted is None else fitted.quantities.get(recorded)
    found = None if synthesis is None else synthesis.routed(recorded)
    # Runs after routing are worth more than the design's csynth; csynth's own counts must not count twice.
    if quantity is not None and count and (found is None or quantity.saw_routed):
        count, spread = _fitted(quantity, count, spread, design)
    elif found is not None and count:
        count, spread = join(count, spread, found[0] / per_tile, found[1])
    units = design.compute_units
    return (
        ResourceUse(name, PredictionInterval.around(count * units, spread), getattr(design.board.available, name)),
        spread.basis,
    )


def _fitted(quantity: FittedQuantity, count: float, spread: Spread, design: Design) -> tuple[float, Spread]:
    """The fit's median and interval; the structure's own where that is tighter and the runs do not contradict it."""
    estimate = quantity.predict(np.array([[count]]), quantity.known_groups(design.board.name, design.digest))
    median = float(estimate.median[0])
    low, high = float(estimate.low[0]) / median, float(estimate.high[0]) / median
    basis = quantity.basis(estimate.assumed)
    if spread.high / spread.low <= high / low and not quantity.contradicts(spread):
        return count, replace(spread, basis=f"{spread.basis}; {basis} agree with it")
    return median, Spread(low, high, basis, estimate.assumed)
