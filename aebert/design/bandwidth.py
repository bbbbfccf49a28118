"""How fast a board's memory serves the ports of a design."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.boards import Board
from aebert.design.config import BURST_BYTES, BURST_GAP_CYCLES, PARAMETER_BYTES, PASS_BYTES, SMALLEST_SHARE
from aebert.design.sizes import Floats, Ints, Sizes


@dataclass(frozen=True)
class MemoryRates:
    """Words per cycle [designs] that each port gets while it asks for them, at most 1, gaps between bursts included.

    ``program``: the passes' descriptors; ``vectors``: the input and output ports.
    """

    weights: Floats
    indices: Floats
    parameters: Floats
    program: Floats
    vectors: Floats

    @classmethod
    def full(cls, designs: int = 1) -> MemoryRates:
        """One word per cycle on every port."""
        one = np.ones(designs)
        return cls(one, one, one, one, one)

    def take(self, chosen: Ints) -> MemoryRates:
        """The designs picked by indices."""
        return MemoryRates(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def cycles_per_tile(self, sizes: Sizes) -> tuple[Floats, Floats]:
        """At least how many cycles pass between two tiles' weights, and between two tiles' indices, [designs]."""
        weights = sizes.tile_bytes / sizes.word_bytes / self.weights
        indices = sizes.in_lanes * sizes.index_bytes / sizes.word_bytes / self.indices
        return np.maximum(1.0, weights), np.maximum(1.0, indices)

    def cycles_per_channel(self, sizes: Sizes) -> Floats:
        """The same for the parameters of one output channel."""
        return np.maximum(1.0, PARAMETER_BYTES / sizes.word_bytes / self.parameters)


def memory_rates(sizes: Sizes, board: Board, clock_mhz: Floats, compute_units: Ints) -> MemoryRates:
    """Of each design; what aebert.timing.ports gives a single unit's ports where codegen.placement puts them.

    Banks that are separate memories are dealt out to the compute units, and weights, indices and the other ports lie in
    different banks where a unit has enough of them. Ports of one bank share it in proportion to what they move.
    """
    memory = board.memory
    all_gb_s = memory.bandwidth_gb_s / compute_units
    bank_gb_s = np.minimum(min(bank.bandwidth_gb_s for bank in memory.banks), all_gb_s)
    apart = np.zeros(len(sizes.tokens), bool) if memory.shared else len(memory.banks) / compute_units >= 2
    one_bank = all_gb_s if memory.shared else bank_gb_s
    words = 1e3 / clock_mhz / sizes.word_bytes  # per cycle for 1 GB/s

    traffic = _bytes_per_layer(sizes)
    total = np.sum(traffic, axis=0)
    weights, indices, parameters = (
        _effective(words * np.where(apart, bank_gb_s, one_bank * np.maximum(moved / total, SMALLEST_SHARE)), sizes)
        for moved in traffic[:3]
    )
    # Little beside what the parameters move, which lie in the same bank unless there are many.
    program = _effective(words * one_bank * SMALLEST_SHARE, sizes)
    # Both at once cannot exceed what all banks of the unit give.
    together = np.minimum(1.0, all_gb_s * words / np.maximum(weights + indices, 1e-9))
    return MemoryRates(weights * together, indices * together, parameters, program, _effective(words * one_bank, sizes))


def _bytes_per_layer(sizes: Sizes) -> tuple[Floats, Floats, Floats, Floats]:
    """What the weight, index, parameter and program ports move for a dense encoder as large as the design takes."""
    hidden, ffn = sizes.max_hidden, sizes.max_ffn
    weights = (4 * hidden * hidden + 2 * hidden * ffn).astype(np.float64)
    indices = weights / sizes.out_lanes * sizes.index_bytes
    parameters = (8.0 * hidden + ffn) * PARAMETER_BYTES
    program = (6.0 + 2.0 * np.maximum(hidden // sizes.in_lanes, 1)) * PASS_BYTES
    return weights, indices, parameters, program


def _effective(words_per_cycle: Floats, sizes: Sizes) -> Floats:
    """What is left of a rate with a gap after every burst."""
    burst = BURST_BYTES // sizes.word_bytes
    rate: Floats = burst / (burst / np.minimum(words_per_cycle, 1.0) + BURST_GAP_CYCLES)
    return rate
