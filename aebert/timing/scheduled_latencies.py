"""The closed form's latencies from what is known of the kernel's loops: a synthesis, or a schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from aebert.design.hardware_config import HardwareConfig
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, ENGINE_LOOP, LOOPS, Latencies
from aebert.timing.loop_schedules import LoopLatency


def scheduled_latencies(config: HardwareConfig, schedules: Iterable[LoopLatency]) -> Latencies:
    """Depths, and the engine's II, of ``schedules`` that are scheduled or synthesised; the rest as by default.

    The other loops are taken to have the II that they ask for: timed emulation counts with all of them.
    """
    known = {each.loop: each for each in schedules if each.source != "operator table" and each.ii > 0}
    found = {name: float(known[loop].depth) for name, loop in LOOPS.items() if loop in known}
    engine = known.get(ENGINE_LOOP)
    if engine is None:
        return replace(DEFAULT_LATENCIES, **found)
    # What the closed form adds for the cascade and the adder tree of this design is in the depth already.
    chain = config.packing.chain
    lanes = chain - 1.0 + math.log2(config.in_lanes / chain)
    return replace(DEFAULT_LATENCIES, engine=max(1.0, engine.depth - lanes), engine_interval=float(engine.ii), **found)
