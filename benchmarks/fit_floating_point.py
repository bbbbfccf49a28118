"""Fit latency and delay of floating-point operators: on the rows of schedule reports, and on csynth's names.

A name says the states but no delay: fadd_32ns_32ns_32_7_full_dsp_1 has seven, and fits the clock of its design.
benchmarks/fit_operators.py writes the fit.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.tables import Row
from codegen.schedule.devices import device_of, nearest
from codegen.schedule.floating_point import FloatingPoint, core_family
from codegen.schedule.graph import DesignContext

_NAME = re.compile(r"^(?P<opcode>[a-z]+)_[\dns_]+?_(?P<states>\d+)_(?P<core>no|full|max|med)_dsp")
_OPCODE = re.compile(r"[fdh](add|sub|mul|div|cmp|sqrt|exp|log|recip|acc|pext|ptrunc|ptosi|ptoui)|[su]ito[fdh]p")
_BOTH = {"faddfsub": "fadd", "dadddsub": "dadd"}


@dataclass(frozen=True, slots=True)
class Observation:
    """What Vitis chose under a budget; ``delay_ns`` of its first and last state, None where only a name is known."""

    device: str
    family: str
    budget_ns: float
    latency: int
    delay_ns: tuple[float, float] | None


def observations(operators: Iterable[Row], areas: Iterable[Row]) -> list[Observation]:
    found: dict[tuple[str, str, float, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in operators:
        if _OPCODE.fullmatch(row["operation"]) and row["stage"] in ("only", "first", "last"):
            budget = round(float(row["clock_ns"]) - float(row["uncertainty_ns"] or 0), 2)
            key = device_of(row["part"]), core_family(row["operation"], row["core"]), budget, int(row["latency_cycles"])
            found[key]["last" if row["stage"] == "last" else "first"].append(float(row["delay_ns"]))
    printed = [
        Observation(*key, (statistics.median(delays["first"]), statistics.median(delays["last"] or delays["first"])))
        for key, delays in sorted(found.items())
    ]
    return printed + list(dict.fromkeys(each for row in areas if (each := _named(row)) is not None))


def _named(row: Row) -> Observation | None:
    match = _NAME.match(row["core"])
    if match is None or not row["clock_ns"]:
        return None
    opcode = _BOTH.get(match["opcode"], match["opcode"])
    if not _OPCODE.fullmatch(opcode):
        return None
    budget = DesignContext(float(row["clock_ns"]), row["part"], row["tool_version"]).budget_ns
    family = core_family(opcode, match["core"] + "dsp")
    return Observation(device_of(row["part"]), family, round(budget, 2), int(match["states"]) - 1, None)


def fit(found: Iterable[Observation], speeds: Mapping[str, float]) -> FloatingPoint:
    """``speeds``: factors of the devices in logic, which tell the speed grades of a fabric apart."""
    delays: dict[str, dict[str, dict[int, tuple[float, float]]]] = defaultdict(lambda: defaultdict(dict))
    choices: dict[str, dict[str, set[tuple[float, int]]]] = defaultdict(lambda: defaultdict(set))
    for each in found:
        choices[each.family][each.device].add((each.budget_ns, each.latency))
        if each.delay_ns is not None:
            delays[each.family][each.device][each.latency] = each.delay_ns
    return FloatingPoint(
        {family: {device: {k: list(v) for k, v in known.items()} for device, known in devices.items()}
         for family, devices in sorted(delays.items())},
        {family: {device: [list(choice) for choice in sorted(made)] for device, made in sorted(devices.items())}
         for family, devices in sorted(choices.items())},
        _factors(delays, speeds),
    )  # fmt: skip


def _factors(
    delays: Mapping[str, Mapping[str, Mapping[int, tuple[float, float]]]], speeds: Mapping[str, float]
) -> dict[str, float]:
    """Against the device with the most operators, from latencies that both have; for others from their fabric's."""
    counts: dict[str, int] = defaultdict(int)
    for devices in delays.values():
        for device, known in devices.items():
            counts[device] += len(known)
    if not counts:
        return {}
    reference = max(sorted(counts), key=lambda device: counts[device])
    ratios: dict[str, list[float]] = defaultdict(list)
    for devices in delays.values():
        for device, known in devices.items():
            for latency in known.keys() & devices.get(reference, {}).keys():
                ratios[device].append(max(known[latency]) / max(devices[reference][latency]))
    factors = {device: round(statistics.median(found), 3) for device, found in ratios.items()}
    for device, speed in speeds.items():
        known_device = next((name for name in nearest(device) if name in factors), reference)
        factors.setdefault(device, round(factors[known_device] * speed / speeds.get(known_device, 1.0), 3))
    return factors
