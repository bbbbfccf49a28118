"""How fast a board's memory delivers weight tiles to a design."""

from __future__ import annotations

import numpy as np

from aebert.boards import Board
from aebert.design.sizes import Floats, Ints, Sizes

# Assumption: the share of a memory's peak rate that long sequential bursts reach (refresh, bank changes, read to write
# turns). XRT's own bandwidth test reports 85 to 95 % on Alveo cards.
EFFICIENCY = 0.85


def cycles_per_tile(sizes: Sizes, board: Board, clock_mhz: Floats, compute_units: Ints) -> Floats:
    """At least how many cycles the memory takes per weight tile, [designs], >= 1 (one tile per cycle is unpacked).

    Weights and indices have a port each. Banks that are separate memories are dealt out to the compute units, and a
    unit's two ports lie in different banks when it has two.
    """
    memory = board.memory
    weights = sizes.tile_bytes
    indices = sizes.in_lanes * sizes.index_bytes
    port = np.minimum(sizes.word_bytes, memory.axi_data_bits // 8)
    bank_gb_s = min(bank.bandwidth_gb_s for bank in memory.banks)
    all_gb_s = memory.bandwidth_gb_s / compute_units
    banks_per_unit = len(memory.banks) / compute_units
    per_cycle = EFFICIENCY * 1000 / clock_mhz  # bytes per cycle for 1 GB/s
    ports_apart = (banks_per_unit >= 2) & (not memory.shared)
    bank = np.minimum(bank_gb_s, all_gb_s) * per_cycle
    from_memory = np.where(ports_apart, np.maximum(weights, indices) / bank, (weights + indices) / bank)
    together = (weights + indices) / (all_gb_s * per_cycle)
    limits = np.broadcast_arrays(1.0, np.maximum(weights, indices) / port, from_memory, together)
    return np.asarray(np.maximum.reduce(limits), np.float64)
