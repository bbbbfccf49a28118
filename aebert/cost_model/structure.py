"""What the closed forms say about a run whose inputs are known: cycles, resources, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.cost_model.run_inputs import LaunchShape, RunInputs
from aebert.design.bandwidth import memory_rates
from aebert.design.board import Board
from aebert.design.board_fit import Usage, achievable_clock_mhz, check_fit
from aebert.design.launch_cycles import count_cycles
from aebert.design.pipeline_latencies import Latencies
from aebert.design.size_arrays import Sizes

BRAM18_PER_BRAM36 = 2


@dataclass(frozen=True)
class StructuralCycles:
    """Of one launch: the engine's (its II times the steps in which it multiplies), and all others (fill, waiting,
    softmax, LayerNorm)."""

    engine: float
    other: float


def structural_cycles(inputs: RunInputs, launch: LaunchShape, board: Board, latencies: Latencies) -> StructuralCycles:
    """aebert.design.launch_cycles with the board's memory and the kernel's II and depths; every layer walked."""
    sizes = Sizes.of(inputs.config)
    memory = memory_rates(sizes, board, np.array([inputs.clock_mhz]), np.array([inputs.compute_units], np.int64))
    counted = count_cycles(sizes, launch.workload(), memory=memory, latencies=latencies)
    engine = latencies.engine_interval * float(counted.lane_cycles[0])
    return StructuralCycles(engine, float(counted.total[0]) - engine)


def structural_usage(inputs: RunInputs, board: Board) -> Usage:
    """Raises AebertError where the design does not fit the board as the resource count has it."""
    return check_fit(inputs.config, board, inputs.compute_units)


def structural_resources(usage: Usage) -> Mapping[str, float]:
    """Of one compute unit, by the names of run records (block RAM in RAMB18)."""
    total = usage.resources.total
    counts = {"lut": total.lut, "ff": total.ff, "dsp": total.dsp, "uram": total.uram}
    counts["bram_18k"] = np.asarray(total.bram36) * BRAM18_PER_BRAM36
    return {name: float(np.max(count)) for name, count in counts.items()}


def crowding(usage: Usage, board: Board) -> float:
    """How much longer the clock's period is assumed to get (relative) because the design crowds the board."""
    return float(board.clock_mhz / achievable_clock_mhz(board, usage)[0]) - 1.0
