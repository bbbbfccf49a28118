"""The emulator with clocks: a device whose launches have a cycle count and a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aebert.timing.ports import PortTiming
from aebert.timing.pragmas import KernelPragmas
from aebert.timing.result import TimedResult, parse_result
from aebert.timing.schedules import LoopSchedule
from codegen.toolchains.timed import TIMED_OPTIONS, project_pragmas
from host.clocks import clock_basis
from host.emulator import EmulatorDevice
from host.timing_calls import timing_calls


class TimedEmulatorDevice(EmulatorDevice):
    """Compiles the project in timed mode if need be. Its results are those of the functional emulator, bit for bit.

    ``options`` are further compiler options.
    """

    name = "emulator"

    def __init__(
        self,
        project: Path,
        top: str,
        schedules: Iterable[LoopSchedule],
        ports: Mapping[str, PortTiming],
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(project, top, (*TIMED_OPTIONS, *options))
        self.configure(project_pragmas(project), schedules, ports)

    def configure(
        self, pragmas: KernelPragmas, schedules: Iterable[LoopSchedule], ports: Mapping[str, PortTiming]
    ) -> None:
        """What launches rest on from now on."""
        chosen = tuple(schedules)
        self.basis = clock_basis(chosen)
        self.call(timing_calls(pragmas, chosen, ports))

    def result(self) -> TimedResult:
        """Of the last launch; a launch that ends in a deadlock raises and still has one."""
        return parse_result(self.timing())
