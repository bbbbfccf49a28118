"""Latency and delay of integer multiplications, as Vitis HLS charges them: by operand bits, device, tool and clock.

Vitis' library has a multiplier in 1, 2, 3 and 5 states (no report shows 4), and takes the one with the fewest whose
states fit the budget. The delay of a state grows with the bits of the wider operand before it is extended and not with
the other's: 54 x 6 costs what 50 x 50 does. Devices differ by a factor. Tools from 2020.2 to 2022.2 put a product that
one DSP slice can hold into the slice's own four states. benchmarks/fit_multiplications.py fits all of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.schedule.graph import LoopGraph, Operation, Timing

# What one slice holds (of UltraScale; 7-series holds 18 x 25), and what is too small for it and becomes logic.
SLICE_BITS = (18, 27)
_SMALL_BITS = (6, 10)
_SLICE_TOOLS = ("2020.2", "2023")
_SLICE_LATENCY = 3
_EXTENSIONS = frozenset({"zext", "sext"})

# [operand bits, value], by bits.
Curve = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Multiplications:
    """``curves``: latency -> ns of a state by bits of the wider operand, on a device whose factor is 1.

    ``factors``: device -> what that is multiplied by. ``ratios``: device -> latency -> the same by bits, where its
    reports say more. ``slices``: device -> ns of a state of a DSP slice.
    """

    curves: Mapping[int, Curve]
    factors: Mapping[str, float]
    ratios: Mapping[str, Mapping[int, Curve]]
    slices: Mapping[str, float]

    def timing(self, devices: Sequence[str], version: str, bits: tuple[int, int], budget_ns: float) -> Timing:
        """The multiplication with the fewest cycles that fits the budget; the deepest one where none does.

        ``devices``: of these the first that is known. ``bits``: of the narrower and the wider operand.
        """
        if in_slice(version, bits):
            device = next((device for device in devices if device in self.slices), None)
            if device is not None:
                return Timing(_SLICE_LATENCY, self.slices[device], 0.0)
        for latency in sorted(self.curves):
            delay = self.delay(devices, bits[1], latency)
            if delay <= budget_ns + 0.005:
                break
        return Timing(latency, delay, delay if latency else 0.0)

    def delay(self, devices: Sequence[str], bits: int, latency: int) -> float:
        """Nanoseconds of a state of a multiplication of this latency."""
        device = next((device for device in devices if device in self.factors), "")
        ratios = self.ratios.get(device, {}).get(latency)
        factor = interpolate(ratios, bits)[0] if ratios else self.factors.get(device, 1.0)
        return factor * interpolate(self.curves[latency], bits)[0]


def in_slice(version: str, bits: tuple[int, int]) -> bool:
    """Whether this tool gives a product of these operand bits the states of a DSP slice."""
    fits = all(own <= most for own, most in zip(bits, SLICE_BITS, strict=True))
    large = all(own >= least for own, least in zip(bits, _SMALL_BITS, strict=True))
    return _SLICE_TOOLS[0] <= version < _SLICE_TOOLS[1] and fits and large


def interpolate(points: Curve, size: float) -> Sequence[float]:
    """What stands behind the size of each point, at ``size``: between the neighbours, constant beyond the ends."""
    sizes = [point[0] for point in points]
    place = bisect_left(sizes, size)
    if place == len(points):
        return points[-1][1:]
    if place == 0 or sizes[place] == size:
        return points[place][1:]
    (low, *below), (high, *above) = points[place - 1], points[place]
    share = (size - low) / (high - low)
    return [first + share * (second - first) for first, second in zip(below, above, strict=True)]


def operand_bits(graph: LoopGraph, operation: Operation) -> tuple[int, int]:
    """Of the narrower and the wider operand: the bits of what is extended, those that a constant needs."""
    own = sorted(own_bits(graph, operation, index) for index in range(len(operation.operands)))
    return own[0], own[-1]


def own_bits(graph: LoopGraph, operation: Operation, index: int) -> int:
    """Of an operand: the bits of what is extended, those that a constant needs."""
    operand = operation.operands[index]
    if operand.constant is not None:
        negative = operand.bits > 1 and operand.constant >> (operand.bits - 1) == 1
        value = (1 << operand.bits) - operand.constant if negative else operand.constant
        return min(operand.bits, max(value.bit_length() + negative, 1))
    source = None if operand.source is None else graph.operations[operand.source]
    if source is not None and source.opcode in _EXTENSIONS and source.operands:
        return min(operand.bits, own_bits(graph, source, 0))
    return operand.bits
