"""One launch of a project in timed emulation, with everything that its cycle count rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aebert.design.pass_work import PassWork, engine_steps, program_work
from aebert.design.program import Program
from aebert.timing.loop_schedules import LoopFigures, LoopLatency
from aebert.timing.memory_ports import PortTiming
from aebert.timing.timed_result import TimedResult
from codegen.project import Project
from host.devices.accelerator import Accelerator
from host.emulated.clocks import project_clocks
from host.emulated.timed_emulator import TimedEmulatorDevice

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport


@dataclass(frozen=True)
class TimedRun:
    """``work``: what the engine had to do, pass by pass. Every schedule says its source."""

    program: Program
    result: TimedResult
    schedules: tuple[LoopLatency, ...]
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


def time_project(
    project: Project,
    lengths: Sequence[int],
    *,
    csynth_reports: Iterable[CsynthReport] = (),
    recorded: Mapping[str, LoopFigures] | None = None,
) -> TimedRun:
    """Runs sequences of ``lengths`` tokens in one launch. Cycles do not depend on activations, so those are zero.

    II and depth come from ``csynth_reports``, or those that synthesis left in the project, or what run records have
    (``recorded``), where they have a loop; else from the operator table. Raises AebertError
    for a deadlock (naming processes and streams), lengths that do not fit, and reports of something else.
    """
    manifest = project.manifest
    config = manifest.config
    clocks = project_clocks(project, csynth_reports, recorded)
    device = TimedEmulatorDevice(project.sources(), clocks.schedules, clocks.ports)
    hidden = project.quantised.shape.hidden
    with Accelerator(device, config, project.quantised, project.image) as accelerator:
        program = accelerator.program(lengths)
        accelerator.run_program(program, [np.zeros((length, hidden), np.int16) for length in lengths])
        result = device.result()
    work = program_work(config, program, manifest.shape, project.image.matrix_tiles)
    return TimedRun(program, result, clocks.schedules, clocks.ports, work, manifest.clock_mhz)
