"""Latency and delay of floating-point operators, as Vitis HLS charges them: by device and clock.

Vitis' library has each operator in many latencies and takes the one with the fewest cycles whose states fit the budget.
So each choice that a report shows says two things: the states of its latency fit that budget, and those of fewer cycles
do not. Where the delay of a latency was never printed for a device, it is that of the other devices times a factor, or
what the nearest latency takes altogether, divided among the states; within what the choices allow.
benchmarks/fit_floating_point.py fits it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

from codegen.schedule.devices import nearest
from codegen.schedule.graph import Timing

_TOLERANCE_NS = 0.005
# One adder does both; unsigned conversions cost what signed ones do.
_SAME = {"fsub": "fadd", "dsub": "dadd", "uitofp": "sitofp", "uitodp": "sitodp", "fptoui": "fptosi", "dptoui": "dptosi"}
# Where no state of the operator's usual core fits, it is built without DSP slices.
_WITHOUT_SLICES = "_nodsp"


def core_family(opcode: str, core: str = "") -> str:
    """The family of a floating-point operator: ``fadd`` for fsub, ``fadd_nodsp`` for one in an adder without slices."""
    name = _SAME.get(opcode, opcode)
    return name + _WITHOUT_SLICES if "nodsp" in core.lower() and name in ("fadd", "dadd", "fmul", "dmul") else name


@dataclass(frozen=True)
class FloatingPoint:
    """``delays``: family -> device -> latency -> [ns of the first state, of the last].

    ``choices``: family -> device -> [budget in ns, latency that Vitis chose]. ``factors``: how much slower a device is.
    """

    delays: Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]]
    choices: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
    factors: Mapping[str, float]

    def timing(self, device: str, opcode: str, budget_ns: float) -> Timing | None:
        """The operator under a budget; None for one that was never seen."""
        name = core_family(opcode)
        found = [self._fastest(device, each, budget_ns) for each in (name, name + _WITHOUT_SLICES)]
        seen = [each for each in found if each is not None]
        fits = (each for each in seen if max(each.delay_ns, each.output_delay_ns) <= budget_ns + _TOLERANCE_NS)
        return next(fits, min(seen, key=lambda each: each.delay_ns) if seen else None)

    def _fastest(self, device: str, family: str, budget_ns: float) -> Timing | None:
        known = self._points.get(family)
        if known is None:
            return None
        # Not every latency exists between those that were seen; fewer cycles than those were never possible there.
        for latency in (*range(min(known)), *sorted(known)):
            first, last = self._delay(device, family, latency)
            if max(first, last) <= budget_ns + _TOLERANCE_NS:
                break
        return Timing(latency, first, last if latency else 0.0)

    def _delay(self, device: str, family: str, latency: int) -> tuple[float, float]:
        """Of the first and the last state, in ns."""
        delays, choices = self.delays.get(family, {}), self.choices.get(family, {})
        origin = next((name for name in nearest(device) if name in delays or name in choices), device)
        scale = self.factor(device) / self.factor(origin)
        printed = delays.get(origin, {}).get(latency)
        if printed is not None:
            return scale * printed[0], scale * printed[1]
        made = choices.get(origin, ())
        most = min((scale * budget for budget, chosen in made if latency >= chosen), default=float("inf"))
        least = max((scale * budget + 2 * _TOLERANCE_NS for budget, chosen in made if latency < chosen), default=0.0)
        delay = max(min(_between(self._points[family], latency) * self.factor(device), most), least)
        return delay, delay

    @cached_property
    def _points(self) -> dict[str, dict[int, float]]:
        """At factor 1, by family and latency: medians of what was printed, and the budgets of what was only chosen."""
        lists: dict[str, dict[int, list[float]]] = {}
        for family, devices in self.delays.items():
            for device, known in devices.items():
                for latency, states in known.items():
                    points = lists.setdefault(family, {}).setdefault(latency, [])
                    points.append(max(states) / self.factor(device))
        printed = {family: set(points) for family, points in lists.items()}
        for family, chosen in self.choices.items():
            for device, made in chosen.items():
                for budget, cycles in made:
                    if cycles not in printed.get(family, ()):
                        points = lists.setdefault(family, {}).setdefault(int(cycles), [])
                        points.append(budget / self.factor(device))
        return {
            family: {latency: statistics.median(found) for latency, found in known.items()}
            for family, known in lists.items()
        }

    def factor(self, device: str) -> float:
        """Of the nearest device where it was never seen."""
        return next((self.factors[name] for name in nearest(device) if name in self.factors), 1.0)


def _between(points: Mapping[int, float], latency: int) -> float:
    """Of the latency that is nearest: more states share what fewer do."""
    near = min(points, key=lambda known: abs(log((known + 1) / (latency + 1))))
    return points[near] * (near + 1) / (latency + 1)
