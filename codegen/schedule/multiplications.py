"""Latency and delay of integer multiplications, as Vitis HLS charges them: by the wider operand, device and clock.

Vitis' library has a multiplier in 1, 2, 3 and 5 states (no report shows 4), and takes the one with the fewest whose
states fit the budget. The delay of a state grows with the bits of the wider operand before it is extended and not with
the other's: 54 x 6 costs what 50 x 50 does. Devices differ by a factor. benchmarks/fit_multiplications.py fits both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from codegen.schedule.graph import LoopGraph, Operation, Timing

_EXTENSIONS = frozenset({"zext", "sext"})

# [operand bits, ns of each state], by bits.
Curve = Sequence[Sequence[float]]


class Multiplications:
    """``factors``: device -> what its delays are multiplied by. ``curves``: latency in cycles -> delay by bits."""

    def __init__(self, factors: Mapping[str, float], curves: Mapping[int, Curve]) -> None:
        self._factors = factors
        self._curves = dict(sorted(curves.items()))

    def timing(self, devices: Sequence[str], bits: int, budget_ns: float) -> Timing:
        """The multiplication with the fewest cycles that fits the budget; the deepest one where none does.

        ``devices``: of these the first whose factor is known. ``bits``: of the wider operand.
        """
        for latency in self._curves:
            delay = self.delay(devices, bits, latency)
            if delay <= budget_ns + 0.005:
                break
        return Timing(latency, delay, delay if latency else 0.0)

    def delay(self, devices: Sequence[str], bits: int, latency: int) -> float:
        """Nanoseconds of a state of a multiplication of this latency."""
        factor = next((self._factors[device] for device in devices if device in self._factors), 1.0)
        return factor * interpolate(self._curves[latency], bits)[0]


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


def operand_bits(graph: LoopGraph, operation: Operation) -> int:
    """Bits of the wider operand: of what is extended, and of a constant those that it needs."""
    return max((_own_bits(graph, operation, index) for index in range(len(operation.operands))), default=1)


def _own_bits(graph: LoopGraph, operation: Operation, index: int) -> int:
    operand = operation.operands[index]
    if operand.constant is not None:
        return min(operand.bits, max(operand.constant.bit_length(), 1))
    source = None if operand.source is None else graph.operations[operand.source]
    if source is not None and source.opcode in _EXTENSIONS and source.operands:
        return min(operand.bits, _own_bits(graph, source, 0))
    return operand.bits
