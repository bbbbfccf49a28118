"""Delays of operators by size, device and latency: one curve for all devices, and each device's ratio to it.

An operator that a device's reports show at some sizes only has the shape of the curve between and beyond them; a device
that they do not show has the ratio of the nearest that they do, times how much slower its operators are altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log2
from statistics import mean, median_low

from codegen.schedule.devices import nearest
from codegen.schedule.graph import Timing
from codegen.schedule.multiplications import Curve, interpolate

TOLERANCE_NS = 0.005
_DIGITS = 3
# Up to this size an array becomes LUTs, above it block RAMs: right for 159 of 169 distinct arrays that are written.
LUTRAM_BITS = 2048
# What stands for a family that a device was never seen with: from 2023.1 on a comparison is charged as a subtraction.
_SAME_AS = {"icmp 2023.1": "add"}

# family -> cycles between first and last state -> [size, ns or ratio of the first state, of the last]
Curves = Mapping[str, Mapping[int, Curve]]


@dataclass(frozen=True)
class DelayTable:
    """``curves`` of a device whose factor is 1; ``ratios`` by device to them; ``factors``: medians of all its ratios.

    ``memories``, ``fifos``: device -> [bits of a word, words, ns of an access].
    """

    curves: Curves
    ratios: Mapping[str, Curves]
    factors: Mapping[str, float]
    memories: Mapping[str, Sequence[Sequence[float]]]
    fifos: Mapping[str, Sequence[Sequence[float]]]

    def timing(self, device: str, family: str, size: int, budget_ns: float) -> Timing | None:
        """The operator with the fewest cycles whose states fit the budget, else the fastest; None: never seen."""
        key = device, family, size, budget_ns
        if key not in self._known:
            self._known[key] = self._timing(*key)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, str, int, float], Timing | None]:
        return {}

    def _timing(self, device: str, family: str, size: int, budget_ns: float) -> Timing | None:
        origin = self._origin(device, family)
        if origin is None and family in _SAME_AS:
            return self._timing(device, _SAME_AS[family], size, budget_ns)
        if family not in self.curves:
            return None
        own = set(self.ratios[origin][family]) if origin is not None else set()
        # Latencies that only other devices show come after the device's own.
        latencies = sorted(self.curves[family], key=lambda latency: (latency not in own, latency))
        found = [self.at(device, family, latency, size) for latency in latencies]
        return next(
            (each for each in found if max(each.delay_ns, each.output_delay_ns) <= budget_ns + TOLERANCE_NS),
            min(found, key=lambda each: each.delay_ns),
        )

    def at(self, device: str, family: str, latency: int, size: int) -> Timing:
        """The operator in the states of ``latency``."""
        first, last = interpolate(self.curves[family][latency], size)
        origin = self._origin(device, family)
        ratios = self.ratios.get(origin or "", {}).get(family, {}).get(latency)
        own, other = interpolate(ratios, size) if ratios else (1.0, 1.0)
        factor = self.factor(device) / (self.factor(origin) if ratios and origin is not None else 1.0)
        delay, output = round(factor * own * first, _DIGITS), round(factor * other * last, _DIGITS)
        return Timing(latency, delay, output if latency else 0.0)

    def memory(self, device: str, bits: int, words: int) -> float:
        """Nanoseconds of a load's or store's state.

        LUTs cost the same at each size; of block RAMs the device's array decides that is most alike.
        """
        key = device, max(bits, 1), max(words, 1)
        if key not in self._arrays:
            self._arrays[key] = self._memory(*key)
        return self._arrays[key]

    def _memory(self, device: str, bits: int, words: int) -> float:
        small = bits * words <= LUTRAM_BITS
        for name in nearest(device):
            alike = [each for each in self.memories.get(name, ()) if (each[0] * each[1] <= LUTRAM_BITS) == small]
            if alike:
                found = median_low(each[2] for each in alike) if small else _most_alike(alike, bits, words)
                return found * self.factor(device) / self.factor(name)
        return 0.0

    @cached_property
    def _arrays(self) -> dict[tuple[str, int, int], float]:
        return {}

    def fifo(self, device: str, bits: int, words: int) -> float:
        """Nanoseconds of a FIFO's access, where half the budget is more: of the one that is most alike."""
        for name in nearest(device):
            if name in self.fifos:
                return _most_alike(self.fifos[name], bits, words) * self.factor(device) / self.factor(name)
        return 0.0

    def _origin(self, device: str, family: str) -> str | None:
        """The nearest device whose reports show the family."""
        if family in self.ratios.get(device, {}):
            return device
        if family in _SAME_AS:
            return None
        return next((name for name in nearest(device) if family in self.ratios.get(name, {})), None)

    def factor(self, device: str) -> float:
        """How much slower than the curves' device; of the nearest device where it was never seen."""
        return next((self.factors[name] for name in nearest(device) if name in self.factors), 1.0)


def _most_alike(known: Sequence[Sequence[float]], bits: int, words: int) -> float:
    """The delay of the nearest in powers of two of bits and words; of several, their mean."""

    def apart(each: Sequence[float]) -> float:
        return abs(log2(each[0] / max(bits, 1))) + abs(log2(each[1] / max(words, 1)))

    least = min(map(apart, known))
    return mean(each[2] for each in known if apart(each) == least)
