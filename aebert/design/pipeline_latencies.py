"""What the kernel's pipelines cost: the depths that the closed-form cycle count adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aebert.design.hardware_config import PORT_LATENCY_CYCLES, SETTLE_ITERATIONS


@dataclass(frozen=True)
class Latencies:
    """Depth in cycles of the kernel's pipelined loops, of one round of a process's pass loop, and of a memory read.

    The defaults are what aebert.timing.loop_schedules estimates at 300 MHz from the operators on each loop's longest
    path; ``engine`` is without the multipliers' cascade and the adder tree, whose depths follow from the lanes;
    ``sequence`` is from a pass to its first command, ``gate`` between the commands of two passes; ``token`` from a
    tile on its way to the engine that may use it; ``header`` and ``listing`` are what a header and a pass cost the
    process that lists row groups, besides a cycle for each of these; ``reading`` is what a pass costs a process that
    reads from memory, whether it reads for it or not; ``parameters`` is without the channels of a word, which leave one
    after the other; ``addends`` is the requantiser's way of what is added to the residual
    stream, which may leave it before its other results do. ``engine_interval``: the engine's II.
    `aebert.timing.scheduled_latencies` takes them from a schedule of the kernel.
    """

    fetch: float = 6.0
    engine: float = 12.0
    engine_interval: float = 1.0
    requantise: float = 26.0
    addends: float = 26.0
    row_maximum: float = 4.0
    exponentials: float = 8.0
    quotients: float = 38.0
    add: float = 10.0
    scales: float = 41.0
    normalise: float = 28.0
    sequence: float = 14.0
    gate: float = 4.0
    token: float = 3.0
    settle: float = float(SETTLE_ITERATIONS)
    pass_control: float = 5.0
    dispatch: float = 3.0
    credit: float = 2.0
    reading: float = 8.0
    parameters: float = 3.0
    header: float = 11.0
    listing: float = 11.0
    memory: float = float(PORT_LATENCY_CYCLES)


DEFAULT_LATENCIES = Latencies()

ENGINE_LOOP = "engine.Steps"
# The other pipelined loops (templates/kernel) that results pass, by the field that holds their depth.
LOOPS: Mapping[str, str] = {
    "fetch": "fetch_tiles.Tiles",
    "requantise": "requantise.Vectors",
    "row_maximum": "row_maximum.Scores",
    "exponentials": "exponentials.Keys",
    "quotients": "reciprocals.Tokens",
    "add": "layer_norm.Add",
    "scales": "layer_norm.Scales",
    "normalise": "layer_norm.Normalise",
}
