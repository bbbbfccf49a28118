"""The exploration from end to end: enumerate, keep what fits, predict, find the front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from aebert.design.board import Board
from aebert.design.board_fit import RESOURCES
from aebert.design.default_sizes import default_config
from aebert.design.hardware_config import HardwareConfig
from aebert.design.size_arrays import Ints
from aebert.design.workload import TileCounts
from aebert.explore.design_space import DEFAULT_AXES, Axes, LegalKernels, Points, enumerate_kernels, enumerate_points
from aebert.explore.predictions import Objective, Predictions, pareto_front, predict
from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class ExploredDesign:
    """One point with its predictions; ``shares`` of what the board offers, by resource."""

    config: HardwareConfig
    batch: int
    compute_units: int
    slrs: int
    clock_mhz: float
    latency_ms: float
    sequences_per_s: float
    sequences_per_s_per_kdsp: float
    lane_utilisation: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Exploration:
    """Everything that fits, its predictions and the front (indices, by rising latency)."""

    board: Board
    kernels: LegalKernels
    points: Points
    predictions: Predictions
    front: Ints

    def candidate(self, index: int) -> ExploredDesign:
        """The point of that index."""
        points, predictions = self.points, self.predictions
        kernel = int(points.kernel[index])
        available = [getattr(self.board.available, name) for name in RESOURCES]
        used = points.used[:, index].tolist()
        return ExploredDesign(
            config=self.kernels.configs[kernel],
            batch=int(self.kernels.batch[kernel]),
            compute_units=int(points.compute_units[index]),
            slrs=int(points.slrs[index]),
            clock_mhz=float(points.clock_mhz[index]),
            latency_ms=float(predictions.latency_ms[index]),
            sequences_per_s=float(predictions.sequences_per_s[index]),
            sequences_per_s_per_kdsp=float(predictions.sequences_per_s_per_kdsp[index]),
            lane_utilisation=float(predictions.lane_utilisation[index]),
            shares=tuple(taken / offered if offered else 0.0 for taken, offered in zip(used, available, strict=True)),
        )

    def ranked(self, objective: Objective) -> list[ExploredDesign]:
        """The front, best first."""
        order = np.argsort(self.predictions.score(objective)[self.front], kind="stable")
        return [self.candidate(index) for index in self.front[order].tolist()]

    def best(self, objective: Objective) -> ExploredDesign:
        """The best of all points; of those that are equally good the one that takes least of the board."""
        score = self.predictions.score(objective)
        close = score <= score.min() + 1e-3 * abs(score.min())
        return self.candidate(int(np.argmin(np.where(close, self.predictions.share, np.inf))))


def explore(
    board: Board,
    shape: EncoderShape,
    tiles: TileCounts,
    *,
    length: int,
    max_length: int,
    vector_lanes: int = 64,
    axes: Axes = DEFAULT_AXES,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Exploration:
    """Designs for encoders of ``shape`` up to ``max_length`` tokens, judged on sequences of ``length``.

    ``vector_lanes``: outputs that the pattern zeroes together. Raises AebertError when nothing fits, naming the
    resource that overflows.
    """
    if not 1 <= length <= max_length:
        raise AebertError(f"length = {length}: must lie in 1..{max_length}, the longest sequence of the design")
    kernels = enumerate_kernels(board, shape, max_length, vector_lanes=vector_lanes, axes=axes)
    points = enumerate_points(board, kernels, axes)
    if not len(points.kernel):
        default_config(board, shape, vector_lanes=vector_lanes, max_length=max_length)
        raise AebertError(f"board {board.name}: no point fits; examine batches of one sequence")
    predictions = predict(board, kernels, points, shape, tiles, length, track)
    return Exploration(board, kernels, points, predictions, pareto_front(predictions))
