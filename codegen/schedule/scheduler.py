"""Modulo scheduling of a loop with operator chaining, as Vitis HLS does it.

The II rises from its target until everything fits. At each II, operations stand as early as their dependences allow
(longest paths over cycles and nanoseconds: ``chaining``); accesses that find no port wait for the next free one
(``ports``), and all is pushed on until nothing changes. Times only ever rise, so it ends: with a schedule, or past the
horizon, which proves that a recurrence, an exit test or the ports do not fit this II.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from codegen.schedule.chaining import Chainer, Infeasible, OperationTimes
from codegen.schedule.constraints import LoopConstraints, constrain
from codegen.schedule.first_state import crowd, is_crowd
from codegen.schedule.graph import LoopGraph, Operation, Timing
from codegen.schedule.ports import conflicts, least_interval
from codegen.schedule.recurrences import overlong
from codegen.schedule.report import limit_of, summarise
from codegen.schedule.result import IntervalLimit, Limit, LoopSchedule
from codegen.schedule.rules import VITIS, Rules

_MOST_II = 4096


class TimingModel(Protocol):
    """Delay and latency of an operation in the context of its loop."""

    def timing(self, graph: LoopGraph, operation: Operation) -> Timing: ...


def schedule_loop(graph: LoopGraph, model: TimingModel, rules: Rules = VITIS) -> LoopSchedule:
    """Schedule a loop under its clock. An operation's own ``timing`` comes before the model's.

    Raises ValueError when no II up to 4096 fits (a dependence cycle without distance).
    """
    timings = [operation.timing or model.timing(graph, operation) for operation in graph.operations]
    found = _schedule(graph, timings, rules)
    read = crowd(graph, timings, found, rules)
    needed = [phi for phi in read if _schedule(graph, timings, rules, (phi,)).depth > found.depth]
    return _schedule(graph, timings, rules, read) if is_crowd(graph, needed) else found


def _schedule(graph: LoopGraph, timings: Sequence[Timing], rules: Rules, late: Collection[int] = ()) -> LoopSchedule:
    constraints = constrain(graph, timings, rules, late)
    target = graph.target_ii or 1
    limits: list[IntervalLimit] = []
    interval = target
    if constraints.least_ii > interval:
        reason = f"calls {constraints.callee}, which begins every {constraints.least_ii} cycles"
        limits.append(IntervalLimit(interval, Limit.CALLEE, reason))
        interval = constraints.least_ii
    for group in constraints.ports:
        least = least_interval(graph, group, rules.exclusive_accesses_share_port)
        if least > interval:
            reason = f"{len(group.accesses)} accesses of {group.name}, which has {group.ports} port(s)"
            limits.append(IntervalLimit(interval, Limit.PORTS, reason))
            interval = least
    while interval <= _MOST_II:
        attempt = _at_interval(graph, constraints, timings, interval, rules)
        if isinstance(attempt, OperationTimes):
            return summarise(graph, timings, attempt, interval, tuple(limits))
        limits.append(attempt)
        interval = max(interval + 1, attempt.least_ii)
    raise ValueError(f"{graph.process}: {graph.label}: no II up to {_MOST_II} fits")


def _at_interval(
    graph: LoopGraph, constraints: LoopConstraints, timings: Sequence[Timing], interval: int, rules: Rules
) -> OperationTimes | IntervalLimit:
    """A schedule at this II, or what stands against it."""
    chainer = Chainer(constraints, timings, graph.context.budget_ns)
    horizon = _horizon(timings, graph, interval)
    if graph.ii_is_explicit and interval == graph.target_ii:
        chainer.stretched = overlong(graph, timings, graph.context.budget_ns * interval)
    placement = chainer.start()
    try:
        return _settle(graph, constraints, timings, chainer, placement, interval, horizon, rules)
    except Infeasible as infeasible:
        return limit_of(graph, timings, placement, infeasible.operation, interval, Limit.RECURRENCE)


def _settle(
    graph: LoopGraph,
    constraints: LoopConstraints,
    timings: Sequence[Timing],
    chainer: Chainer,
    placement: OperationTimes,
    interval: int,
    horizon: int,
    rules: Rules,
) -> OperationTimes | IntervalLimit:
    """Raise the placement until dependences and ports hold. Raises Infeasible."""
    changed: dict[int, int] | None = None
    while True:
        chainer.solve(interval, placement, horizon, changed)
        for exit_test in constraints.exit_tests:
            if placement.last[exit_test] >= interval + constraints.first_cycle:
                return limit_of(graph, timings, placement, exit_test, interval, Limit.EXIT_TEST)
        changed = conflicts(graph, constraints.ports, placement, interval, rules.exclusive_accesses_share_port)
        if not changed:
            return placement
        for access, cycle in changed.items():
            chainer.lower[access] = cycle


def _horizon(timings: Sequence[Timing], graph: LoopGraph, interval: int) -> int:
    """More cycles than any schedule takes whose recurrences fit."""
    latency = sum(timing.latency for timing in timings)
    delay = sum(timing.delay_ns for timing in timings)
    serial = latency + int(delay / max(graph.context.budget_ns, 0.01)) + len(graph.storages)
    return min(serial, 400 + 4 * max((t.latency for t in timings), default=0)) + 2 * interval + 8
