"""A project's C++ in timed emulation: the same sources with AEBERT_TIMED, told of loops, arrays and ports."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from pathlib import Path

from aebert.timing.ports import PortTiming
from aebert.timing.pragmas import KernelPragmas, parse_pragmas
from aebert.timing.result import TimedResult, parse_result
from aebert.timing.schedules import LoopSchedule

TIMED_OPTIONS = ("-DAEBERT_TIMED",)


def project_pragmas(project: Path) -> KernelPragmas:
    """What the project's kernel sources say about their loops and arrays."""
    return parse_pragmas(path.read_text(encoding="utf-8") for path in sorted((project / "kernel").glob("*.cpp")))


def configure(
    library: ctypes.CDLL,
    pragmas: KernelPragmas,
    schedules: Iterable[LoopSchedule],
    ports: Mapping[str, PortTiming],
) -> None:
    """Hands a library built with `TIMED_OPTIONS` all it needs to know before a launch."""
    library.aebert_timing_clear()
    for schedule in schedules:
        library.aebert_timing_set_loop(schedule.loop.encode(), schedule.ii, schedule.depth)
    for array in pragmas.arrays:
        library.aebert_timing_set_array(
            array.name.encode(), array.partitioned, array.registers, array.read_ports, array.write_ports
        )
    for dependence in pragmas.dependences:
        library.aebert_timing_set_dependence(dependence.loop.encode(), dependence.array.encode(), dependence.distance)
    for name, port in ports.items():
        library.aebert_timing_set_port(
            name.encode(),
            ctypes.c_double(port.words_per_cycle),
            port.latency,
            port.burst_words,
            port.gap,
            port.outstanding,
        )


def last_result(library: ctypes.CDLL) -> TimedResult:
    """Of the last launch, also when it ended in a deadlock."""
    read = library.aebert_timing_result
    read.restype = ctypes.c_char_p
    text: bytes = read()
    return parse_result(text.decode())
