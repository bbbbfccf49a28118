"""The quantities that fit fits: what the structure gives for each, and what is believed before any run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.cost_model.robust_fit import Prior

CYCLES, CLOCK_PERIOD, COSIM_CYCLES = "cycles", "clock period", "cosim cycles"
RESOURCES = ("lut", "ff", "dsp", "bram_18k", "uram")


@dataclass(frozen=True)
class Quantity:
    """``unit`` of the measured value; ``terms`` of the structure, with the belief about their coefficients.

    ``levels`` among the prior's name what runs may be grouped by.
    """

    name: str
    unit: str
    terms: tuple[str, ...]
    prior: Prior

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(self.prior.levels)


def routed(resource: str) -> str:
    return f"routed {resource}"


# csynth's counts that each routed count follows from. It prices logic that Vivado then merges or removes, so its LUTs
# say less about the routed ones than its flip-flops do, which are registers of the pipelines and stay.
ROUTED_TERMS: Mapping[str, tuple[str, ...]] = {
    "lut": ("lut", "ff"),
    "ff": ("ff", "lut"),
    "dsp": ("dsp",),
    "bram_18k": ("bram_18k",),
    "uram": ("uram",),
}
# Coefficients of those terms and their spread (log scale): python -m benchmarks.cost_model --data ... --schedules ...,
# 35 pairs of 18 designs that Vivado 2019.2 to 2024.2 routed.
_ROUTED = {
    "lut": ([0.20, 0.50], [0.3, 0.3]),
    "ff": ([0.70, 0.05], [0.3, 0.5]),
    "dsp": ([1.0], [0.05]),
    "bram_18k": ([1.0], [0.3]),
    "uram": ([1.0], [0.3]),
}


# What csynth counts per count after routing, in the middle of the same pairs (median of kernels over 5000 LUTs).
CSYNTH_PER_ROUTED = {"lut": 1 / 0.78, "ff": 1 / 0.81, "dsp": 1.0, "bram_18k": 1.0, "uram": 1.0}


def _prior(centre: list[float], spread: list[float], noise: float, freedom: float = 4.0, **levels: float) -> Prior:
    return Prior(np.array(centre), np.array(spread), levels, noise, freedom)


def _quantities() -> tuple[Quantity, ...]:
    """Spreads are judgements, on the log scale: how far a coefficient or a group has been seen to lie from its centre.

    Launch overhead 0.03 ms: idle Sextans launches take 0.010 ms (U280) and 0.029 ms (U250) in its authors' runs.
    """
    cycles = Quantity(
        CYCLES,
        "cycles",
        ("engine cycles", "other cycles", "launch"),
        _prior([1, 1, 0.03], [0.02, 0.2, 1.0], 0.005, source=0.02, tool=0.01, board=0.02, design=0.01),
    )
    period = Quantity(
        CLOCK_PERIOD,
        "ns",
        ("asked", "crowded"),
        # Eight linked kernels reached 0.77 to 1 of the clock that they were asked for (benchmarks.clocks).
        _prior([1, 1], [0.15, 1.0], 0.05, tool=0.05, board=0.05, design=0.1),
    )
    # csynth counts most designs to the cycle and a few not at all (what a dataflow region overlaps).
    cosim = Quantity(
        COSIM_CYCLES,
        "cycles",
        ("csynth", "start"),
        _prior([1, 10], [0.01, 1.5], 0.005, freedom=1.5, tool=0.005, design=0.02),
    )
    predicted = [
        Quantity(
            name,
            "count",
            ("predicted",),
            _prior([1], [0.3], 0.05, stage=0.2, tool=0.05, board=0.05, design=0.1),
        )
        for name in RESOURCES
    ]
    from_csynth = [
        Quantity(routed(name), "count", ROUTED_TERMS[name], _prior(centre, spread, 0.05, tool=0.1, design=0.25))
        for name, (centre, spread) in _ROUTED.items()
    ]
    return cycles, period, cosim, *predicted, *from_csynth


QUANTITIES: Mapping[str, Quantity] = {quantity.name: quantity for quantity in _quantities()}
