"""One launch on one design, taken apart: cycles by kind of pass, work and resources by unit, what the board offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from aebert.cost_model.calibrated_model import CalibratedModel
from aebert.cost_model.predictor import clock_of, cycle_coefficients, launch_kind
from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.surroundings import Surrounding, host_transfer, launch_overhead
from aebert.cost_model.uncertainty import RESOURCES as RESOURCE_SPREADS
from aebert.design.cycles import time_passes
from aebert.design.design import Design
from aebert.design.fit import RESOURCES, Usage, check_fit
from aebert.design.launch_clock import PassTime
from aebert.design.sizes import Sizes
from aebert.design.workload import TileCounts, Workload
from aebert.encoder import EncoderShape

_PROJECTIONS = ("query", "key", "value")
PASS_KINDS = (
    "load", "projections", "scores", "context", "attention_output", "ffn_in", "ffn_out", "layer_norm", "store",
)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """``low`` to ``high`` hold the true value nine times out of ten."""

    mean: float
    low: float
    high: float

    @classmethod
    def around(cls, mean: float, spread: Spread) -> Interval:
        return cls(mean, mean * spread.low, mean * spread.high)


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
    used: Interval
    available: int


@dataclass(frozen=True)
class Breakdown:
    """``latency_ms`` is the kernel's. What comes on top of it is None where no run says it, and for the launch where a
    calibrated model has it in ``latency_ms`` already. ``basis``: what each figure rests on."""

    cycles: Interval
    clock_mhz: Interval
    latency_ms: Interval
    launch_ms: Interval | None
    transfer_ms: Interval | None
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
    calibrated: CalibratedModel | None = None,
) -> Breakdown:
    """One launch of sequences of ``lengths`` on one compute unit. Raises AebertError where the design does not fit."""
    used = check_fit(design.config, design.board, design.compute_units)
    memory = launch_kind(design, shape, lengths).memory
    steps = time_passes(Sizes.of(design.config), Workload(shape, tiles, lengths), memory=memory)
    total = sum(float(step.cycles[0]) for step in steps)
    engine = sum(float(step.lane_cycles[0]) for step in steps)

    per_engine, per_other, per_launch, cycle_spread = cycle_coefficients(design, calibrated)
    ms_per_cycle, clock_spread = clock_of(design, calibrated)
    cycles = engine * per_engine + (total - engine) * per_other + per_launch
    launch, transfer = _surroundings(design, shape, lengths, len(steps), launches_known=per_launch > 0)
    resources = tuple(_resource(name, used, design, calibrated) for name in RESOURCES)
    return Breakdown(
        cycles=Interval.around(cycles, cycle_spread),
        clock_mhz=Interval.around(1e-3 / ms_per_cycle, clock_spread.inverse),
        latency_ms=Interval.around(cycles * ms_per_cycle, combine(cycle_spread, clock_spread)),
        launch_ms=_interval(launch),
        transfer_ms=_interval(transfer),
        lane_utilisation=engine / total,
        passes=_by_kind(steps, total),
        units=_units(steps, total, used, design),
        resources=tuple(use for use, _ in resources),
        basis={
            "cycles": f"closed form over the program of passes; {cycle_spread.basis}",
            "clock": clock_spread.basis,
            "launch": launch.basis,
            "transfer": transfer.basis,
            **{use.name: basis for use, basis in resources},
        },
    )


def _surroundings(
    design: Design, shape: EncoderShape, lengths: tuple[int, ...], steps: int, *, launches_known: bool
) -> tuple[Surrounding, Surrounding]:
    """The launch's overhead, and the host's transfers: int16 hidden states of whole token groups in and out."""
    config = design.config
    moved = 2 * shape.hidden * config.tokens * sum(config.groups(length) for length in lengths)
    launch = launch_overhead(design.board)
    if launches_known:
        launch = Surrounding(None, Spread(1.0, 1.0, "in the latency: the calibrated model has seen launches"))
    # Every LayerNorm is a step of its own in the breakdown, and none in the program.
    return launch, host_transfer(design.board, steps - 2 * shape.layers, moved, moved)


def _interval(found: Surrounding) -> Interval | None:
    return None if found.ms is None else Interval.around(found.ms, found.spread)


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
    for field in fields(used.resources):
        count = getattr(used.resources, field.name)
        taken = {name: float(np.max(getattr(count, name))) for name in RESOURCES}
        share = busy[field.name] / total if field.name in busy else None
        units.append(UnitUse(field.name, share, taken))
    return tuple(units)


def _resource(name: str, used: Usage, design: Design, calibrated: CalibratedModel | None) -> tuple[ResourceUse, str]:
    """The count of all compute units, and what it rests on."""
    count = float(np.max(getattr(used.resources.total, name)))
    spread = RESOURCE_SPREADS[name]
    quantity = None if calibrated is None else calibrated.quantities.get("bram_18k" if name == "bram36" else name)
    if quantity is not None and count:
        groups = {"board": (design.board.name,), "design": (design.digest,)}
        estimate = quantity.predict(np.array([[count]]), groups)
        median = float(estimate.median[0])
        low, high = float(estimate.low[0]) / median, float(estimate.high[0]) / median
        spread = Spread(low, high, f"calibrated on {len(quantity.held_out)} runs of {quantity.designs} designs")
        count = median
    units = design.compute_units
    return (
        ResourceUse(name, Interval.around(count * units, spread), getattr(design.board.available, name)),
        spread.basis,
    )
