"""The closed form's latencies from what is known of the kernel's loops: a synthesis, or a schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from aebert.design.hardware_config import HardwareConfig
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, ENGINE_LOOP, LOOPS, Latencies
from aebert.timing.loop_schedules import LoopLatency

# The requantiser's stream of them.
ADDENDS = "to_layer_norm"
READER_LOOP = "read_parameters.Words"
# As in RTL of our own schedules. The operator table charges the states in front of a reader's loop one by one.
READERS = {"reading": DEFAULT_LATENCIES.pass_control, "parameters": 2.0}


def scheduled_latencies(config: HardwareConfig, schedules: Iterable[LoopLatency]) -> Latencies:
    """Depths, and the engine's II, of ``schedules`` that are scheduled or synthesised; the rest as by default.

    The other loops are taken to have the II that they ask for: timed emulation counts with all of them.
    """
    known = {each.loop: each for each in schedules if each.source != "operator table" and each.ii > 0}
    found = {name: float(_from_its_read(name, known[loop])) for name, loop in LOOPS.items() if loop in known}
    if READER_LOOP in known:
        found |= READERS
    if "requantise" in found:
        found["addends"] = _until_written(known[LOOPS["requantise"]], ADDENDS)
    engine = known.get(ENGINE_LOOP)
    if engine is None:
        return replace(DEFAULT_LATENCIES, **found)
    # What the closed form adds for the cascade and the adder tree of this design is in the depth already.
    chain = config.packing.chain
    lanes = chain - 1.0 + math.log2(config.in_lanes / chain)
    return replace(DEFAULT_LATENCIES, engine=max(1.0, engine.depth - lanes), engine_interval=float(engine.ii), **found)


def _from_its_read(name: str, loop: LoopLatency) -> int:
    """From what a loop waits for, in the stage of its first read, to its end; the normalisation waits for nothing."""
    return loop.depth if name == "normalise" else loop.depth - loop.first_read


def _until_written(loop: LoopLatency, stream: str) -> float:
    stage = next((each.stage for each in loop.accesses if each.stream == stream), loop.depth - 1)
    return float(stage + 1 - loop.first_read)
