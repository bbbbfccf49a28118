"""One launch of a project in timed emulation, with everything that its cycle count rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aebert.boards import load_board
from aebert.design.program import Program
from aebert.design.work import PassWork, engine_steps, program_work
from aebert.timing.ports import PortTiming, port_timings
from aebert.timing.result import TimedResult
from aebert.timing.schedules import LoopSchedule, estimated_schedules, synthesised_schedules
from codegen.memory_image import pack_encoder, tile_counts
from codegen.placement import port_traffic
from codegen.project import Project
from codegen.toolchains.timed import project_pragmas
from codegen.toolchains.vitis import synthesised_reports
from host.accelerator import Accelerator
from host.timed_emulator import TimedEmulatorDevice

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport


@dataclass(frozen=True)
class TimedRun:
    """``work``: what the engine had to do, pass by pass. Every schedule says its source."""

    program: Program
    result: TimedResult
    schedules: tuple[LoopSchedule, ...]
    ports: Mapping[str, PortTiming]
    work: tuple[PassWork, ...]
    clock_mhz: float

    @property
    def latency_ms(self) -> float:
        """Raises AebertError after a deadlock or a violation."""
        return self.result.checked_cycles() / self.clock_mhz / 1e3

    @property
    def lane_utilisation(self) -> float:
        """Multiply-accumulates of non-zero tiles over lanes x cycles. Raises AebertError like `latency_ms`."""
        return engine_steps(self.work) / self.result.checked_cycles()


def synthesis_of(project: Path) -> tuple[CsynthReport, ...]:
    """The reports of C synthesis that lie in the project's build folder."""
    collected = synthesised_reports(project)
    if not collected:
        return ()
    from aebert.hls_reports.model import CsynthReport

    return tuple(each.report for each in collected if isinstance(each.report, CsynthReport))


def time_project(project: Project, lengths: Sequence[int], *, csynth_reports: Iterable[CsynthReport] = ()) -> TimedRun:
    """Runs sequences of ``lengths`` tokens in one launch. Cycles do not depend on activations, so those are zero.

    II and depth come from ``csynth_reports``, or those that synthesis left in the project, where they have a loop; else
    from the operator table. Raises AebertError
    for a deadlock (naming processes and streams), lengths that do not fit, and reports of something else.
    """
    manifest = project.manifest
    config = manifest.config
    schedules = estimated_schedules(config, project_pragmas(project.directory))
    reports = tuple(csynth_reports) or synthesis_of(project.directory)
    if reports:
        schedules = synthesised_schedules(schedules, reports)
    ports = port_timings(config, load_board(manifest.board), manifest.clock_mhz, manifest.banks, port_traffic(config))
    device = TimedEmulatorDevice(project.directory, manifest.top, schedules, ports)
    accelerator = Accelerator(device, config, project.quantised, project.image)
    program = accelerator.program(lengths)
    hidden = project.quantised.shape.hidden
    accelerator.run_program(program, [np.zeros((length, hidden), np.int16) for length in lengths])
    tiles = tile_counts(pack_encoder(project.quantised, config))
    work = program_work(config, program, manifest.shape, tiles)
    return TimedRun(program, device.result(), schedules, ports, work, manifest.clock_mhz)
