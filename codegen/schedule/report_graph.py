"""From a Vitis schedule report to the data-flow graph of each pipelined loop, and to what Vitis made of it.

Program order is not printed. Within a state Vitis numbers operations in program order, and a later state follows an
earlier one; that is the order taken here. Nothing else of the schedule that Vitis found goes into the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aebert.hls_reports.schedule_model import ReportLoop, ReportPipeline, ScheduleReport
from codegen.schedule.graph import LoopGraph
from codegen.schedule.report_operations import collect
from codegen.schedule.report_wiring import wire


@dataclass(frozen=True)
class ObservedSchedule:
    """What Vitis did. ``cycles``: the first state of each operation, counted from the pipeline's first state."""

    initiation_interval: int
    target_ii: int
    depth: int
    clock_ns: float
    cycles: tuple[int, ...]

    @property
    def misses_target(self) -> bool:
        return self.initiation_interval > self.target_ii


@dataclass(frozen=True)
class ObservedLoop:
    graph: LoopGraph
    observed: ObservedSchedule


def reported_loops(report: ScheduleReport, callee_intervals: Mapping[str, int] | None = None) -> list[ObservedLoop]:
    """The pipelined loops of a report; ``callee_intervals``: II of the pipelined functions it may call, by name."""
    pipelined = [loop for loop in report.loops if loop.pipelined]
    loops = []
    for index, pipeline in enumerate(report.pipelines):
        row = pipelined[index] if len(pipelined) == len(report.pipelines) else None
        loops.append(_reported_loop(report, pipeline, row, callee_intervals or {}))
    return loops


def _reported_loop(
    report: ScheduleReport, pipeline: ReportPipeline, row: ReportLoop | None, intervals: Mapping[str, int]
) -> ObservedLoop:
    body = collect(report, pipeline, is_loop=row is not None or bool(report.loops))
    graph = wire(report, body, row, intervals)
    clock = max(report.state_delays_ns[state] for state in pipeline.states)
    target = _target(body.asked_ii, row)
    cycles = tuple(operation.cycle for operation in body.operations)
    observed = ObservedSchedule(pipeline.initiation_interval, target, pipeline.depth, clock, cycles)
    return ObservedLoop(graph, observed)


def _target(asked: int | None, row: ReportLoop | None) -> int:
    if row is not None and row.target_ii is not None:
        return row.target_ii
    return asked or 1
