"""What the closed form needs to predict a run, kept with the run so that a better closed form can use it too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from aebert.design.hardware_config import HardwareConfig
from aebert.design.pipeline_latencies import Latencies
from aebert.design.size_arrays import Ints, Sizes
from aebert.design.workload import TileCounts, Workload
from aebert.models.encoder import EncoderShape
from aebert.support.checked_files import parse_json


@dataclass(frozen=True)
class LaunchShape:
    """Sequences of ``lengths`` tokens through an encoder of ``shape``; ``tiles`` [layers][MATRIX_NAMES] as packed,
    ``heads`` [layers] that have passes (all, where None)."""

    shape: EncoderShape
    lengths: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...]
    heads: tuple[int, ...] | None = None

    def workload(self) -> Workload:
        counts = np.array(self.tiles, np.int64)[:, :, None]

        def tiles_on(sizes: Sizes) -> Ints:
            return np.broadcast_to(counts, (*counts.shape[:2], len(sizes.tokens)))

        return Workload(self.shape, TileCounts(tiles_on, self.heads), self.lengths)


@dataclass(frozen=True)
class RunInputs:
    """A design, the clock it was asked to reach, and what ran on it, where something ran.

    ``latencies``: what timed emulation counted with; None of runs that had the hardware's own. ``scheduled``: of the
    design's loops as our own schedule has them, which stand for the hardware's while no synthesis is stored.
    """

    config: HardwareConfig
    compute_units: int
    clock_mhz: float
    launch: LaunchShape | None = None
    latencies: Latencies | None = None
    scheduled: Latencies | None = None


def to_text(inputs: RunInputs) -> str:
    """One line of JSON."""
    return json.dumps(asdict(inputs), sort_keys=True, separators=(",", ":"))


def from_text(text: str) -> RunInputs:
    """Raises AebertError for anything but the text of `to_text`."""
    return parse_json(RunInputs, text, "run inputs", "measure the run again")
