"""From a placement to what is said of it: depth, clock, stages, and critical chains in words."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.schedule.chaining import OperationTimes
from codegen.schedule.constraints import Arc
from codegen.schedule.graph import LoopGraph, Operation, StorageKind, Timing
from codegen.schedule.result import AccessStage, ChainedOperation, IntervalLimit, Limit, LoopSchedule

# How far the estimate of the clock may be off; benchmarks/schedule.py measures it.
CLOCK_SPREAD = 0.10


def summarise(
    graph: LoopGraph,
    timings: Sequence[Timing],
    placement: OperationTimes,
    interval: int,
    limits: tuple[IntervalLimit, ...],
) -> LoopSchedule:
    depth = max(placement.last, default=0) + 1
    clock, operation = _longest_chain(timings, placement)
    critical = _chain(graph, timings, placement, operation)
    return LoopSchedule(
        graph.process, graph.label, graph.target_ii or 1, interval, depth, depth,
        clock, (clock * (1 - CLOCK_SPREAD), clock * (1 + CLOCK_SPREAD)), graph.context.budget_ns,
        tuple(placement.cycle), tuple(placement.last), tuple(placement.offset), tuple(placement.finish),
        tuple(_accesses(graph, placement)), critical, limits,
    )  # fmt: skip


def _longest_chain(timings: Sequence[Timing], placement: OperationTimes) -> tuple[float, int]:
    """The longest chain of a state in ns, and the operation that it ends in."""
    longest, at = 0.0, -1
    for index, timing in enumerate(timings):
        end = max(placement.offset[index] + timing.delay_ns, timing.output_delay_ns if timing.latency else 0.0)
        if end > longest:
            longest, at = end, index
    return longest, at


def describe(operation: Operation) -> str:
    """``add i32 tile_count``."""
    width = f" i{operation.bits}" if operation.bits else ""
    place = f" {operation.access.storage}" if operation.access else f" {operation.name}" if operation.name else ""
    return f"{operation.opcode}{width}{place}"


def _chain(
    graph: LoopGraph, timings: Sequence[Timing], placement: OperationTimes, index: int
) -> tuple[ChainedOperation, ...]:
    """The operations that are chained in front of ``index``, in its cycle."""
    chain: list[ChainedOperation] = []
    seen: set[int] = set()
    while index >= 0 and index not in seen:
        seen.add(index)
        operation = graph.operations[index]
        chain.append(ChainedOperation(index, describe(operation), operation.line, timings[index].delay_ns))
        cause = placement.cause[index]
        if cause is None or placement.offset[index] <= 0.0 or cause.arc is Arc.CYCLES:
            break
        index = cause.source
    return tuple(reversed(chain))


def limit_of(
    graph: LoopGraph, timings: Sequence[Timing], placement: OperationTimes, index: int, interval: int, kind: Limit
) -> IntervalLimit:
    """The cycle of constraints that does not fit II, or the chain in front of the exit test, in words."""
    path: list[int] = []
    seen: dict[int, int] = {}
    cycles, distance = [0], [0]
    while index not in seen:
        seen[index] = len(path)
        path.append(index)
        cause = placement.cause[index]
        if cause is None:
            break
        index = cause.source
        whole = cause.cycles if cause.arc is Arc.CYCLES else 0
        cycles.append(cycles[-1] + whole + (timings[index].latency if cause.arc is not Arc.BYPASS else 0))
        distance.append(distance[-1] + cause.distance)
    else:
        first = seen[index]
        path = path[first:]
        cycles, distance = [cycles[-1] - cycles[first]], [distance[-1] - distance[first]]
    chain = tuple(
        ChainedOperation(i, describe(graph.operations[i]), graph.operations[i].line, timings[i].delay_ns)
        for i in reversed(path)
    )
    total = sum(link.delay_ns for link in chain)
    words = {
        Limit.EXIT_TEST: f"the exit test is not known in the first {interval} cycle(s)",
        Limit.RECURRENCE: f"a carried dependence of {len(chain)} operations takes {total:.2f} ns and does not fit",
    }
    least = -(-cycles[-1] // distance[-1]) if kind is Limit.RECURRENCE and distance[-1] else 0
    return IntervalLimit(interval, kind, words.get(kind, kind.value), chain, least)


def _accesses(graph: LoopGraph, placement: OperationTimes) -> list[AccessStage]:
    return [
        AccessStage(
            index,
            operation.access.storage,
            operation.opcode,
            placement.cycle[index],
            placement.last[index],
            operation.line,
        )
        for index, operation in enumerate(graph.operations)
        if operation.access is not None and graph.storages[operation.access.storage].kind is not StorageKind.REGISTER
    ]
