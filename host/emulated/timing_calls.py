"""All that a library built with `TIMED_OPTIONS` needs to know before a launch, as calls of its functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from aebert.timing.kernel_pragmas import KernelPragmas
from aebert.timing.loop_schedules import LoopLatency
from aebert.timing.memory_ports import PortTiming
from host.emulated.board_process import LibraryCall


def timing_calls(
    pragmas: KernelPragmas, schedules: Iterable[LoopLatency], ports: Mapping[str, PortTiming]
) -> tuple[LibraryCall, ...]:
    """In the order in which they must be made."""
    return tuple(_calls(pragmas, schedules, ports))


def _calls(
    pragmas: KernelPragmas, schedules: Iterable[LoopLatency], ports: Mapping[str, PortTiming]
) -> Iterator[LibraryCall]:
    yield LibraryCall("aebert_timing_clear", ())
    for schedule in schedules:
        yield LibraryCall("aebert_timing_set_loop", (schedule.loop, schedule.ii, schedule.depth))
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
