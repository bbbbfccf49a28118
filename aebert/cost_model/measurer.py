"""What a hardware-in-the-loop search asks of devices. ``host`` implements it and the CLI puts the two together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aebert.pruning.candidate import Candidate
from aebert.records.source_kind import SourceKind


@dataclass(frozen=True)
class Finalist:
    """A candidate to measure; ``directory`` is its subnet directory (``aebert.pruning.subnet.read_subnet``)."""

    candidate: Candidate
    directory: Path


@dataclass(frozen=True)
class MeasuredCandidate:
    """A latency that a device gave, milliseconds of one launch of one sequence.

    ``device`` as it was named to the search (``emulator``, ``pynq:0``, ``remote:HOST``); ``design``: digest of the
    design that ran.
    """

    candidate: Candidate
    latency_ms: float
    source: SourceKind
    device: str
    design: str


class Measurer(Protocol):
    """Devices that run subnets and say how long they took."""

    def measure(self, finalists: Sequence[Finalist]) -> list[MeasuredCandidate]:
        """Measure each finalist once, on whichever device is free, and file the run records.

        A finalist that no device could run is left out, after a note to the user: a broken board must not end a search.
        Raises AebertError only when no device can be used at all.
        """
        ...
