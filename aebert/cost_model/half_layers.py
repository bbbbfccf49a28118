"""The closed form (aebert.design.launch_cycles) for very many subnets on one design.

A LayerNorm lets nothing of the next pass start before it, so the cycles of a launch are a sum over half layers: query
to the first LayerNorm, FFN to the second. Those of a half layer are maxima and sums of terms linear in its matrices'
tiles: a convex, piecewise linear function, that is, the maximum of a few planes. The planes are tangents of the closed
form itself, found by Kelley's cutting-plane method (1960); what the closed form has that is not convex is left over as
`HalfLayers.error`, measured at tile counts that the planes have not seen. Each number of heads that a layer may keep
has planes of its own for its first half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.head_places import PROJECTIONS, row_groups
from aebert.design.launch_clock import CycleCount
from aebert.design.launch_cycles import count_cycles, time_passes
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.design.workload import TileCounts, Workload, dense_tiles
from aebert.models.encoder import MATRIX_NAMES, EncoderShape

ATTENTION, FFN = slice(0, 4), slice(4, 6)  # of MATRIX_NAMES
_ATTENTION_PASSES = ("query", "key", "value", "scores", "context", "attention_output")
_ATTENTION_OUTPUT = MATRIX_NAMES.index("attention_output")
_PROBES = 384
_MOST_PLANES = 16
_TOLERANCE = 2e-5  # of a half layer's cycles
_STEP = 0.25  # tiles, for slopes
# Of a half layer at probes: their tiles [probes, matrices], its cycles [probes], and its slopes [probes, matrices].
_Tangents = tuple[Floats, Floats, Floats]
_MIXTURES = 8  # of layers that keep unlike numbers of heads, where the error is measured


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
    from the closed form that was found at random tile counts, relative. ``attention``: by the heads that the layer
    keeps. ``groups``: token groups that each tile meets; ``steps``: of the engine in the attention of a head, whose
    weights are keys and values; ``interval``: its II. ``heads``: of the encoder.
    """

    attention: Mapping[int, Planes]
    ffn: Planes
    rest: float
    error: float
    groups: int
    steps: float
    heads: int
    interval: float = 1.0

    def engine_cycles(self, tiles: Floats, heads: Ints | None = None) -> Floats:
        """Of those of `cycles`, the ones of the engine's steps [candidates]."""
        flat = tiles.reshape(len(tiles), -1)
        cycles: Floats = flat @ np.full(flat.shape[1], self.interval * self.groups)
        cycles += self.interval * self.steps * (self.heads * tiles.shape[1] if heads is None else heads.sum(axis=1))
        return cycles

    def cycles(self, tiles: Floats, heads: Ints | None = None) -> Floats:
        """Cycles [candidates] of encoders with ``tiles`` [candidates, layers, matrices], ordered as MATRIX_NAMES, whose
        layers keep ``heads`` [candidates, layers], or all."""
        candidates, layers, matrices = tiles.shape
        flat = tiles.reshape(-1, matrices).T
        halves = self._attention(flat[ATTENTION], heads)
        halves += self.ffn(flat[FFN])
        total: Floats = halves.reshape(candidates, layers) @ np.ones(layers)
        total += self.rest
        return total

    def _attention(self, tiles: Floats, heads: Ints | None) -> Floats:
        if heads is None:
            return self.attention[self.heads](tiles)
        cycles, kept = np.empty(tiles.shape[1]), heads.ravel()
        for count in np.unique(kept).tolist():
            chosen = np.flatnonzero(kept == count)
            cycles[chosen] = self.attention[count](tiles[:, chosen])
        return cycles


@dataclass(frozen=True)
class LaunchKind:
    """What all launches have in common: one design (``sizes``, ``memory`` of one), an encoder's shape, the lengths of
    the sequences."""

    sizes: Sizes
    shape: EncoderShape
    lengths: tuple[int, ...]
    memory: MemoryRates
    latencies: Latencies = DEFAULT_LATENCIES

    def count(self, tiles: Floats | Ints, heads: Sequence[int] | None = None) -> CycleCount:
        """The closed form's own cycles [candidates], for ``tiles`` [candidates, layers, matrices] and, of all
        candidates, ``heads`` [layers] (all, where not given)."""
        return count_cycles(*self._launches(tiles, heads), memory=self.memory, latencies=self.latencies)

    def second_layer(self, tiles: Floats, heads: int) -> tuple[Floats, Floats]:
        """Cycles [candidates] of the two halves of the second layer, where both layers keep ``heads``."""
        attention, ffn = np.zeros(len(tiles)), np.zeros(len(tiles))
        half = attention
        launches = self._launches(tiles, (heads, heads))
        for step in time_passes(*launches, memory=self.memory, latencies=self.latencies):
            if step.layer == 1:
                if step.name != "layer_norm":
                    half = attention if step.name in _ATTENTION_PASSES else ffn
                half += step.cycles
        return attention, ffn

    def _launches(self, tiles: Floats | Ints, heads: Sequence[int] | None) -> tuple[Sizes, Workload]:
        counts: Floats = np.moveaxis(np.asarray(tiles, np.float64), 0, -1)
        shape = replace(self.shape, layers=len(counts))
        held = TileCounts(lambda _: counts, None if heads is None else tuple(heads))
        return self.sizes.take(np.zeros(len(tiles), np.int64)), Workload(shape, held, self.lengths)

    def tile_limits(self, heads: int | None = None) -> tuple[Floats, Floats]:
        """Fewest and most tiles [matrices] of each matrix of a layer that keeps ``heads`` (all, where not given): a row
        group has at least one, and the attention output no more where it reads no head."""
        lanes = self.sizes.out_lanes, self.sizes.in_lanes
        share = 1.0 if heads is None else heads / self.shape.heads
        kept: Floats = np.array([share if name in PROJECTIONS else 1.0 for name in MATRIX_NAMES])
        groups = [row_groups(self.shape, name, *lanes) for name in MATRIX_NAMES]
        least: Floats = kept * np.array([filled[0] + empty[0] for filled, empty in groups])
        most: Floats = kept * np.array([dense_tiles(self.shape, name, self.sizes)[0] for name in MATRIX_NAMES])
        if heads == 0:
            most[_ATTENTION_OUTPUT] = least[_ATTENTION_OUTPUT]
        return least, most


def half_layers(kind: LaunchKind, heads: Sequence[int] | None = None) -> HalfLayers:
    """Taken from the closed form at random tile counts, for layers that keep as many heads as ``heads`` lists (all,
    where not given)."""
    random = np.random.default_rng(0)
    whole = kind.shape.heads
    counts = sorted({whole, *(heads or ())}, reverse=True)

    def draw(probes: int, kept: Sequence[int]) -> Floats:
        """[probes, layers, matrices], evenly in the logarithm: the kinks lie at few tiles, where results leave more
        slowly than tiles arrive."""
        least, most = np.array([kind.tile_limits(count) for count in kept]).swapaxes(0, 1)
        ratio = np.divide(most, least, out=np.ones_like(most), where=least > 0)
        drawn: Floats = least * ratio ** random.random((probes, *least.shape))
        return drawn

    def probed(count: int) -> tuple[_Tangents, _Tangents]:
        probes = draw(_PROBES, (count, count))
        halves = kind.second_layer(probes, count)
        first, second = _slopes(kind, probes, halves, count)
        return (probes[:, 1, ATTENTION], halves[0], first), (probes[:, 1, FFN], halves[1], second)

    tangents = {count: probed(count) for count in counts}
    attention = {count: _cut(*each) for count, (each, _) in tangents.items()}
    ffn = _cut(*tangents[whole][1])
    groups = sum(-(-length // int(kind.sizes.tokens[0])) for length in kind.lengths)
    found = HalfLayers(attention, ffn, 0.0, 0.0, groups, 0.0, whole)

    # At four layers and tile counts of their own: what the sum over half layers leaves out, and by how much it errs.
    rests, totals = [], []
    mixtures = [(whole,) * 4] if len(counts) == 1 else random.choice(counts, (_MIXTURES, 4)).tolist()
    for kept in mixtures:
        fresh = draw(_PROBES // len(mixtures), kept)
        walked = kind.count(fresh, kept).total
        totals.append(walked)
        rests.append(walked - found.cycles(fresh, np.broadcast_to(kept, fresh.shape[:2])))
    rest = float((np.min(rests) + np.max(rests)) / 2)
    one = np.ones((1, 1, len(MATRIX_NAMES)))
    return replace(
        found,
        rest=rest,
        error=float(np.max(np.abs(np.array(rests) - rest) / np.array(totals))),
        steps=float((kind.count(one, (1,)).lane_cycles - found.engine_cycles(one))[0]),
        interval=kind.latencies.engine_interval,
    )


def _slopes(kind: LaunchKind, probes: Floats, halves: tuple[Floats, Floats], heads: int) -> tuple[Floats, Floats]:
    """Derivatives [probes, matrices] of either half of the second layer by the tiles of its own matrices."""
    count, matrices = len(probes), len(MATRIX_NAMES)
    moved = np.repeat(probes[None], matrices, axis=0)
    for matrix in range(matrices):
        moved[matrix, :, 1, matrix] += _STEP
    moved_halves = kind.second_layer(moved.reshape(-1, 2, matrices), heads)
    attention, ffn = (cycles.reshape(matrices, count) for cycles in moved_halves)
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
