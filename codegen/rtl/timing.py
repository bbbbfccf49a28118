"""What the schedule says of a loop's operations."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.rtl.piece_reader import Place
from codegen.schedule.frontend.loop_graph import ReadLoop
from codegen.schedule.lanes import merge_lanes
from codegen.schedule.result import LoopSchedule
from codegen.schedule.scheduler import TimingModel, schedule_loop


@dataclass(frozen=True)
class LoopTiming:
    """``stages`` and ``latencies`` of each operation of the loop's graph."""

    label: str
    pipelined: bool
    schedule: LoopSchedule
    stages: tuple[int, ...]
    latencies: tuple[int, ...]

    @property
    def interval(self) -> int:
        return self.schedule.initiation_interval

    def place(self, operation: int) -> Place:
        return Place(self.stages[operation], self.latencies[operation])


def loop_timing(read: ReadLoop, model: TimingModel) -> LoopTiming:
    merged = merge_lanes(read.graph)
    schedule = schedule_loop(merged.graph, model)
    latencies = [
        (operation.timing or model.timing(merged.graph, operation)).latency for operation in merged.graph.operations
    ]
    return LoopTiming(
        read.graph.label,
        read.graph.pipelined,
        schedule,
        tuple(schedule.cycles[place] for place in merged.place),
        tuple(latencies[place] for place in merged.place),
    )
