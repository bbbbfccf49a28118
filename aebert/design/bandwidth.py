"""How fast a board's memory serves the ports of a design."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aebert.design.board import Board
from aebert.design.hardware_config import BURST_BYTES, BURST_GAP_CYCLES, MAX_LAYERS, SMALLEST_SHARE
from aebert.design.kernel_records import PARAMETER_BYTES, PASS_BYTES
from aebert.design.size_arrays import Floats, Ints, Sizes

_ACTIVE_TOGETHER = 4  # program, weights, indices, parameters; input comes before, output after all of them


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
    """Of each design; what aebert.timing.memory_ports gives a single unit's ports where codegen.placement puts them.

    Banks that are separate memories are dealt out to the compute units. Ports of one bank that are active at the same
    time share it in proportion to what they move.
    """
    memory = board.memory
    all_gb_s = memory.bandwidth_gb_s / compute_units
    bank_gb_s = all_gb_s if memory.shared else np.minimum(min(bank.bandwidth_gb_s for bank in memory.banks), all_gb_s)
    words = 1e3 / clock_mhz / sizes.word_bytes  # per cycle for 1 GB/s
    alone = words * bank_gb_s
    banks = np.ones_like(compute_units) if memory.shared else np.maximum(1, len(memory.banks) // compute_units)

    traffic = _bytes_per_launch(sizes)
    program, weights, indices, parameters = (
        _effective(alone * share, sizes) for share in _shares(traffic, banks)[:_ACTIVE_TOGETHER]
    )
    # Both at once cannot exceed what all banks of the unit give. They come tile by tile: the slower holds the other up.
    indices_per_weight = traffic[2] / traffic[1]
    pulled = np.minimum(weights, indices / indices_per_weight) * (1.0 + indices_per_weight)
    together = np.minimum(1.0, all_gb_s * words / np.maximum(pulled, 1e-9))
    return MemoryRates(weights * together, indices * together, parameters, program, _effective(alone, sizes))


def _bytes_per_launch(sizes: Sizes) -> Floats:
    """What the ports move [program, weights, indices, parameters, input, output; designs] for a dense encoder as large
    as the design takes, with as many heads as it can have; in codegen.placement's order, as that decides ties."""
    hidden, ffn = sizes.max_hidden, sizes.max_ffn
    weights = MAX_LAYERS * (4 * hidden * hidden + 2 * hidden * ffn).astype(np.float64)
    indices = weights / sizes.out_lanes * sizes.index_bytes
    parameters = MAX_LAYERS * (8.0 * hidden + ffn) * PARAMETER_BYTES
    program = (2.0 + MAX_LAYERS * (6.0 + 2.0 * np.maximum(hidden // sizes.in_lanes, 1))) * PASS_BYTES
    vector_bytes = np.ceil(2.0 * sizes.tokens / sizes.word_bytes) * sizes.word_bytes
    vectors = sizes.max_groups * hidden * vector_bytes
    return np.stack([program, weights, indices, parameters, vectors, vectors])


def _shares(traffic: Floats, banks: Ints) -> Floats:
    """The share [ports, designs] of its bank that each port gets. Every port goes to the bank with the least traffic so
    far, the heaviest first; input and output take no part of the others, for nothing else is active then."""
    ports, designs = traffic.shape
    every = np.arange(designs)
    usable = np.arange(ports)[:, None] < banks  # more banks than ports stay empty
    load = np.where(usable, 0.0, np.inf)
    bank_of = np.empty((ports, designs), np.int64)
    for port in np.argsort(-traffic, axis=0, kind="stable"):
        chosen = load.argmin(axis=0)
        bank_of[port, every] = chosen
        load[chosen, every] += traffic[port, every]
    active = np.arange(ports)[:, None] < _ACTIVE_TOGETHER
    moved = np.zeros((ports, designs))
    for port in range(_ACTIVE_TOGETHER):
        moved[bank_of[port], every] += traffic[port]
    shares: Floats = np.where(active, traffic / np.maximum(moved[bank_of, every], 1.0), 1.0)
    return np.maximum(shares, SMALLEST_SHARE)


def _effective(words_per_cycle: Floats, sizes: Sizes) -> Floats:
    """What is left of a rate with a gap after every burst."""
    burst = BURST_BYTES // sizes.word_bytes
    rate: Floats = burst / (burst / np.minimum(words_per_cycle, 1.0) + BURST_GAP_CYCLES)
    return rate
