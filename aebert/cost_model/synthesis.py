"""What HLS said of a design, read back from its run records, and what that says about the routed kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aebert.cost_model.fitted_quantities import QUANTITIES, RESOURCES, ROUTED_TERMS, routed
from aebert.cost_model.spread import Spread
from aebert.cost_model.uncertainty import ROUTED
from aebert.design.hardware_config import HardwareConfig
from aebert.design.pipeline_latencies import Latencies
from aebert.records.database import StoredRecord
from aebert.records.record import RunRecord
from aebert.timing.loop_schedules import LoopFigures, LoopLatency
from aebert.timing.scheduled_latencies import scheduled_latencies

_DEVIATIONS = 2 * 1.645  # of the logarithm, from one end of an interval that holds nine of ten to the other


@dataclass(frozen=True)
class Synthesis:
    """One C synthesis. ``loops`` by ``process.Label``, ``resources`` of one compute unit as HLS counts them, ``units``
    the same by module; ``clock_mhz`` is the scheduler's estimate."""

    tool: str
    loops: Mapping[str, LoopFigures]
    resources: Mapping[str, float]
    units: Mapping[str, Mapping[str, float]]
    clock_mhz: float | None

    def latencies(self, config: HardwareConfig) -> Latencies:
        """The closed form's, with what synthesis made of the loops."""
        loops = [LoopLatency(name, found.ii, found.depth, "csynth") for name, found in self.loops.items()]
        return scheduled_latencies(config, loops)

    def routed(self, name: str) -> tuple[float, Spread] | None:
        """What Vivado makes of csynth's counts of one compute unit, nine times out of ten; None without the counts."""
        amounts = [self.resources.get(term, 0.0) for term in ROUTED_TERMS[name]]
        if not all(amounts):
            return None
        expected = float(np.dot(amounts, QUANTITIES[routed(name)].prior.centre))
        return expected, replace(ROUTED[name], basis=f"csynth of this design ({self.tool}), {ROUTED[name].basis}")


def synthesis_of(records: Sequence[StoredRecord], design_digest: str) -> Synthesis | None:
    """The last synthesis of the design that is stored; None where there is none."""
    mine = [stored.record for stored in records if stored.record.design_digest == design_digest]
    whole = [each for each in mine if each.source == "csynth" and each.scope == "design" and each.lut is not None]
    if not whole:
        return None
    last = whole[-1]
    parts = [each for each in mine if each.report_sha256 == last.report_sha256]
    return Synthesis(
        tool=" ".join(filter(None, (last.tool, last.tool_version))) or "csynth",
        loops={f"{_process(each)}.{each.loop}": figures for each in parts if (figures := _figures(each)) is not None},
        resources=_counts(last),
        units={each.module: _counts(each) for each in parts if each.scope == "module" and each.module is not None},
        clock_mhz=last.clock_estimated_mhz,
    )


def _process(record: RunRecord) -> str:
    """Vitis puts a loop into a module named <function>_Pipeline_<label>."""
    return (record.module or record.design).partition("_Pipeline_")[0]


def _figures(record: RunRecord) -> LoopFigures | None:
    if record.scope != "loop" or record.initiation_interval is None or record.pipeline_depth is None:
        return None
    return LoopFigures(record.initiation_interval, record.pipeline_depth)


def _counts(record: RunRecord) -> dict[str, float]:
    return {name: float(count) for name in RESOURCES if (count := getattr(record, name)) is not None}


def join(mean: float, spread: Spread, other: float, other_spread: Spread) -> tuple[float, Spread]:
    """Two independent estimates of one quantity as one, each weighing by how narrow it is (on the logarithmic scale).

    Where their intervals do not meet they contradict each other, and ``other`` stands alone.
    """
    low, high = max(mean * spread.low, other * other_spread.low), min(mean * spread.high, other * other_spread.high)
    if low > high:
        return other, replace(other_spread, basis=f"{other_spread.basis}; the structure's own interval contradicts it")
    centres, weights = [], []
    for value, each in ((mean, spread), (other, other_spread)):
        bottom, top = math.log(value * each.low), math.log(value * each.high)
        centres.append((bottom + top) / 2)
        weights.append(1 / max((top - bottom) / _DEVIATIONS, 1e-6) ** 2)
    centre = float(np.average(centres, weights=weights))
    reach = _DEVIATIONS / 2 / math.sqrt(sum(weights))
    basis = f"{other_spread.basis}, with {spread.basis}"
    return math.exp(centre), Spread(math.exp(-reach), math.exp(reach), basis, spread.assumed or other_spread.assumed)
