"""Walks the passes of a launch and keeps the clock: when each process is free, and when operands have arrived."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.config import BURST_BYTES, HELD_SCORES_SLACK, OUTSTANDING_BURSTS, PARAMETER_BYTES, PASS_BYTES, PROBABILITY_SLOTS
from aebert.design.latencies import Latencies
from aebert.design.sizes import Floats, Sizes
from aebert.design.workload import Workload
from aebert.encoder import MATRIX_NAMES, MatrixName

# Depths of streams between processes, templates/kernel/config.h.j2.
VECTOR_FIFO, COUNT_FIFO, PASS_FIFO = 16.0, 32.0, 4
SIMULATED_HEADS = PROBABILITY_SLOTS + 2  # with `extrapolate`, the following heads repeat the last of these
_PROJECTIONS: tuple[MatrixName, ...] = ("query", "key", "value")


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
class PassTime:
    """Cycles [designs] of a launch that go to one pass: from when the one before let go of the engine to when it does.

    ``name`` is the matrix, "load", "scores", "context", "layer_norm" (until the operands are there that the next pass
    reads) or "store"; ``layer`` is -1 for load and store. ``vectors`` went through the unit behind the engine, one per
    cycle.
    """

    name: str
    layer: int
    cycles: Floats
    lane_cycles: Floats
    vectors: Floats


@dataclass(frozen=True)
class Clock:
    """When each process is free, when what it wrote back has arrived at the engine, and engine steps so far."""

    engine: Floats
    requantise: Floats
    exponentials: Floats
    quotients: Floats
    layer_norm: Floats
    reader: Floats
    memory: Floats
    counts: Floats
    parameters: Floats
    parameters_taken: Floats
    lane_cycles: Floats

    def repeat(self, before: Clock, times: int) -> Clock:
        """After ``times`` more spans that each take what lay between ``before`` and this."""
        later = ((getattr(self, f.name), getattr(before, f.name)) for f in fields(self))
        return Clock(*(now + times * (now - then) for now, then in later))


def _ceil_divide(value: Floats | float, divisor: Floats) -> Floats:
    result: Floats = np.ceil(value / divisor)
    return result


@dataclass(frozen=True)
class _Head:
    """Scores under way: when the probabilities have arrived at the engine, and when the reciprocals of their sums."""

    length: int
    began: Floats
    probabilities: Floats
    quotients: Floats
    passes: int


@dataclass(frozen=True)
class _Pass:
    end: Floats
    begun: Floats
    done: Floats
    vectors: Floats | None


class Walk:
    """Walks the passes in program order (aebert.design.program) and keeps the clock."""

    def __init__(
        self,
        sizes: Sizes,
        workload: Workload,
        memory: MemoryRates | None,
        latencies: Latencies,
        extrapolate: bool,
    ) -> None:
        rates = MemoryRates.full(len(sizes.tokens)) if memory is None else memory
        self._shape = workload.shape
        self._lengths = workload.lengths
        self._latencies = latencies
        self._extrapolate = extrapolate
        self._weight_cycles, self._index_cycles = rates.cycles_per_tile(sizes)
        self._cycles_per_channel = rates.cycles_per_channel(sizes)
        # Until the first word of a pass's parameters has come out of memory; its last word brings several channels.
        self._parameter_start: Floats = (
            latencies.memory + latencies.parameters + sizes.word_bytes / PARAMETER_BYTES
            - (self._cycles_per_channel - 1.0) * (sizes.word_bytes / PARAMETER_BYTES)
        )
        words = PASS_BYTES / sizes.word_bytes
        self._program_start: Floats = 2 * latencies.memory + words + np.where(words == 1, 2.0, 1.0) * (words / rates.program - words)
        self._header_counts: Floats = sizes.word_bytes / 2.0 - 1.0
        # The tiles' indices that share a word with a header's worth of counts, and on average half a word left empty.
        self._header_tiles: Floats = 1.5 * sizes.word_bytes / (sizes.in_lanes * sizes.index_bytes)
        self._tokens = sizes.tokens.astype(np.float64)
        self._out_lanes = sizes.out_lanes.astype(np.float64)
        self._in_lanes = sizes.in_lanes.astype(np.float64)
        self._word_bytes = sizes.word_bytes.astype(np.float64)
        self._tile_fifo = sizes.tile_fifo.astype(np.float64)
        # What memory sends ahead: to the FIFO, and to the port's buffer but for the burst being taken.
        self._tiles_ahead: Floats = sizes.tile_fifo + (OUTSTANDING_BURSTS - 0.5) * BURST_BYTES / np.maximum(
            sizes.tile_bytes, sizes.in_lanes * sizes.index_bytes
        )
        self._groups: Floats = np.sum([self._groups_of(length) for length in workload.lengths], axis=0)
        # How many scores the softmax holds, and how many results the engine can be ahead of the requantiser.
        self._held_scores: Floats = sizes.length_groups * sizes.max_length + float(HELD_SCORES_SLACK)
        self._parameter_fifo = sizes.parameter_fifo.astype(np.float64)
        self._sums_room: Floats = sizes.sums_fifo * self._out_lanes
        self._sums_fifo = sizes.sums_fifo.astype(np.float64)
        self._engine_depth: Floats = latencies.engine + sizes.chain - 1.0 + np.log2(sizes.in_lanes / sizes.chain)
        self._closed: Floats = self._engine_depth + latencies.pass_control + 1.0
        self._ends: list[_Pass] = []
        self._closings = self._written = self._backlog = np.full(len(sizes.tokens), -np.inf)
        # Cycles between two results when every iteration has one: as many are under way as the FIFO holds.
        self._pace = np.maximum(1.0, (self._engine_depth + latencies.credit + self._out_lanes) / self._sums_fifo)
        ahead = self._tiles_ahead * np.maximum(self._weight_cycles, self._index_cycles)
        idle = (self._tiles_ahead - self._tile_fifo) / (2.0 * OUTSTANDING_BURSTS - 1.0) * self._groups + latencies.memory
        self._delivered_ahead: Floats = np.maximum(ahead - idle, 0.0)
        # Cycles of the memory for one vector of tokens, in or out.
        self._vector_cycles = _ceil_divide(2.0 * self._tokens, self._word_bytes) / rates.vectors
        self._drain = latencies.requantise + latencies.pass_control
        zero = np.zeros(len(sizes.tokens))
        self.clock = Clock(*([zero] * len(fields(Clock))))
        # When the process that is furthest behind, the reciprocals, took each of the last passes: it holds up the
        # program, which reaches all processes at once.
        self._taken = deque([zero] * PASS_FIFO, maxlen=PASS_FIFO)
        self.passes: list[PassTime] | None = None  # what `time_passes` asks for
        self._layer = -1
        self._told, self._told_lanes = zero, zero

    def _tell(self, name: str, until: Floats, vectors: Floats) -> None:
        """All cycles not yet told of, up to ``until``, went to this pass."""
        if self.passes is None:
            return
        lanes = self.clock.lane_cycles
        self.passes.append(PassTime(name, self._layer, until - self._told, lanes - self._told_lanes, vectors))
        self._told, self._told_lanes = until, lanes

    def load(self) -> None:
        start = self._program_start
        loaded: Floats = start + self._vectors * self._vector_cycles + self._latencies.normalise
        # LayerNorm's own parameters for the first operands are the first to be read.
        parameters = start - self._latencies.memory + self._parameter_start + self._shape.hidden * self._cycles_per_channel
        loaded = np.maximum(loaded, parameters + self._latencies.normalise)
        self._advance(layer_norm=loaded, parameters=parameters)
        self._tell("load", loaded, self._vectors)

    def finish(self) -> CycleCount:
        """The last LayerNorm's vectors are stored; the engine's last pass takes in the write-backs meanwhile."""
        stored = (self._vector_cycles - 1) * self._vectors + self._latencies.memory
        end = np.maximum(self.clock.layer_norm, self.clock.requantise) + stored
        self._layer = -1
        self._tell("store", end, self._vectors)
        return CycleCount(end, self.clock.lane_cycles)

    @property
    def _vectors(self) -> Floats:
        """Channels x token groups of the residual stream."""
        return self._shape.hidden * self._groups

    def _advance(self, **times: Floats) -> None:
        self.clock = replace(self.clock, **times)

    def layer(self, tiles: Floats) -> None:
        """``tiles`` [matrices, designs]."""
        self._layer += 1
        of = dict(zip(MATRIX_NAMES, tiles, strict=True))
        hidden, ffn = self._shape.hidden, self._shape.ffn
        normalised = self.clock.layer_norm
        keys_projected, projected = [self._from_memory(name, of[name], hidden, normalised) for name in _PROJECTIONS][1:]
        self._attention(keys_projected, projected)
        self._residual("attention_output", of["attention_output"])
        self._from_memory("ffn_in", of["ffn_in"], ffn, self.clock.layer_norm)
        self._residual("ffn_out", of["ffn_out"])

    def _from_memory(
        self, name: MatrixName, tiles: Floats, outputs: int, ready: Floats, *, held_back: Floats | None = None
    ) -> Floats:
        """A pass over a weight matrix. The reader runs ahead of the engine by what the FIFO of tiles holds, and the
        tile counts of the row groups, which come out of their headers one by one, by what theirs holds."""
        start = np.maximum(self.clock.engine, ready)
        row_groups = outputs / self._out_lanes
        headers = _ceil_divide(row_groups, self._header_counts)
        words: Floats = tiles + headers * self._header_tiles
        # As fast as they can, but no further ahead of the engine than the words fit that it has not taken yet.
        per_tile = words / tiles
        read = np.maximum(self.clock.reader, start - self._tile_fifo * per_tile) + words
        delivered = np.maximum(self.clock.memory, start - self._delivered_ahead)
        delivered = delivered + np.maximum(tiles * self._weight_cycles, words * self._index_cycles)
        last_group = tiles / row_groups * self._groups
        counting = headers * (self._header_counts + self._latencies.header)
        counted = np.maximum(
            np.maximum(self.clock.counts, self.clock.reader) + counting,
            start + counting * np.maximum(1.0 - COUNT_FIFO / row_groups, 0.0),
        )
        fetched = np.maximum(np.maximum(read, delivered), counted + last_group)
        done = self._matmul(
            tiles * self._groups,
            outputs * self._groups,
            self._groups,
            ready,
            channels=outputs,
            fetched=fetched,
            held_back=-np.inf if held_back is None else held_back,
            writes_back=held_back is None,
        )
        engine = self.clock.engine
        self._advance(
            reader=np.maximum(read, engine - self._tile_fifo * self._groups),
            memory=np.maximum(delivered, engine - self._tiles_ahead * self._groups),
            counts=np.maximum(counted, engine - COUNT_FIFO * last_group),
        )
        self._tell(name, self.clock.engine, outputs * self._groups)
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
        writes_back: bool = False,
    ) -> Floats:
        """One pass through engine and requantiser; returns when the latter is done.

        ``steps`` engine iterations, the last not before its tile is ``fetched``, yield ``vectors`` results, which the
        requantiser takes at one per cycle, not before ``drain_from`` and no sooner done than ``held_back`` (who takes
        its results is that late) or the parameters of its ``channels`` are there.
        """
        latencies, out_lanes = self._latencies, self._out_lanes
        row_groups = vectors / (out_lanes * groups)
        steps_taken = row_groups * np.maximum(
            steps / row_groups,
            np.where(groups <= self._sums_fifo, groups * self._pace, steps / row_groups + groups * (self._pace - 1.0)),
        )
        told = self._taken[0] + latencies.dispatch
        self._taken.append(self.clock.quotients)
        start = np.maximum(np.maximum(self.clock.engine, ready + latencies.settle), told) + 1.0
        first = start + (steps / row_groups - groups + 1.0) + self._engine_depth
        drain = np.maximum(np.maximum(first, self.clock.requantise), drain_from)
        known = np.maximum(self.clock.parameters, told) + latencies.pass_control
        if channels:
            known = known + self._parameter_start + channels * self._cycles_per_channel
        taken = np.maximum(drain + vectors, held_back)
        # The last result needs room: this pass's own must have left, or the one before's.
        room_from = np.where(
            vectors > self._sums_room,
            np.maximum(taken - self._sums_room, known - self._sums_room * np.maximum(self._cycles_per_channel / groups, 1.0)),
            self.clock.requantise - self._drain + vectors - self._sums_room,
        )
        taken = np.maximum(taken, known)
        blocked_until = np.maximum(self.clock.requantise, drain_from) + np.where(vectors > self._sums_room, steps_taken * (1.0 - self._sums_room / vectors) - (steps / row_groups - groups), -np.inf)
        end = np.maximum(np.maximum(start + steps_taken, fetched), np.maximum(room_from, blocked_until))
        self._closings = self._closings + np.where(end < self._written + latencies.requantise, self._closed, 0.0)
        late = np.maximum(self._closings - VECTOR_FIFO, 0.0)
        drain = np.maximum(drain, self._backlog + late)
        if writes_back:
            self._closings = np.where(drain + latencies.requantise < end, self._closed, 0.0)
            self._written = drain + vectors
            self._backlog = self._written + self._drain
            taken = np.maximum(taken, self._written + np.maximum(self._closings - VECTOR_FIFO, 0.0))
        else:
            taken = np.maximum(taken, drain + vectors)
            self._backlog = self._backlog + vectors + self._drain
        last_results = self._engine_depth + (out_lanes - 1.0) * groups + 1.0
        done = np.maximum(taken, end + last_results)
        drained = done + latencies.requantise
        self._ends.append(_Pass(end, drain + latencies.requantise, drained, vectors if writes_back else None))
        self._known = parameters = known
        if channels:
            # The last parameters of the pass wait in their FIFO, or all of them behind the last of the pass before.
            tail = (done - drain) * self._parameter_fifo / channels
            held = np.where(channels > self._parameter_fifo, done - tail, self.clock.parameters_taken)
            parameters = np.maximum(known, held)
            self._advance(parameters_taken=done)
        self._advance(
            engine=end + self._engine_depth + latencies.pass_control,
            requantise=drained + latencies.pass_control,
            parameters=parameters,
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
            waiting.append(self._scores(length, keys_projected))
            if len(waiting) == PROBABILITY_SLOTS:
                self._context(waiting, projected)
            marks.append(self.clock)
        if more := len(turns) - walked:
            # From here on every head takes as long as the one before.
            longer: Floats = more * (marks[-1].exponentials - marks[-2].exponentials)
            self.clock = self.clock.repeat(marks[-2], more)
            waiting = [
                replace(h, began=h.began+longer, probabilities=h.probabilities + longer, quotients=h.quotients + longer) for h in waiting
            ]
            self._ends = [replace(each, end=each.end + longer, begun=each.begun+longer, done=each.done+longer) for each in self._ends]
        while waiting:
            self._context(waiting, projected)
        self._ends.clear()

    def _scores(self, length: int, projected: Floats) -> _Head:
        latencies = self._latencies
        groups = self._groups_of(length)
        key_groups = _ceil_divide(length, self._out_lanes)
        vectors = key_groups * self._out_lanes * groups
        steps = key_groups * (self._shape.head_size / self._in_lanes) * groups
        # The scores of this head wait in a FIFO that those of the one before may still fill.
        held_back = self.clock.exponentials - (self._held_scores - vectors)
        scored = self._matmul(steps, vectors, groups, projected, held_back=held_back)
        self._tell("scores", self.clock.engine, vectors)
        maxima = scored + latencies.row_maximum
        padded = self._in_lanes * _ceil_divide(length, self._in_lanes)
        written = padded * groups
        done: Floats = np.maximum(maxima, self.clock.exponentials) + written
        probabilities = done + latencies.exponentials
        quotients: Floats = np.maximum(probabilities, self.clock.quotients) + groups * self._tokens
        divided = quotients + latencies.quotients
        self._advance(exponentials=probabilities + latencies.pass_control, quotients=divided + latencies.pass_control)
        return _Head(length, done - written, probabilities, divided, len(self._ends))

    def _late(self, waiting: list[_Head]) -> None:
        head = waiting[0]
        late = head.probabilities
        first = head.began + self._latencies.exponentials
        closed = 0.0
        for each in self._ends[head.passes:]:
            if each.vectors is not None:
                begun = np.maximum(each.begun, first)
                span = np.maximum(each.done - each.begun, each.vectors)
                rate = each.vectors / span
                beside = (late - begun) * rate / np.maximum(1.0 - rate, 1e-3)
                late = late + np.clip(beside, 0.0, np.minimum(each.vectors, np.maximum(each.done-begun,0) * rate))
            closed = closed + np.where((head.began < each.end) & (each.end < late), self._closed, 0.0)
        late = late + np.maximum(closed - VECTOR_FIFO, 0.0)
        for i, h in enumerate(waiting):
            shift = late - h.probabilities if i == 0 else np.maximum(late - h.began, 0)
            late = h.probabilities + shift
            waiting[i] = replace(h, began=h.began + shift if i else h.began, probabilities=late, quotients=np.maximum(h.quotients, late + self._groups_of(h.length) * self._tokens + self._latencies.quotients))
        self._advance(exponentials=np.maximum(self.clock.exponentials, late + self._latencies.pass_control))

    def _context(self, waiting: list[_Head], projected: Floats) -> None:
        self._late(waiting)
        head = waiting.pop(0)
        size = self._shape.head_size
        groups = self._groups_of(head.length)
        steps = self._context_steps(head.length)
        ready = np.maximum(head.probabilities, projected)
        self._matmul(steps, size * groups, groups, ready, channels=size, drain_from=head.quotients, writes_back=True)
        self._tell("context", self.clock.engine, size * groups)

    def _context_steps(self, length: int) -> Floats:
        return self._shape.head_size / self._out_lanes * _ceil_divide(length, self._in_lanes) * self._groups_of(length)

    def _groups_of(self, length: int) -> Floats:
        return _ceil_divide(length, self._tokens)

    def _residual(self, name: MatrixName, tiles: Floats) -> None:
        latencies, free = self._latencies, self.clock.layer_norm
        vectors = self._vectors
        drained = self._from_memory(
            name, tiles, self._shape.hidden, self.clock.requantise, held_back=free + vectors - VECTOR_FIFO
        )
        added = np.maximum(drained, free + vectors) + latencies.add
        scaled = added + self._groups * self._tokens + latencies.scales
        # Gains and offsets follow the parameters of the matmul; those that find no room wait for the normalisation.
        read = np.maximum(self._known + self._shape.hidden * self._cycles_per_channel, self.clock.parameters + self._shape.hidden)
        normalised = np.maximum(scaled + vectors, read + latencies.parameters)
        held = normalised - self._parameter_fifo * self._groups
        self._advance(
            layer_norm=normalised + latencies.normalise + latencies.pass_control,
            parameters=np.where(self._shape.hidden > self._parameter_fifo, np.maximum(read, held), read),
        )
        self._tell("layer_norm", self.clock.layer_norm, vectors)
