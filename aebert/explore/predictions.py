"""Predicted latency and throughput of every point, and the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from aebert.design.bandwidth import MemoryRates, memory_rates
from aebert.design.board import Board
from aebert.design.board_fit import RESOURCES
from aebert.design.launch_cycles import count_cycles
from aebert.design.size_arrays import Floats, Ints
from aebert.design.workload import TileCounts, Workload
from aebert.explore.design_space import LegalKernels, Points
from aebert.models.encoder import EncoderShape

Objective = Literal["latency", "throughput", "efficiency"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

CHUNK = 1 << 15  # points at a time: the arrays of one step stay in the processor's cache
# Points that differ by less than this in every objective count as one on the front.
RESOLUTION = 0.01


@dataclass(frozen=True)
class Predictions:
    """Closed-form predictions [points], never measurements.

    ``latency_ms``: one sequence, one launch. ``sequences_per_s``: all compute units, launches filled. ``share``: of
    what the board offers, the scarcest resource. ``lane_utilisation``: of the single-sequence launch.
    """

    latency_ms: Floats
    sequences_per_s: Floats
    share: Floats
    sequences_per_s_per_kdsp: Floats
    lane_utilisation: Floats

    def score(self, objective: Objective) -> Floats:
        """Lower is better."""
        if objective == "latency":
            return self.latency_ms
        return -(self.sequences_per_s if objective == "throughput" else self.sequences_per_s_per_kdsp)


def predict(
    board: Board,
    kernels: LegalKernels,
    points: Points,
    shape: EncoderShape,
    tiles: TileCounts,
    length: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Predictions:
    """Sequences of ``length`` tokens on every point. ``track`` may show progress over the chunks."""
    memory = memory_rates(kernels.sizes.take(points.kernel), board, points.clock_mhz, points.compute_units)
    first, same = _distinct(points.kernel, memory)
    alone, filled, utilisation = (np.zeros(len(first)) for _ in range(3))
    for start in track(range(0, len(first), CHUNK)):
        part = slice(start, start + CHUNK)
        kernel, rates = points.kernel[first[part]], memory.take(first[part])
        sizes, batch = kernels.sizes.take(kernel), kernels.batch[kernel]
        single = count_cycles(sizes, Workload(shape, tiles, (length,)), memory=rates, extrapolate=True)
        alone[part], utilisation[part] = single.total, single.lane_utilisation
        full = single.total.copy()
        for sequences in np.unique(batch[batch > 1]).tolist():
            chosen = np.flatnonzero(batch == sequences)
            workload = Workload(shape, tiles, (length,) * sequences)
            full[chosen] = count_cycles(sizes.take(chosen), workload, memory=rates.take(chosen), extrapolate=True).total
        filled[part] = full
    latency = alone[same] / points.clock_mhz / 1000
    throughput = points.compute_units * kernels.batch[points.kernel] * points.clock_mhz * 1e6 / filled[same]
    available = np.array([getattr(board.available, name) for name in RESOURCES], np.float64)[:, None]
    share = np.max(np.where(points.used > 0, points.used / np.maximum(available, 1), 0), axis=0)
    efficiency = throughput / (points.used[RESOURCES.index("dsp")] / 1000)
    return Predictions(latency, throughput, share, efficiency, utilisation[same])


def _distinct(kernel: Ints, memory: MemoryRates) -> tuple[Ints, Ints]:
    """Points that differ in kernel or memory only by their clock take the same cycles: the first point of each kind
    [kinds], and every point's kind [points]."""
    rows = np.stack([kernel.astype(np.float64), *(getattr(memory, field.name) for field in fields(memory))], axis=1)
    # Neighbours are mostly of one kind: they are told apart first, since sorting is what takes long.
    begins = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    starts = np.flatnonzero(begins)
    _, first, which = np.unique(rows[starts], axis=0, return_index=True, return_inverse=True)
    same: Ints = which.reshape(-1)[np.cumsum(begins) - 1]
    return starts[first], same


def pareto_front(predictions: Predictions) -> Ints:
    """Indices of the points that no other beats in latency, throughput and share of the board, by rising latency."""
    costs = np.stack([predictions.latency_ms, 1 / predictions.sequences_per_s, predictions.share], axis=1)
    steps = np.rint(np.log(costs) / np.log1p(RESOLUTION)).astype(np.int64)
    steps -= steps.min(axis=0)
    # One number per cell, to sort by.
    cell = np.ravel_multi_index(tuple(steps.T), tuple(steps.max(axis=0) + 1))
    cells, first = np.unique(cell, return_index=True)
    found = np.flatnonzero(np.isin(cell, cells[non_dominated(steps[first])]))
    # The best of each cell comes first, so that np.unique keeps it.
    found = found[np.lexsort((costs[found, 2], costs[found, 1], costs[found, 0]))]
    front = found[np.unique(cell[found], return_index=True)[1]]
    by_latency: Ints = front[np.argsort(costs[front, 0], kind="stable")]
    return by_latency


def non_dominated(costs: Ints) -> Ints:
    """Indices of the rows of ``costs`` [points, objectives], all distinct, that no other row beats or equals."""
    left = np.argsort(costs.sum(axis=1), kind="stable")
    front = []
    while len(left):
        # The smallest sum left is dominated by nothing that is left, and by nothing that went before.
        best = left[0]
        front.append(best)
        left = left[(costs[left] < costs[best]).any(axis=1)]
    return np.array(front, np.int64)
