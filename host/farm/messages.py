"""What a farm and the process of one of its devices tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aebert.quantisation.fixed_scales import FixedScales
from host.board_process import Fault
from host.measure import Measurement


@dataclass(frozen=True)
class Plan:
    """What every device of a farm is told. ``launch_deadline_s``: None takes the kind of device's own."""

    project: Path
    scales: FixedScales
    lengths: tuple[int, ...]
    warm_up: int
    repeats: int
    launch_deadline_s: float | None = None


@dataclass(frozen=True)
class Opening:
    """The first message. ``faults`` are what an emulated device does wrong once it is open, for rehearsals."""

    plan: Plan
    device: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Result:
    """A subnet's figures, and the digest of the encoder that ran."""

    subnet_digest: str
    measurement: Measurement


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


Reply = Opened | Refused | Broken | Result
