"""Cycles of a launch in closed form, over the program of passes, for many designs at once.

The kernel's processes work through the same passes. For each pass this computes when the engine, the requantiser, the
softmax and the LayerNorm are done with it, from when they were done with the pass before and when its operands are
there (aebert.design.pass_walk): maxima and sums per pass, no cycle-by-cycle simulation. What it leaves out: stalls
inside a pass other than the slowest of several rates.
"""

from __future__ import annotations

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.launch_clock import CycleCount, PassTime
from aebert.design.pass_walk import Walk
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.design.size_arrays import Floats, Sizes
from aebert.design.workload import Workload

SIMULATED_LAYERS = 2


def count_cycles(
    sizes: Sizes,
    workload: Workload,
    *,
    memory: MemoryRates | None = None,
    latencies: Latencies = DEFAULT_LATENCIES,
    extrapolate: bool = False,
) -> CycleCount:
    """Cycles of one launch of ``workload`` on each design.

    ``memory``: full speed where it is not given. With ``extrapolate`` only the first heads and two layers, with
    the mean of all layers' tiles, are walked and the rest are taken to repeat them: for exploration. Layers that keep
    as many heads are taken together.
    """
    tiles = workload.tiles(sizes).astype(np.float64)
    walk = Walk(sizes, workload, memory, latencies, extrapolate)
    walk.load()
    if extrapolate:
        of_heads = np.array(workload.heads)
        for heads in sorted(set(workload.heads), reverse=True):
            _repeat_layer(walk, tiles[of_heads == heads], heads)
    else:
        for layer, heads in zip(tiles, workload.heads, strict=True):
            walk.layer(layer, heads)
    return walk.finish()


def _repeat_layer(walk: Walk, tiles: Floats, heads: int) -> None:
    """As many layers as ``tiles`` [layers, matrices, designs], all with the mean of them."""
    mean: Floats = tiles.mean(axis=0)
    if len(tiles) <= SIMULATED_LAYERS:
        for layer in tiles:
            walk.layer(layer, heads)
        return
    for _ in range(SIMULATED_LAYERS - 1):
        walk.layer(mean, heads)
    before = walk.clock
    walk.layer(mean, heads)
    walk.clock = walk.clock.repeat(before, len(tiles) - SIMULATED_LAYERS)


def time_passes(
    sizes: Sizes,
    workload: Workload,
    *,
    memory: MemoryRates | None = None,
    latencies: Latencies = DEFAULT_LATENCIES,
) -> tuple[PassTime, ...]:
    """Where the cycles of `count_cycles` go, pass by pass in program order; their sum is its total."""
    walk = Walk(sizes, workload, memory, latencies, extrapolate=False)
    walk.passes = []
    walk.load()
    for layer, heads in zip(workload.tiles(sizes).astype(np.float64), workload.heads, strict=True):
        walk.layer(layer, heads)
    walk.finish()
    return tuple(walk.passes)
