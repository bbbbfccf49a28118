"""Walks the passes of a launch and keeps the clock: when each process is free, and when operands have arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.hardware_config import BURST_BYTES, PROBABILITY_SLOTS
from aebert.design.head_places import PROJECTIONS, head_widths
from aebert.design.kernel_streams import PASS_DEPTH, PASSES_AHEAD, PLACED_TILE_DEPTH, STEP_DEPTH, stream_depths
from aebert.design.launch_clock import Clock, CycleCount, Done, PassTime, ScoredHead
from aebert.design.pass_history import PassHistory
from aebert.design.pipeline_latencies import Latencies
from aebert.design.read_ahead import read_ahead
from aebert.design.result_pace import ResultPace
from aebert.design.size_arrays import Floats, Sizes
from aebert.design.workload import Workload
from aebert.models.encoder import MATRIX_NAMES, MatrixName

SIMULATED_HEADS = PROBABILITY_SLOTS + 4  # with `extrapolate`, the following heads repeat the last of these


def _ceil_divide(value: Floats | float, divisor: Floats) -> Floats:
    result: Floats = np.ceil(value / divisor)
    return result


@dataclass(frozen=True)
class _Groups:
    """What follows from the number of token groups that a pass is about.

    ``parameter_room``: cycles of parameters behind what the sums FIFO holds. ``last_results``: from the engine's last
    step until the requantiser has taken the last result.
    """

    count: Floats
    parameter_room: Floats
    last_results: Floats


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
        self._header_counts: Floats = sizes.header_counts.astype(np.float64)
        # The tiles' indices that share a word with a header's worth of counts, and on average half a word left empty.
        self._header_tiles: Floats = 1.5 * sizes.word_bytes / (sizes.in_lanes * sizes.index_bytes)
        self._tokens = sizes.tokens.astype(np.float64)
        self._engine_tokens = sizes.engine_tokens.astype(np.float64)
        self._out_lanes = sizes.out_lanes.astype(np.float64)
        self._in_lanes = sizes.in_lanes.astype(np.float64)
        # Channels that a head takes, padding included.
        self._head: Floats = head_widths(self._shape, sizes.in_lanes).astype(np.float64)
        self._word_bytes = sizes.word_bytes.astype(np.float64)
        # Cycles for which a row of tokens occupies a unit behind the engine.
        self._slices = sizes.row_slices.astype(np.float64)
        # The FIFO from memory, and the one to the engine.
        self._tile_fifo: Floats = sizes.tile_fifo + float(PLACED_TILE_DEPTH)
        # From a tile in memory, or a row of keys, until it meets operands. Its token is under way beside it.
        self._fetch = max(latencies.fetch, latencies.token) + 1.0
        # Cycles between two tiles, and between two steps, at least: as many are under way as the FIFOs to the engine
        # hold.
        self._tile_pace = max(1.0, (self._fetch + latencies.credit + 1.0) / PLACED_TILE_DEPTH)
        self._step_pace = max(1.0, (self._fetch + latencies.gate) / STEP_DEPTH)
        # How many scores the softmax holds, and how many results the engine can be ahead of the requantiser.
        depths = stream_depths(sizes)
        self._held_scores: Floats = depths["held"].astype(np.float64)
        self._row_group_fifo: Floats = depths["row_group"].astype(np.float64)
        self._vector_fifo: Floats = depths["vector"].astype(np.float64)
        self._parameter_fifo = sizes.parameter_fifo.astype(np.float64)
        self._sums_fifo = sizes.sums_fifo.astype(np.float64)
        self._sums_room: Floats = sizes.sums_fifo * self._out_lanes
        self._engine_depth: Floats = latencies.engine + sizes.chain - 1.0 + np.log2(sizes.in_lanes / sizes.chain)
        # From a result until its place in the FIFO can be taken again.
        turn = self._slices * (self._out_lanes - 1.0) + 1.0  # of the requantiser, until it takes a row group's last row
        self._round_trip: Floats = self._engine_depth + latencies.credit + turn
        taken = self._slices * self._out_lanes
        self._pace = ResultPace(latencies.engine_interval, taken, self._sums_fifo, self._round_trip)
        # Cycles of the memory for one vector of tokens, in or out; the unit at its other end may be slower.
        words = _ceil_divide(2.0 * self._tokens, self._word_bytes)
        self._vector_cycles = np.maximum(words / rates.vectors, self._slices)
        # A burst is written when all of its words are there: its vectors, and the cycles for which each holds it up.
        self._burst_vectors: Floats = BURST_BYTES / (words * self._word_bytes)
        self._gathering: Floats = np.clip(self._slices, words, words / rates.vectors)
        self._of_length = {length: self._groups_of(_ceil_divide(length, self._tokens)) for length in self._lengths}
        self._all = self._groups_of(np.sum([self._of_length[length].count for length in self._lengths], axis=0))
        self._ahead = read_ahead(sizes, rates, latencies, self._tile_fifo, self._all.count)
        zero = np.zeros(len(sizes.tokens))
        self.clock = Clock(*([zero] * len(fields(Clock))))
        # When the process that is furthest behind, the reciprocals, took each of the last passes: it holds up what is
        # handed out to the others of its engine, and the program, which reaches the processes at the ports.
        self._taken = deque([zero] * PASSES_AHEAD, maxlen=PASSES_AHEAD)
        # What the requantiser takes.
        self._results, self._parameters = PassHistory(), PassHistory()
        self._attended: list[Done] = []  # passes of this layer's attention
        self._exponentials = zero  # when those of the last head with a context were done
        self.passes: list[PassTime] | None = None  # what `time_passes` asks for
        self._layer = -1
        self._told, self._told_lanes = zero, zero

    def _groups_of(self, count: Floats) -> _Groups:
        taken = self._slices * self._out_lanes
        # Of results that wait for places, the last finds the requantiser free.
        behind = np.where(count <= self._sums_fifo, (taken - 1.0) * count + 1.0, taken)
        return _Groups(
            count,
            self._sums_room * np.maximum(self._cycles_per_channel / count, 1.0),
            self._engine_depth + behind,
        )

    def _tell(self, name: str, until: Floats, vectors: Floats) -> None:
        """All cycles not yet told of, up to ``until``, went to this pass."""
        if self.passes is None:
            return
        lanes = self.clock.lane_cycles
        self.passes.append(PassTime(name, self._layer, until - self._told, lanes - self._told_lanes, vectors))
        self._told, self._told_lanes = until, lanes

    def load(self) -> None:
        # What a process computes from its pass follows when the pass has come.
        start = self._ahead.program_start + self._latencies.pass_control - 1.0
        loaded: Floats = start + self._vectors * self._vector_cycles + self._latencies.normalise
        # LayerNorm's own parameters for the first operands are the first to be read.
        parameters = start - self._latencies.memory + self._ahead.parameter_start
        parameters = parameters + self._shape.hidden * self._cycles_per_channel
        loaded = np.maximum(loaded, parameters + self._latencies.normalise)
        self._advance(layer_norm=loaded, parameters=parameters)
        self._tell("load", loaded, self._vectors)

    def finish(self) -> CycleCount:
        """The last LayerNorm's vectors are stored; the engine's last pass takes in the write-backs meanwhile."""
        gathered = np.minimum(self._vectors, self._burst_vectors) * self._gathering
        stored = gathered + (self._vector_cycles - self._slices) * self._vectors + self._latencies.memory
        end = np.maximum(self.clock.layer_norm, self.clock.requantise) + stored
        self._layer = -1
        self._tell("store", end, self._vectors)
        return CycleCount(end, self.clock.lane_cycles)

    @property
    def _vectors(self) -> Floats:
        """Channels x token groups of the residual stream."""
        return self._shape.hidden * self._all.count

    def _advance(self, **times: Floats) -> None:
        self.clock = replace(self.clock, **times)

    def layer(self, tiles: Floats, heads: int) -> None:
        """``tiles`` [matrices, designs]; without ``heads`` nothing comes before the attention output."""
        self._layer += 1
        of = dict(zip(MATRIX_NAMES, tiles, strict=True))
        control = self._latencies.pass_control  # of the process that wrote back: nobody else waits for it
        if heads:
            width, normalised = heads * self._head, self.clock.layer_norm - control
            keys, values = [self._from_memory(name, of[name], width, normalised) for name in PROJECTIONS][1:]
            self._attention(heads, keys, values)
        self._residual("attention_output", of["attention_output"])
        self._from_memory("ffn_in", of["ffn_in"], self._shape.ffn, self.clock.layer_norm - control)
        self._residual("ffn_out", of["ffn_out"])

    def _from_memory(
        self,
        name: MatrixName,
        tiles: Floats,
        outputs: Floats | float,
        ready: Floats,
        *,
        held_back: Floats | None = None,
        held_until: Floats | float = -np.inf,
    ) -> Floats:
        """A pass over a weight matrix. The reader runs ahead of the engine by what the FIFO of tiles holds, and the
        tile counts of the row groups, which come out of their headers one by one, by what theirs holds."""
        groups = self._all.count
        start = np.maximum(self.clock.engine, ready)
        row_groups = outputs / self._out_lanes
        headers = _ceil_divide(row_groups, self._header_counts)
        words: Floats = tiles + headers * self._header_tiles
        # As fast as they can, but no further ahead of the engine than the words fit that it has not taken yet.
        read = np.maximum(self.clock.reader + words, start + words * np.maximum(1.0 - self._tile_fifo / tiles, 0.0))
        delivered = np.maximum(self.clock.memory, start - self._ahead.cycles_ahead)
        delivered = delivered + np.maximum(tiles * self._weight_cycles, words * self._index_cycles)
        last_group = tiles / row_groups * groups
        counting = row_groups + headers * self._latencies.header + self._latencies.listing
        counted = np.maximum(
            np.maximum(self.clock.counts, self.clock.reader) + counting,
            start + counting * np.maximum(1.0 - self._row_group_fifo / row_groups, 0.0),
        )
        fetched = np.maximum(np.maximum(read, delivered) + self._fetch, counted + last_group)
        done = self._matmul(
            tiles * groups,
            outputs * groups,
            self._all,
            ready,
            channels=outputs,
            fetched=fetched,
            held_back=-np.inf if held_back is None else held_back,
            held_until=held_until,
            writes_back=held_back is None,
        )
        engine = self.clock.engine
        self._advance(
            reader=np.maximum(read, engine - self._tile_fifo * groups),
            memory=np.maximum(delivered, engine - self._ahead.tiles_ahead * groups),
            counts=np.maximum(counted, engine - self._row_group_fifo * last_group),
        )
        self._tell(name, self.clock.engine, outputs * groups)
        return done.last

    def _matmul(
        self,
        steps: Floats,
        vectors: Floats,
        groups: _Groups,
        ready: Floats,
        *,
        channels: Floats | float | None = None,
        fetched: Floats | float = -np.inf,
        drain_from: Floats | float = 0.0,
        held_back: Floats | float = -np.inf,
        held_until: Floats | float = -np.inf,
        writes_back: bool = False,
    ) -> Done:
        """One pass through engine and requantiser.

        ``steps`` engine iterations, the last not before its tile is ``fetched``, yield ``vectors`` results, of which
        the requantiser takes a slice per cycle, not before ``drain_from`` and no sooner done than ``held_back`` (who
        takes its results, and takes none before ``held_until``, is that late) or the parameters of its ``channels`` are
        there.
        """
        clock, latencies, room = self.clock, self._latencies, self._sums_room
        rows, cycles = vectors / self._out_lanes, latencies.engine_interval * steps
        row_groups = rows / groups.count
        row_steps = cycles / row_groups
        taken_steps = self._pace.cycles(cycles, row_groups, groups.count)
        taken_steps = np.maximum(taken_steps, steps * np.maximum(self._tile_pace / groups.count, self._step_pace))
        told = self._taken[0] + latencies.dispatch
        handed_out = self._taken[-PASS_DEPTH] + latencies.dispatch
        self._taken.append(clock.quotients)
        # Its first tile is fetched when the first command is there.
        ahead = np.maximum(clock.engine + latencies.gate, told + latencies.sequence + self._fetch)
        ahead = np.maximum(ahead, handed_out)
        start = np.maximum(ahead, ready + latencies.settle) + 1.0
        free = np.maximum(clock.requantise, drain_from)
        drain = np.maximum(free, start + (row_steps - groups.count + 1.0) + self._engine_depth)
        known = np.maximum(clock.parameters, told) + latencies.reading
        if channels is not None:
            known = known + self._ahead.parameter_start + channels * self._cycles_per_channel
        drained_cycles = vectors * self._slices
        taken = np.maximum(drain + drained_cycles, held_back)
        # The last result needs room: this pass's own must have left, or the one before's. Until the requantiser begins,
        # the engine can do no more than what fills the room.
        beyond = np.maximum(1.0 - room / vectors, 1.0 / rows)
        waits = free + self._round_trip - self._engine_depth - (row_steps - latencies.engine_interval * groups.count)
        waits = waits + self._pace.cycles(cycles * beyond, row_groups * beyond, groups.count)
        # The same of the LayerNorm, behind what fills the room in front of it too.
        more = np.maximum(1.0 - (room + self._vector_fifo) / vectors, 1.0 / rows)
        held = held_until + self._pace.cycles(cycles * more, row_groups * more, groups.count)
        waits = np.maximum(waits, np.where(more > 1.0 / rows, held, -np.inf))
        room_from = np.where(
            vectors > room,
            np.maximum(np.maximum(taken - room * self._slices, known - groups.parameter_room), waits),
            self._results.all_but(room - vectors, self._slices),
        )
        end = np.maximum(np.maximum(start + taken_steps, fetched), room_from)
        taken = np.maximum(np.maximum(taken, drain + drained_cycles), known)
        # A requantiser that is never free has taken the results before the last one by then.
        alone = self._engine_depth + self._slices * self._out_lanes
        done = np.maximum(taken, end + np.where(taken_steps <= drained_cycles, alone, groups.last_results))
        drained = done + latencies.requantise
        self._results.add(done, vectors)
        if channels is not None:
            # The last parameters of the pass wait in their FIFO, or all of them behind those of passes before.
            tail = (done - drain) * self._parameter_fifo / channels
            room = self._parameter_fifo - channels
            held = np.where(room < 0.0, done - tail, self._parameters.all_but(room))
            self._parameters.add(done, channels)
            self._advance(parameters=np.maximum(known, held))
        else:
            self._advance(parameters=known)
        self._advance(
            engine=end,
            requantise=drained + latencies.pass_control,
            parameters_read=known,
            lane_cycles=clock.lane_cycles + steps,
        )
        return Done(end, drain + latencies.requantise, drained, vectors, writes_back)

    def _attention(self, heads: int, keys_projected: Floats, projected: Floats) -> None:
        """Scores run ahead of the context, as far as there are slots for probabilities."""
        turns = [length for length in self._lengths for _ in range(heads)]
        walked = min(SIMULATED_HEADS, len(turns)) if self._extrapolate and len(set(turns)) == 1 else len(turns)
        waiting: list[ScoredHead] = []
        marks = [self.clock]
        for length in turns[:walked]:
            waiting.append(self._scores(length, keys_projected))
            if len(waiting) == PROBABILITY_SLOTS:
                self._context(waiting, projected)
            marks.append(self.clock)
        if more := len(turns) - walked:
            # From here on every head takes as long as the one before.
            longer: Floats = more * (marks[-1].exponentials - marks[-2].exponentials)
            self.clock = self.clock.repeat_heads(marks[-2], more)
            waiting = [head.later(longer) for head in waiting]
            self._exponentials = self._exponentials + longer
            self._attended = [each.later(longer) for each in self._attended]
        while waiting:
            self._context(waiting, projected)
        self._attended.clear()

    def _scores(self, length: int, projected: Floats) -> ScoredHead:
        latencies, groups = self._latencies, self._of_length[length]
        key_groups = _ceil_divide(length, self._out_lanes)
        vectors = key_groups * self._out_lanes * groups.count
        steps = key_groups * (self._head / self._in_lanes) * groups.count
        # The scores of this head wait in a FIFO that those of the one before may still fill.
        held_back = self.clock.exponentials - (self._held_scores - vectors * self._slices)
        scored = self._matmul(steps, vectors, groups, projected + self._fetch, held_back=held_back)
        self._attended.append(scored)
        self._tell("scores", self.clock.engine, vectors)
        # The rows of the first token group are complete when those of the others still come.
        behind = (groups.count - 1.0) * self._out_lanes * self._slices
        first = np.maximum(scored.last - behind + latencies.row_maximum, self.clock.exponentials)
        written = self._in_lanes * _ceil_divide(length, self._in_lanes) * groups.count
        probabilities = first + written * self._slices + latencies.exponentials
        quotients: Floats = np.maximum(probabilities, self.clock.quotients) + groups.count * self._engine_tokens
        divided = quotients + latencies.quotients
        self._advance(exponentials=probabilities + latencies.pass_control, quotients=divided + latencies.pass_control)
        return ScoredHead(length, first, probabilities, divided, written, len(self._attended))

    def _context(self, waiting: list[ScoredHead], projected: Floats) -> None:
        """Of the first head that is ``waiting``."""
        head = self._hold_up(waiting.pop(0), waiting)
        width, groups = self._head, self._of_length[head.length]
        steps = width / self._out_lanes * _ceil_divide(head.length, self._in_lanes) * groups.count
        ready = np.maximum(head.probabilities, projected + self._fetch)
        vectors = width * groups.count
        done = self._matmul(steps, vectors, groups, ready, channels=width, drain_from=head.quotients, writes_back=True)
        self._attended.append(done)
        self._tell("context", self.clock.engine, vectors)

    def _hold_up(self, head: ScoredHead, following: Sequence[ScoredHead]) -> ScoredHead:
        """The head's exponentials follow those of the head before, make way for the write-backs of contexts.
        ``following`` heads wait behind it."""
        latencies = self._latencies
        behind = np.maximum(self._exponentials - head.first, 0.0)
        first, until = head.first + behind, head.probabilities + behind
        begins = first + latencies.exponentials
        for done in self._attended[head.passes :]:
            until = done.makes_wait(until, begins, self._slices)
        divided = until + self._of_length[head.length].count * self._engine_tokens + latencies.quotients
        self._exponentials = until + latencies.pass_control
        round_trip = latencies.exponentials + latencies.pass_control
        last = self._exponentials
        for each in following:
            last = last + each.vectors * self._slices + round_trip
        self._advance(exponentials=np.maximum(self.clock.exponentials, last))
        return replace(head, probabilities=until, quotients=np.maximum(head.quotients, divided))

    def _residual(self, name: MatrixName, tiles: Floats) -> None:
        latencies, free = self._latencies, self.clock.layer_norm
        vectors, hidden = self._vectors, self._shape.hidden
        swept = vectors * self._slices
        held_back = free + swept - self._vector_fifo
        drained = self._from_memory(
            name, tiles, hidden, self.clock.requantise - latencies.pass_control, held_back=held_back,
            held_until=free,
        )  # fmt: skip
        drained = drained + min(latencies.addends, latencies.requantise) - latencies.requantise
        added = np.maximum(drained, free + swept) + latencies.add
        scaled = added + self._all.count * self._engine_tokens + latencies.scales
        # Gains and offsets follow the parameters of the matmul; those that find no room wait for the normalisation.
        read = np.maximum(
            self.clock.parameters_read + hidden * self._cycles_per_channel, self.clock.parameters + hidden
        )
        normalised = np.maximum(scaled + swept, read + latencies.parameters)
        held = normalised - self._parameter_fifo * self._all.count * self._slices
        self._advance(
            layer_norm=normalised + latencies.normalise + latencies.pass_control,
            parameters=np.where(hidden > self._parameter_fifo, np.maximum(read, held), read),
        )
        self._tell("layer_norm", self.clock.layer_norm, vectors)
