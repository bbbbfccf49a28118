"""Cycles of a launch in closed form, over the program of passes, for many designs at once.

The kernel's processes work through the same passes. For each pass this computes when the engine, the requantiser, the
softmax and the LayerNorm are done with it, from when they were done with the pass before and when its operands are
there: a handful of maxima and sums per pass, no cycle-by-cycle simulation. What it leaves out: stalls inside a pass
other than the slower of two rates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from aebert.design.config import HELD_SCORES_SLACK, PASS_BYTES, PROBABILITY_SLOTS
from aebert.design.sizes import Floats, Sizes
from aebert.design.workload import Workload
from aebert.encoder import MATRIX_NAMES

VECTOR_FIFO = 16.0  # depth of the streams between processes, templates/kernel/config.h.j2
SIMULATED_HEADS = PROBABILITY_SLOTS + 2  # with `extrapolate`, the following heads repeat the last of these
SIMULATED_LAYERS = 2


@dataclass(frozen=True)
class Latencies:
    """Depth in cycles of the kernel's pipelined loops, of one round of a process's pass loop, and of a memory read.

    The defaults are what aebert.timing.schedules estimates at 300 MHz from the operators on each loop's longest path;
    ``engine`` is without the multipliers' cascade and the adder tree, whose depths follow from the lanes.
    """

    engine: float = 15.0
    requantise: float = 31.0
    row_maximum: float = 4.0
    exponentials: float = 8.0
    quotients: float = 38.0
    add: float = 12.0
    scales: float = 38.0
    normalise: float = 31.0
    settle: float = 8.0
    pass_control: float = 5.0
    parameters: float = 6.0
    memory: float = 64.0


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
    exponentials: Floats
    quotients: Floats
    layer_norm: Floats
    reader: Floats
    parameters: Floats
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
    """Scores under way: when the probabilities have arrived at the engine, and when the reciprocals of their sums."""

    length: int
    probabilities: Floats
    quotients: Floats


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
        # How many scores the softmax holds, and how many results the engine can be ahead of the requantiser.
        self._held_scores: Floats = sizes.length_groups * sizes.max_length + float(HELD_SCORES_SLACK)
        self._parameter_fifo = sizes.parameter_fifo.astype(np.float64)
        self._sums_room: Floats = sizes.sums_fifo * self._out_lanes
        self._engine_depth: Floats = latencies.engine + sizes.chain - 1.0 + np.log2(sizes.in_lanes / sizes.chain)
        self._words_per_vector = _ceil_divide(2.0 * self._tokens, self._word_bytes)
        zero = np.zeros(len(sizes.tokens))
        self._groups: Floats = np.sum([self._groups_of(length) for length in workload.lengths], axis=0)
        self.clock = _Clock(zero, zero, zero, zero, zero, zero, zero, zero)

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
        exponentials: Floats | None = None,
        quotients: Floats | None = None,
        layer_norm: Floats | None = None,
        reader: Floats | None = None,
        parameters: Floats | None = None,
        lane_cycles: Floats | None = None,
    ) -> None:
        now = self.clock
        self.clock = _Clock(
            now.engine if engine is None else engine,
            now.requantise if requantise is None else requantise,
            now.exponentials if exponentials is None else exponentials,
            now.quotients if quotients is None else quotients,
            now.layer_norm if layer_norm is None else layer_norm,
            now.reader if reader is None else reader,
            now.parameters if parameters is None else parameters,
            now.lane_cycles if lane_cycles is None else lane_cycles,
        )

    def layer(self, tiles: Floats) -> None:
        """``tiles`` [matrices, designs]."""
        of = dict(zip(MATRIX_NAMES, tiles, strict=True))
        hidden, ffn = self._shape.hidden, self._shape.ffn
        normalised = self.clock.layer_norm
        keys_projected, projected = [
            self._from_memory(of[name], hidden, normalised) for name in ("query", "key", "value")
        ][1:]
        self._attention(keys_projected, projected)
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
            tiles * self._groups,
            outputs * self._groups,
            self._groups,
            ready,
            channels=outputs,
            fetched=fetched,
            held_back=held_back,
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
        channels: float = 0.0,
        fetched: Floats | float = -np.inf,
        drain_from: Floats | float = 0.0,
        held_back: Floats | float = -np.inf,
    ) -> Floats:
        """One pass through engine and requantiser; returns when the latter is done.

        ``steps`` engine iterations, the last not before its tile is ``fetched``, yield ``vectors`` results, which the
        requantiser takes at one per cycle, not before ``drain_from`` and no sooner done than ``held_back`` (who takes
        its results is that late) or the parameters of its ``channels`` are there.
        """
        latencies, out_lanes = self._latencies, self._out_lanes
        row_groups = vectors / (out_lanes * groups)
        start = np.maximum(self.clock.engine, ready + latencies.settle) + 1.0
        first = start + (steps / row_groups - groups + 1.0) + self._engine_depth
        drain = np.maximum(np.maximum(first, self.clock.requantise), drain_from)
        known = self.clock.parameters + latencies.pass_control
        if channels:
            known = known + latencies.memory + latencies.parameters + channels
        taken = np.maximum(np.maximum(drain + vectors, held_back), known)
        end = np.maximum(np.maximum(start + steps, fetched), taken - self._sums_room)
        last_results = self._engine_depth + (out_lanes - 1.0) * groups + 1.0
        done = np.maximum(taken, end + last_results)
        drained = done + latencies.requantise
        # The last parameters of the pass wait in their FIFO, the reader goes on to the next pass.
        tail = (done - drain) * np.minimum(1.0, self._parameter_fifo / max(channels, 1.0))
        self._advance(
            engine=end + self._engine_depth + latencies.pass_control,
            requantise=drained + latencies.pass_control,
            parameters=np.maximum(known, done - tail) if channels else known,
            lane_cycles=self.clock.lane_cycles + steps,
        )
        return drained

    def _attention(self, keys_projected: Floats, projected: Floats) -> None:
        """Scores run ahead of the context, as far as there are slots for probabilities."""
        turns = [length for length in self._lengths for _ in range(self._shape.heads)]
        walked = min(SIMULATED_HEADS, len(turns)) if self._extrapolate and len(set(turns)) == 1 else len(turns)
        waiting: list[_Head] = []
        marks = [self.clock]
        for length in turns[:walked]:
            follows = waiting[0] if len(waiting) + 1 == PROBABILITY_SLOTS else None
            waiting.append(self._scores(length, keys_projected, meanwhile=follows))
            if len(waiting) == PROBABILITY_SLOTS:
                self._context(waiting.pop(0), projected)
            marks.append(self.clock)
        if more := len(turns) - walked:
            # From here on every head takes as long as the one before.
            longer: Floats = more * (marks[-1].exponentials - marks[-2].exponentials)
            self.clock = self.clock.repeat(marks[-2], more)
            waiting = [
                replace(h, probabilities=h.probabilities + longer, quotients=h.quotients + longer) for h in waiting
            ]
        for head in waiting:
            self._context(head, projected)

    def _scores(self, length: int, projected: Floats, meanwhile: _Head | None) -> _Head:
        """``meanwhile``: whose context follows. It goes back to the engine beside these probabilities, and first."""
        latencies = self._latencies
        groups = self._groups_of(length)
        key_groups = _ceil_divide(length, self._out_lanes)
        vectors = key_groups * self._out_lanes * groups
        steps = key_groups * (self._shape.head_size / self._in_lanes) * groups
        # The scores of this head wait in a FIFO that those of the one before may still fill.
        held_back = self.clock.exponentials - (self._held_scores - vectors)
        scored = self._matmul(steps, vectors, groups, projected, held_back=held_back)
        maxima = scored + latencies.row_maximum + latencies.pass_control
        padded = self._in_lanes * _ceil_divide(length, self._in_lanes)
        written = padded * groups
        if meanwhile is not None:
            context = self._shape.head_size * self._groups_of(meanwhile.length)
            rate = np.minimum(context / self._context_steps(meanwhile.length), 1.0)
            written = written + np.minimum(context, written * rate / np.maximum(1.0 - rate, 1e-9))
        done: Floats = np.maximum(maxima, self.clock.exponentials) + written
        probabilities = done + latencies.exponentials
        quotients: Floats = np.maximum(probabilities, self.clock.quotients) + groups * self._tokens
        self._advance(exponentials=done, quotients=quotients)
        return _Head(length, probabilities, quotients + latencies.quotients)

    def _context(self, head: _Head, projected: Floats) -> None:
        size = self._shape.head_size
        groups = self._groups_of(head.length)
        steps = self._context_steps(head.length)
        ready = np.maximum(head.probabilities, projected)
        self._matmul(steps, size * groups, groups, ready, channels=size, drain_from=head.quotients)

    def _context_steps(self, length: int) -> Floats:
        return self._shape.head_size / self._out_lanes * _ceil_divide(length, self._in_lanes) * self._groups_of(length)

    def _groups_of(self, length: int) -> Floats:
        return _ceil_divide(length, self._tokens)

    def _residual(self, tiles: Floats) -> None:
        latencies, free = self._latencies, self.clock.layer_norm
        vectors = self._vectors
        drained = self._from_memory(
            tiles, self._shape.hidden, self.clock.requantise, held_back=free + vectors - VECTOR_FIFO
        )
        added = np.maximum(drained, free + vectors) + latencies.add
        scaled = added + self._groups * self._tokens + latencies.scales
        normalised = scaled + vectors
        waiting = np.minimum(self._parameter_fifo, self._shape.hidden) * self._groups
        self._advance(
            layer_norm=normalised + latencies.normalise + latencies.pass_control,
            parameters=np.maximum(self.clock.parameters, normalised - waiting),
        )
