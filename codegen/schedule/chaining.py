"""The earliest schedule at a given II: longest paths over cycles and nanoseconds, with operators chained in a cycle."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codegen.schedule.constraints import Arc, Constraint, LoopConstraints
from codegen.schedule.graph import Timing

# Reports cut delays to 0.01 ns, so a chain of a few may be that much shorter than printed states are.
TOLERANCE_NS = 0.005
_MOST_VISITS = 400


@dataclass
class OperationTimes:
    """Where operations start (``cycle``, ``offset``) and end (``last``, ``finish``); ``cause``: what decided it."""

    cycle: list[int]
    offset: list[float]
    last: list[int]
    finish: list[float]
    cause: list[Constraint | None]


class Infeasible(Exception):
    """No schedule at this II; ``operation`` is on a cycle that does not fit, or past its latest cycle."""

    def __init__(self, operation: int, placement: OperationTimes) -> None:
        super().__init__(operation)
        self.operation = operation
        self.placement = placement


class Chainer:
    """Longest paths for one loop. ``lower``: cycles before which an operation may not start; ports raise them."""

    def __init__(self, constraints: LoopConstraints, timings: Sequence[Timing], budget_ns: float) -> None:
        self.timings, self.budget = timings, budget_ns + TOLERANCE_NS
        self.constraints = constraints
        size = len(timings)
        self.incoming: list[list[Constraint]] = [[] for _ in range(size)]
        outgoing: list[list[int]] = [[] for _ in range(size)]
        degree = [0] * size
        for constraint in constraints.constraints:
            self.incoming[constraint.sink].append(constraint)
            if constraint.distance == 0:
                outgoing[constraint.source].append(constraint.sink)
                degree[constraint.sink] += 1
        self.order = _topological(outgoing, degree)
        self.rank = [0] * size
        for rank, index in enumerate(self.order):
            self.rank[index] = rank
        self.outgoing: list[list[int]] = [[] for _ in range(size)]
        for constraint in constraints.constraints:
            self.outgoing[constraint.source].append(constraint.sink)
        # Operations whose clock gives way: they stay in the cycle of what they are chained to.
        self.stretched: set[int] = set()
        self.lower = [earliest[0] for earliest in constraints.earliest]

    def start(self) -> OperationTimes:
        size = len(self.timings)
        return OperationTimes([0] * size, [0.0] * size, [0] * size, [0.0] * size, [None] * size)

    def solve(
        self, interval: int, placement: OperationTimes, horizon: int, changed: Iterable[int] | None = None
    ) -> None:
        """Raise ``placement`` until all constraints hold; only ``changed`` operations may violate theirs (None: any).

        Raises Infeasible if something passes cycle ``horizon``, or rises without end.
        """
        heap = [self.rank[index] for index in (range(len(self.order)) if changed is None else changed)]
        heapq.heapify(heap)
        waiting = set(heap)
        visits: dict[int, int] = {}
        while heap:
            rank = heapq.heappop(heap)
            waiting.discard(rank)
            index = self.order[rank]
            if not self._place(index, interval, placement):
                continue
            visits[index] = visits.get(index, 0) + 1
            if placement.cycle[index] > horizon or visits[index] > _MOST_VISITS:
                raise Infeasible(index, placement)
            for sink in self.outgoing[index]:
                following = self.rank[sink]
                if following not in waiting:
                    waiting.add(following)
                    heapq.heappush(heap, following)

    def _place(self, index: int, interval: int, placement: OperationTimes) -> bool:
        cycle, offset = placement.cycle[index], placement.offset[index]
        enable = 0.0
        cause: Constraint | None = placement.cause[index]
        earliest = self.constraints.earliest[index]
        lower = (self.lower[index], earliest[1] if self.lower[index] == earliest[0] else 0.0)
        if (cycle, offset) < lower:
            cycle, offset = lower
        for constraint in self.incoming[index]:
            source = constraint.source
            if constraint.arc is Arc.CYCLES:
                at, after = placement.last[source] + constraint.cycles, 0.0
            elif constraint.arc is Arc.BYPASS:
                at, after = placement.cycle[source], 0.0
            else:
                at, after = placement.last[source], placement.finish[source] + constraint.delay_ns
            at -= constraint.distance * interval
            if at > cycle:
                cycle, offset, cause = at, 0.0, constraint
                enable = 0.0
            if at == cycle:
                if constraint.arc is Arc.ENABLE:
                    enable = max(enable, after)
                elif after > offset:
                    offset, cause = after, constraint
        timing = self.timings[index]
        needed = max(offset, enable)
        if needed > 0.0 and needed + timing.delay_ns > self.budget and index not in self.stretched:
            cycle, offset = cycle + 1, 0.0
        finish = timing.output_delay_ns if timing.latency else offset + timing.delay_ns
        if (
            (cycle, offset) == (placement.cycle[index], placement.offset[index])
            and finish == placement.finish[index]
            and (placement.last[index] == cycle + timing.latency)
        ):
            return False
        placement.cycle[index], placement.offset[index] = cycle, offset
        placement.last[index], placement.finish[index] = cycle + timing.latency, finish
        placement.cause[index] = cause
        return True


def _topological(outgoing: Sequence[Sequence[int]], degree: list[int]) -> list[int]:
    """Sources first; operations on a cycle without distance (a broken graph) come last, in order."""
    ready = [index for index, count in enumerate(degree) if count == 0]
    order = []
    while ready:
        index = ready.pop()
        order.append(index)
        for sink in outgoing[index]:
            degree[sink] -= 1
            if degree[sink] == 0:
                ready.append(sink)
    if len(order) < len(degree):
        known = set(order)
        order += [index for index in range(len(degree)) if index not in known]
    return order
