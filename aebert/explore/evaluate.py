"""Predicted latency and throughput of every point, and the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from aebert.boards import Board
from aebert.design.bandwidth import cycles_per_tile
from aebert.design.cycles import count_cycles
from aebert.design.fit import RESOURCES
from aebert.design.sizes import Floats, Ints
from aebert.design.workload import TileCounts, Workload
from aebert.encoder import EncoderShape
from aebert.explore.space import Kernels, Points

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
    kernels: Kernels,
    points: Points,
    shape: EncoderShape,
    tiles: TileCounts,
    length: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Predictions:
    """Sequences of ``length`` tokens on every point. ``track`` may show progress over the chunks."""
    count = len(points.kernel)
    latency = np.zeros(count)
    throughput = np.zeros(count)
    utilisation = np.zeros(count)
    for start in track(range(0, count, CHUNK)):
        part = slice(start, start + CHUNK)
        kernel = points.kernel[part]
        sizes, batch = kernels.sizes.take(kernel), kernels.batch[kernel]
        clock, units = points.clock_mhz[part], points.compute_units[part]
        slowness = cycles_per_tile(sizes, board, clock, units)
        single = Workload(shape, tiles, (length,))
        alone = count_cycles(sizes, single, cycles_per_tile=slowness, extrapolate=True)
        filled = alone.total.copy()
        for sequences in np.unique(batch[batch > 1]).tolist():
            chosen = batch == sequences
            full = Workload(shape, tiles, (length,) * sequences)
            filled[chosen] = count_cycles(
                sizes.take(chosen), full, cycles_per_tile=slowness[chosen], extrapolate=True
            ).total
        latency[part] = alone.total / clock / 1000
        throughput[part] = units * batch * clock * 1e6 / filled
        utilisation[part] = alone.lane_utilisation
    available = np.array([getattr(board.available, name) for name in RESOURCES], np.float64)[:, None]
    share = np.max(np.where(points.used > 0, points.used / np.maximum(available, 1), 0), axis=0)
    efficiency = throughput / (points.used[RESOURCES.index("dsp")] / 1000)
    return Predictions(latency, throughput, share, efficiency, utilisation)


def pareto_front(predictions: Predictions) -> Ints:
    """Indices of the points that no other beats in latency, throughput and share of the board, by rising latency."""
    costs = np.stack([predictions.latency_ms, 1 / predictions.sequences_per_s, predictions.share], axis=1)
    steps = np.rint(np.log(costs) / np.log1p(RESOLUTION)).astype(np.int64)
    # The best of each cell comes first, so that np.unique keeps it.
    order = np.lexsort((costs[:, 2], costs[:, 1], costs[:, 0]))
    cells, first = np.unique(steps[order], axis=0, return_index=True)
    front = order[first[non_dominated(cells)]]
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
