"""What a farm and the process of one of its devices tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.quantisation.fixed_scales import FixedScales
from aebert.timing.loop_schedules import LoopFigures
from host.emulated.board_process import Fault
from host.measure import Measurement


@dataclass(frozen=True)
class Plan:
    """What every device of a farm is told. ``launch_deadline_s``: None takes the kind of device's own; ``recorded``:
    what a synthesis of the design made of its loops, for timed emulation."""

    project: Path
    scales: FixedScales
    lengths: tuple[int, ...]
    warm_up: int
    repeats: int
    launch_deadline_s: float | None = None
    trust_changes: bool = False
    recorded: Mapping[str, LoopFigures] | None = None


@dataclass(frozen=True)
class Opening:
    """The first message. ``faults`` are what an emulated device does wrong once it is open, for rehearsals."""

    plan: Plan
    device: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Opened:
    """The device gave the known answer. ``source``: the kind of its latencies."""


@dataclass(frozen=True)
class Refused:
    """The subnet cannot be measured on any device."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """The device cannot be used any more."""

    reason: str


Reply = Opened | Refused | Broken | Measurement
