"""How far memory is ahead of those who read it, and when its first words come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.design.bandwidth import MemoryRates
from aebert.design.hardware_config import BURST_BYTES, OUTSTANDING_BURSTS
from aebert.design.kernel_records import PARAMETER_BYTES, PASS_BYTES
from aebert.design.pipeline_latencies import Latencies
from aebert.design.size_arrays import Floats, Sizes


@dataclass(frozen=True)
class ReadAhead:
    """Of each design [designs]: ``tiles_ahead`` are sent before the engine wants them, ``cycles_ahead`` earlier at
    most. ``program_start``: from the start to the first pass; ``parameter_start``: from a pass to its parameters,
    besides the cycles of their channels."""

    tiles_ahead: Floats
    cycles_ahead: Floats
    program_start: Floats
    parameter_start: Floats


def read_ahead(sizes: Sizes, rates: MemoryRates, latencies: Latencies, tile_fifo: Floats, groups: Floats) -> ReadAhead:
    """``tile_fifo``: tiles between memory and engine; ``groups``: that each tile meets.

    Memory fills the FIFO, and the port's buffer but for the burst being taken (half of it, on average); one that has
    filled both goes on when that burst has been taken, a latency later. A read loop's first results leave it when its
    next words have come, since a pipeline that waits for a word waits as a whole. A word of parameters then brings
    several channels at once; behind the last one nothing is waited for.
    """
    burst = BURST_BYTES / np.maximum(sizes.tile_bytes, sizes.in_lanes * sizes.index_bytes)
    tiles_ahead = tile_fifo + (OUTSTANDING_BURSTS - 0.5) * burst
    ahead = tiles_ahead * np.maximum(*rates.cycles_per_tile(sizes))
    waits = burst / 2.0 * groups + latencies.memory
    word_bytes = sizes.word_bytes.astype(np.float64)
    words, per_word = PASS_BYTES / word_bytes, word_bytes / PARAMETER_BYTES
    behind = np.where(words == 1.0, 2.0, 1.0)  # passes, in a pipeline of three stages
    return ReadAhead(
        tiles_ahead=tiles_ahead,
        cycles_ahead=np.maximum(ahead - waits, 0.0),
        program_start=2 * latencies.memory + words + behind * (words / rates.program - words),
        parameter_start=latencies.memory + latencies.parameters + per_word * (1.0 - rates.cycles_per_channel(sizes)),
    )
