"""The emulator with clocks: a device whose launches have a cycle count and a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aebert.timing.kernel_pragmas import KernelPragmas
from aebert.timing.loop_schedules import LoopLatency
from aebert.timing.memory_ports import PortTiming
from aebert.timing.timed_result import TimedResult, parse_result
from codegen.project_sources import ProjectSources
from codegen.toolchains.timed import TIMED_OPTIONS, source_pragmas
from host.emulated.clocks import clock_basis
from host.emulated.emulator import EmulatorDevice
from host.emulated.timing_calls import timing_calls


class TimedEmulatorDevice(EmulatorDevice):
    """Compiles ``sources`` in timed mode if need be. Its results are those of the functional emulator, bit for bit.

    ``options`` are further compiler options.
    """

    name = "emulator"

    def __init__(
        self,
        sources: ProjectSources,
        schedules: Iterable[LoopLatency],
        ports: Mapping[str, PortTiming],
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(sources, (*TIMED_OPTIONS, *options))
        self.configure(source_pragmas(sources), schedules, ports)

    def configure(
        self, pragmas: KernelPragmas, schedules: Iterable[LoopLatency], ports: Mapping[str, PortTiming]
    ) -> None:
        """What launches rest on from now on."""
        self.schedules = tuple(schedules)
        self.basis = clock_basis(self.schedules)
        self.call(timing_calls(pragmas, self.schedules, ports))

    def result(self) -> TimedResult:
        """Of the last launch; a launch that ends in a deadlock raises and still has one."""
        return parse_result(self.timing())

    def counted_cycles(self) -> int:
        return self.result().checked_cycles()
