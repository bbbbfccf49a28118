"""The emulator with clocks: a device whose launches have a cycle count and a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aebert.timing.ports import PortTiming
from aebert.timing.result import TimedResult
from aebert.timing.schedules import LoopSchedule
from codegen.toolchains.timed import TIMED_OPTIONS, configure, last_result, project_pragmas
from host.emulator import EmulatorDevice


class TimedEmulatorDevice(EmulatorDevice):
    """Compiles the project in timed mode if need be. Its results are those of the functional emulator, bit for bit."""

    name = "timed emulator"

    def __init__(
        self, project: Path, top: str, schedules: Iterable[LoopSchedule], ports: Mapping[str, PortTiming]
    ) -> None:
        super().__init__(project, top, TIMED_OPTIONS)
        configure(self._library, project_pragmas(project), schedules, ports)

    def result(self) -> TimedResult:
        """Of the last launch; a launch that ends in a deadlock raises and still has one."""
        return last_result(self._library)
