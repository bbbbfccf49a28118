"""What a schedule of a project's own loops tells the cost model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.uncertainty import clock_spread
from aebert.design.pipeline_latencies import Latencies

# How far a schedule's estimate of the longest state may be off (codegen.schedule.report.CLOCK_SPREAD).
CLOCK_SPREAD = 0.10


@dataclass(frozen=True)
class ScheduledKernel:
    """``reached_mhz``: the clock that the longest state of a pipelined loop allows, uncertainty kept free.

    ``register_bits``: pipelined loop -> flip-flops of what crosses its stages and of what it carries.
    """

    latencies: Latencies
    reached_mhz: float
    register_bits: Mapping[str, int] = field(default_factory=dict)

    def clock(self, asked_mhz: float, dies: int) -> tuple[float, Spread]:
        """Milliseconds per cycle, and their spread: no faster than asked for, and as linking slows kernels down that
        span so many ``dies``."""
        mean = min(asked_mhz, self.reached_mhz)
        slowest = min(mean, self.reached_mhz / (1 + CLOCK_SPREAD))
        fastest = min(asked_mhz, self.reached_mhz * (1 + CLOCK_SPREAD))
        basis = (
            f"schedule of the kernel's loops: their longest state allows {self.reached_mhz:.0f} MHz, "
            f"{CLOCK_SPREAD:.0%} either way"
        )
        return 1e-3 / mean, combine(Spread(mean / fastest, mean / slowest, basis), clock_spread(dies).inverse)
