"""An emulated PYNQ board whose launches have a cycle count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aebert.timing.timed_result import TimedResult, parse_result
from codegen.project import Project
from codegen.toolchains.timed import source_pragmas
from host.boards.pynq_board import PynqBoard
from host.emulated.board_process import Fault
from host.emulated.clocks import Clocks, clock_basis
from host.emulated.pynq_emulator import EmulatedPynqDevice
from host.emulated.timing_calls import timing_calls


class ClockedPynqBoard(PynqBoard):
    """``bitstream`` holds the emulator that was compiled in timed mode."""

    def __init__(
        self,
        board: EmulatedPynqDevice,
        bitstream: Path,
        project: Project,
        clocks: Clocks,
        *,
        name: str,
        released: Callable[[], None],
    ) -> None:
        super().__init__(board, bitstream, project.manifest, name=name, source="emulated", released=released)
        self.schedules = clocks.schedules
        self.basis = clock_basis(clocks.schedules)
        self._emulated = board
        board.registers.call(timing_calls(source_pragmas(project.sources()), clocks.schedules, clocks.ports))

    def result(self) -> TimedResult:
        """Of the last launch."""
        return parse_result(self._emulated.registers.timing())

    def counted_cycles(self) -> int:
        return self.result().checked_cycles()

    def inject(self, fault: Fault) -> None:
        """Makes one of the next launches go wrong."""
        self._emulated.inject(fault)
