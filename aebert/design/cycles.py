"""Cycles of a launch in closed form, over the program of passes, for many designs at once.

The kernel's processes work through the same passes. For each pass this computes when the engine, the requantiser, the
softmax and the LayerNorm are done with it, from when they were done with the pass before and when its operands are
there: a handful of maxima and sums per pass, no cycle-by-cycle simulation. What it leaves out: stalls inside a pass
other than the slower of two rates, and contention for the engine's write port.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.design.config import PASS_BYTES
from aebert.design.sizes import Floats, Sizes
from aebert.design.workload import Workload
from aebert.encoder import MATRIX_NAMES

VECTOR_FIFO = 16.0  # depth of the streams between processes, templates/kernel/config.h.j2
SIMULATED_HEADS = 4  # with `extrapolate`, the following heads repeat the last of these
SIMULATED_LAYERS = 2


@dataclass(frozen=True)
class Latencies:
    """Cycles from an iteration's start to its end, per pipelined loop, and of a memory read.

    Assumptions at 300 MHz, from the operator latencies in Vitis HLS reports (a wide multiplication 4 to 5, a divider
    one per bit and 4, a table 2, an addition 1): docs/design_space.md.
    """

    engine: float = 16.0
    requantise: float = 20.0
    collect: float = 4.0
    exponentials: float = 8.0
    divider: float = 36.0
    add: float = 6.0
    scales: float = 48.0
    normalise: float = 24.0
    memory: float = 100.0


DEFAULT_LATENCIES = Latencies()


@dataclass(frozen=True)
class CycleCount:
    """Cycles [designs] of one launch, and what the multiply-accumulate lanes did in them.

    ``lane_cycles`` are the engine steps that multiply a weight tile with a token group.
    """

    total: Floats
    lane_cycles: Floats

    @property
    def lane_utilisation(self) -> Floats:
        return self.lane_cycles / self.total


@dataclass(frozen=True)
class _Clock:
    """When each process is free, when what it wrote back has arrived at the engine, and engine steps so far."""

    engine: Floats
    requantise: Floats
    softmax: Floats
    layer_norm: Floats
    reader: Floats
    lane_cycles: Floats

    def repeat(self, before: _Clock, times: int) -> _Clock:
        """After ``times`` more spans that each take what lay between ``before`` and this."""
        later = ((getattr(self, f.name), getattr(before, f.name)) for f in fields(self))
        return _Clock(*(now + times * (now - then) for now, then in later))


def count_cycles(
    sizes: Sizes,
    workload: Workload,
    *,
    cycles_per_tile: Floats | float = 1.0,
    latencies: Latencies = DEFAULT_LATENCIES,
    extrapolate: bool = False,
) -> CycleCount:
    """Cycles of one launch of ``workload`` on each design.

    ``cycles_per_tile``: at least how long the memory takes to deliver a weight tile with its indices, see
    aebert.design.bandwidth. With ``extrapolate`` only the first heads and the first two layers, with the mean of all
    layers' tiles, are walked and the rest are taken to repeat them: for exploration.
    """
    tiles = workload.tiles(sizes).astype(np.float64)
    walk = _Walk(sizes, workload, np.asarray(cycles_per_tile, np.float64), latencies, extrapolate)
    walk.load()
    if extrapolate and len(tiles) > SIMULATED_LAYERS:
        mean: Floats = tiles.mean(axis=0)
        for _ in range(SIMULATED_LAYERS - 1):
            walk.layer(mean)
        before = walk.clock
        walk.layer(mean)
        walk.clock = walk.clock.repeat(before, len(tiles) - SIMULATED_LAYERS)
    else:
        for layer in tiles:
            walk.layer(layer)
    return walk.finish()


def _ceil_divide(value: Floats | float, divisor: Floats) -> Floats:
    result: Floats = np.ceil(value / divisor)
    return result


@dataclass(frozen=True)
class _Head:
    """Scores under way: when the probabilities have arrived at the engine, and when the reciprocals are there."""

    length: int
    probabilities: Floats
    reciprocals: Floats


class _Walk:
    """Walks the passes in program order (aebert.design.program) and keeps the clock."""

    def __init__(
        self, sizes: Sizes, workload: Workload, cycles_per_tile: Floats, latencies: Latencies, extrapolate: bool
    ) -> None:
        self._shape = workload.shape
        self._lengths = workload.lengths
        self._latencies = latencies
        self._extrapolate = extrapolate
        self._cycles_per_tile = cycles_per_tile
        self._tokens = sizes.tokens.astype(np.float64)
        self._out_lanes = sizes.out_lanes.astype(np.float64)
        self._in_lanes = sizes.in_lanes.astype(np.float64)
        self._word_bytes = sizes.word_bytes.astype(np.float64)
        self._tile_fifo = sizes.tile_fifo.astype(np.float64)
        # How many results the engine can be ahead of the requantiser.
        self._sums_room: Floats = sizes.sums_fifo * self._out_lanes
        self._words_per_vector = _ceil_divide(2.0 * self._tokens, self._word_bytes)
        zero = np.zeros(len(sizes.tokens))
        self._groups: Floats = np.sum([self._groups_of(length) for length in workload.lengths], axis=0)
        self.clock = _Clock(zero, zero, zero, zero, zero, zero)

    def load(self) -> None:
        start = 2 * self._latencies.memory + PASS_BYTES / self._word_bytes
        loaded: Floats = start + self._vectors * self._words_per_vector + self._latencies.normalise
        self._advance(layer_norm=loaded)

    def finish(self) -> CycleCount:
        """The last LayerNorm's vectors are stored; the engine's last pass takes in the write-backs meanwhile."""
        stored = (self._words_per_vector - 1) * self._vectors + self._latencies.memory
        return CycleCount(np.maximum(self.clock.layer_norm, self.clock.requantise) + stored, self.clock.lane_cycles)

    @property
    def _vectors(self) -> Floats:
        """Channels x token groups of the residual stream."""
        return self._shape.hidden * self._groups

    def _advance(
        self,
        engine: Floats | None = None,
        requantise: Floats | None = None,
        softmax: Floats | None = None,
        layer_norm: Floats | None = None,
        reader: Floats | None = None,
        lane_cycles: Floats | None = None,
    ) -> None:
        now = self.clock
        self.clock = _Clock(
            now.engine if engine is None else engine,
            now.requantise if requantise is None else requantise,
            now.softmax if softmax is None else softmax,
            now.layer_norm if layer_norm is None else layer_norm,
            now.reader if reader is None else reader,
            now.lane_cycles if lane_cycles is None else lane_cycles,
        )

    def layer(self, tiles: Floats) -> None:
        """``tiles`` [matrices, designs]."""
        of = dict(zip(MATRIX_NAMES, tiles, strict=True))
        hidden, ffn = self._shape.hidden, self._shape.ffn
        normalised = self.clock.layer_norm
        for name in ("query", "key", "value"):
            self._from_memory(of[name], hidden, normalised)
        self._attention()
        self._residual(of["attention_output"])
        self._from_memory(of["ffn_in"], ffn, self.clock.layer_norm)
        self._residual(of["ffn_out"])

    def _from_memory(
        self, tiles: Floats, outputs: int, ready: Floats, *, held_back: Floats | float = -np.inf
    ) -> Floats:
        """A pass over a weight matrix. The reader runs ahead of the engine by what the FIFO of tiles holds."""
        start = np.maximum(self.clock.engine, ready)
        waiting = np.minimum(
            np.maximum(start - self.clock.reader, 0.0) / self._cycles_per_tile, np.minimum(self._tile_fifo, tiles)
        )
        fetched = start + (tiles - waiting) * self._cycles_per_tile
        done = self._matmul(
            tiles * self._groups, outputs * self._groups, self._groups, ready, fetched=fetched, held_back=held_back
        )
        self._advance(reader=np.maximum(fetched, self.clock.engine - self._tile_fifo * self._groups))
        return done

    def _matmul(
        self,
        steps: Floats,
        vectors: Floats,
        groups: Floats,
        ready: Floats,
        *,
        fetched: Floats | float = -np.inf,
        drain_from: Floats | float = 0.0,
        held_back: Floats | float = -np.inf,
    ) -> Floats:
        """One pass through engine and requantiser; returns when the latter is done.

        ``steps`` engine iterations, the last not before its tile is ``fetched``, yield ``vectors`` results, which the
        requantiser takes at one per cycle, not before ``drain_from`` and no sooner done than ``held_back`` (who takes
        its results is that late).
        """
        latencies, out_lanes = self._latencies, self._out_lanes
        row_groups = vectors / (out_lanes * groups)
        start = np.maximum(self.clock.engine, ready) + 1.0
        first = start + (steps / row_groups - groups + 1.0) + latencies.engine
        drain = np.maximum(np.maximum(first, self.clock.requantise), drain_from)
        taken = np.maximum(drain + vectors, held_back)
        end = np.maximum(np.maximum(start + steps, fetched), taken - self._sums_room)
        last_results = out_lanes * groups - groups + out_lanes
        drained = np.maximum(taken, end + last_results) + latencies.requantise
        self._advance(engine=end + latencies.engine, requantise=drained, lane_cycles=self.clock.lane_cycles + steps)
        return drained

    def _attention(self) -> None:
        """Scores run one head ahead of the context."""
        projected = self.clock.requantise
        turns = [length for length in self._lengths for _ in range(self._shape.heads)]
        walked = min(SIMULATED_HEADS, len(turns)) if self._extrapolate and len(set(turns)) == 1 else len(turns)
        waiting: _Head | None = None
        marks = [self.clock]
        for length in turns[:walked]:
            head = self._scores(length, projected)
            if waiting is not None:
                self._context(waiting)
            waiting = head
            marks.append(self.clock)
        assert waiting is not None
        more = len(turns) - walked
        if more:
            longer = more * (marks[-1].softmax - marks[-2].softmax)
            self.clock = self.clock.repeat(marks[-2], more)
            waiting = _Head(waiting.length, waiting.probabilities + longer, waiting.reciprocals + longer)
        self._context(waiting)

    def _scores(self, length: int, projected: Floats) -> _Head:
        latencies, free = self._latencies, self.clock.softmax
        groups = self._groups_of(length)
        key_groups = _ceil_divide(length, self._out_lanes)
        vectors = key_groups * self._out_lanes * groups
        steps = key_groups * (self._shape.head_size / self._in_lanes) * groups
        scored = self._matmul(steps, vectors, groups, projected, held_back=free + vectors - VECTOR_FIFO)
        collected = np.maximum(scored, free + vectors) + latencies.collect
        padded = self._in_lanes * _ceil_divide(length, self._in_lanes)
        probabilities = collected + padded * groups + latencies.exponentials
        reciprocals = probabilities + groups * (self._tokens + latencies.divider)
        self._advance(softmax=reciprocals)
        return _Head(length, probabilities, reciprocals)

    def _context(self, head: _Head) -> None:
        size = self._shape.head_size
        groups = self._groups_of(head.length)
        steps = size / self._out_lanes * _ceil_divide(head.length, self._in_lanes) * groups
        self._matmul(steps, size * groups, groups, head.probabilities, drain_from=head.reciprocals)

    def _groups_of(self, length: int) -> Floats:
        return _ceil_divide(length, self._tokens)

    def _residual(self, tiles: Floats) -> None:
        latencies, free = self._latencies, self.clock.layer_norm
        vectors = self._vectors
        drained = self._from_memory(
            tiles, self._shape.hidden, self.clock.requantise, held_back=free + vectors - VECTOR_FIFO
        )
        added = np.maximum(drained, free + vectors) + latencies.add
        scaled = added + self._groups * (self._tokens + latencies.scales)
        self._advance(layer_norm=scaled + vectors + latencies.normalise)
