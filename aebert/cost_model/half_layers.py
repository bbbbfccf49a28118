"""The closed form (aebert.design.launch_cycles) for very many subnets on one design.

A LayerNorm lets nothing of the next pass start before it, so the cycles of a launch are a sum over half layers: query
to the first LayerNorm, FFN to the second. Those of a half layer are maxima and sums of terms linear in its matrices'
tiles: a convex, piecewise linear function, that is, the maximum of a few planes. The planes are tangents of the closed
form itself, found by Kelley's cutting-plane method (1960); what the closed form has that is not convex is left over as
`HalfLayers.error`, measured at tile counts that the planes have not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.head_places import row_groups
from aebert.design.launch_clock import CycleCount
from aebert.design.launch_cycles import count_cycles, time_passes
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.design.workload import Workload, dense_tiles
from aebert.models.encoder import MATRIX_NAMES, EncoderShape

ATTENTION, FFN = slice(0, 4), slice(4, 6)  # of MATRIX_NAMES
_ATTENTION_PASSES = ("query", "key", "value", "scores", "context", "attention_output")
_PROBES = 384
_MOST_PLANES = 16
_TOLERANCE = 2e-5  # of a half layer's cycles
_STEP = 0.25  # tiles, for slopes


@dataclass(frozen=True)
class Planes:
    """``max over planes of slopes [planes, matrices] x tiles [matrices, ...] + offsets [planes]``."""

    slopes: Floats
    offsets: Floats

    def __call__(self, tiles: Floats) -> Floats:
        """``tiles`` [matrices, points]."""
        values: Floats = self.slopes @ tiles
        values += self.offsets[:, None]
        largest: Floats = np.maximum.reduce(values, axis=0)
        return largest


@dataclass(frozen=True)
class HalfLayers:
    """Cycles of launches of one kind (design, encoder shape, sequence lengths, memory) as a function of the tiles.

    ``rest``: cycles of loading, storing and of what the first layer need not wait for. ``error``: the largest deviation
    from the closed form that was found at random tile counts, relative. ``groups``: token groups that each tile meets;
    ``steps``: of the engine in the attention of a layer, whose weights are keys and values; ``interval``: its II.
    """

    attention: Planes
    ffn: Planes
    rest: float
    error: float
    groups: int
    steps: float
    interval: float = 1.0

    def engine_cycles(self, tiles: Floats) -> Floats:
        """Of those of `cycles`, the ones of the engine's steps [candidates]."""
        flat = tiles.reshape(len(tiles), -1)
        cycles: Floats = flat @ np.full(flat.shape[1], self.interval * self.groups)
        cycles += self.interval * self.steps * tiles.shape[1]
        return cycles

    def cycles(self, tiles: Floats) -> Floats:
        """Cycles [candidates] of encoders with ``tiles`` [candidates, layers, matrices], ordered as MATRIX_NAMES."""
        candidates, layers, matrices = tiles.shape
        flat = tiles.reshape(-1, matrices).T
        halves = self.attention(flat[ATTENTION])
        halves += self.ffn(flat[FFN])
        total: Floats = halves.reshape(candidates, layers) @ np.ones(layers)
        total += self.rest
        return total


@dataclass(frozen=True)
class LaunchKind:
    """What all launches have in common: one design (``sizes``, ``memory`` of one), an encoder's shape, the lengths of
    the sequences."""

    sizes: Sizes
    shape: EncoderShape
    lengths: tuple[int, ...]
    memory: MemoryRates
    latencies: Latencies = DEFAULT_LATENCIES

    def count(self, tiles: Floats | Ints) -> CycleCount:
        """The closed form's own cycles [candidates], for ``tiles`` [candidates, layers, matrices]."""
        return count_cycles(*self._launches(tiles), memory=self.memory, latencies=self.latencies)

    def second_layer(self, tiles: Floats) -> tuple[Floats, Floats]:
        """Cycles [candidates] of the two halves of the second layer."""
        attention, ffn = np.zeros(len(tiles)), np.zeros(len(tiles))
        half = attention
        for step in time_passes(*self._launches(tiles), memory=self.memory, latencies=self.latencies):
            if step.layer == 1:
                if step.name != "layer_norm":
                    half = attention if step.name in _ATTENTION_PASSES else ffn
                half += step.cycles
        return attention, ffn

    def _launches(self, tiles: Floats | Ints) -> tuple[Sizes, Workload]:
        counts: Floats = np.moveaxis(np.asarray(tiles, np.float64), 0, -1)
        shape = replace(self.shape, layers=len(counts))
        return self.sizes.take(np.zeros(len(tiles), np.int64)), Workload(shape, lambda _: counts, self.lengths)

    @property
    def tile_limits(self) -> tuple[Floats, Floats]:
        """Fewest and most tiles [matrices] of each matrix: a row group has at least one."""
        lanes = self.sizes.out_lanes, self.sizes.in_lanes
        least = [sum(row_groups(self.shape, name, *lanes)) for name in MATRIX_NAMES]
        most = [dense_tiles(self.shape, name, self.sizes) for name in MATRIX_NAMES]
        return np.array(least, np.float64)[:, 0], np.array(most, np.float64)[:, 0]


def half_layers(kind: LaunchKind) -> HalfLayers:
    """Taken from the closed form at random tile counts."""
    random = np.random.default_rng(0)
    least, most = np.log(kind.tile_limits)

    def draw(layers: int) -> Floats:
        # Evenly in the logarithm: the kinks lie at few tiles, where results leave more slowly than tiles arrive.
        drawn: Floats = np.exp(random.uniform(least, most, (_PROBES, layers, len(MATRIX_NAMES))))
        return drawn

    probes = draw(2)
    halves = kind.second_layer(probes)
    slopes = _slopes(kind, probes, halves)
    planes = [
        _cut(probes[:, 1, matrices], cycles, steep)
        for matrices, cycles, steep in zip((ATTENTION, FFN), halves, slopes, strict=True)
    ]
    groups = sum(-(-length // int(kind.sizes.tokens[0])) for length in kind.lengths)
    found = HalfLayers(planes[0], planes[1], 0.0, 0.0, groups, 0.0)
    # At four layers and tile counts of their own: what the sum over half layers leaves out, and by how much it errs.
    fresh = draw(4)
    walked = kind.count(fresh)
    rests = walked.total - found.cycles(fresh)
    rest = float((rests.min() + rests.max()) / 2)
    error = float(np.max(np.abs(rests - rest) / walked.total))
    steps = float((walked.lane_cycles - found.engine_cycles(fresh))[0]) / fresh.shape[1]
    return replace(found, rest=rest, error=error, steps=steps, interval=kind.latencies.engine_interval)


def _slopes(kind: LaunchKind, probes: Floats, halves: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Derivatives [probes, matrices] of either half of the second layer by the tiles of its own matrices."""
    count, matrices = len(probes), len(MATRIX_NAMES)
    moved = np.repeat(probes[None], matrices, axis=0)
    for matrix in range(matrices):
        moved[matrix, :, 1, matrix] += _STEP
    attention, ffn = (cycles.reshape(matrices, count) for cycles in kind.second_layer(moved.reshape(-1, 2, matrices)))
    return (attention[ATTENTION] - halves[0]).T / _STEP, (ffn[FFN] - halves[1]).T / _STEP


def _cut(points: Floats, values: Floats, slopes: Floats) -> Planes:
    """The tangents at ``points`` [points, matrices] that the maximum needs; the worst point's is added till all fit."""
    offsets = values - (slopes * points).sum(axis=1)
    chosen = [int(np.argmax(values))]
    fitted = np.full(len(values), -np.inf)
    while True:
        fitted = np.maximum(fitted, points @ slopes[chosen[-1]] + offsets[chosen[-1]])
        missing = (values - fitted) / values
        worst = int(np.argmax(missing))
        if missing[worst] <= _TOLERANCE or len(chosen) == _MOST_PLANES:
            return Planes(slopes[chosen], offsets[chosen])
        chosen.append(worst)
