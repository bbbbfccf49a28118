"""All that a library built with `TIMED_OPTIONS` needs to know before a launch, as calls of its functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aebert.support.errors import AebertError
from aebert.timing.kernel_pragmas import KernelPragmas
from aebert.timing.loop_schedules import LoopLatency
from aebert.timing.memory_ports import PortTiming
from host.emulated.board_process import LibraryCall

_NUMBERS = re.compile(r"(\[\d+\])+$")


def timing_calls(
    pragmas: KernelPragmas, schedules: Iterable[LoopLatency], ports: Mapping[str, PortTiming]
) -> tuple[LibraryCall, ...]:
    """In the order in which they must be made. Raises AebertError for accesses of streams that a process has not."""
    return tuple(_calls(pragmas, schedules, ports))


def _calls(
    pragmas: KernelPragmas, schedules: Iterable[LoopLatency], ports: Mapping[str, PortTiming]
) -> Iterator[LibraryCall]:
    yield LibraryCall("aebert_timing_clear", ())
    for schedule in schedules:
        yield LibraryCall("aebert_timing_set_loop", (schedule.loop, schedule.ii, schedule.depth))
        yield from _stages(schedule, pragmas.parameters.get(schedule.process, ()))
    for name, array in pragmas.arrays.items():
        yield LibraryCall(
            "aebert_timing_set_array",
            (name, int(array.banked), int(array.registers), array.read_ports, array.write_ports),
        )
    for dependence in pragmas.dependences:
        yield LibraryCall("aebert_timing_set_dependence", (dependence.loop, dependence.array, dependence.distance))
    for name, port in ports.items():
        yield LibraryCall(
            "aebert_timing_set_port",
            (name, float(port.words_per_cycle), port.latency, port.burst_words, port.gap, port.outstanding),
        )


def _stages(schedule: LoopLatency, parameters: Sequence[str]) -> Iterator[LibraryCall]:
    """Those of an array of streams have the stage of the first."""
    stages: dict[int, int] = {}
    for access in schedule.accesses:
        if schedule.ii and access.reads:
            continue
        name = access.stream if access.stream in parameters else _NUMBERS.sub("", access.stream)
        if name not in parameters:
            raise AebertError(f"loop {schedule.loop}: {access.stream} is no parameter of {schedule.process}")
        argument = parameters.index(name)
        stages[argument] = min(access.stage, stages.get(argument, access.stage))
    for argument, stage in stages.items():
        yield LibraryCall("aebert_timing_set_stage", (schedule.loop, argument, stage))
    if schedule.ii:
        yield LibraryCall("aebert_timing_set_first_read", (schedule.loop, schedule.first_read))
