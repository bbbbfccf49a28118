"""The clocks of a project in timed emulation: what its cycle counts rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.boards import load_board
from aebert.timing.ports import PortTiming, port_timings
from aebert.timing.schedules import LoopSchedule, estimated_schedules, synthesised_schedules
from codegen.placement import port_traffic
from codegen.project import Project
from codegen.toolchains.timed import project_pragmas
from codegen.toolchains.vitis import synthesised_reports

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport


@dataclass(frozen=True)
class Clocks:
    """II and depth of every loop, each with its source, and the timing of every memory port."""

    schedules: tuple[LoopSchedule, ...]
    ports: Mapping[str, PortTiming]


def project_clocks(project: Project, csynth_reports: Iterable[CsynthReport] = ()) -> Clocks:
    """II and depth from ``csynth_reports``, or those that synthesis left in the project, where they have a loop; else
    from the operator table. Raises AebertError for reports of something else.
    """
    manifest = project.manifest
    config = manifest.config
    schedules = estimated_schedules(config, project_pragmas(project.directory))
    reports = tuple(csynth_reports) or synthesis_of(project.directory)
    if reports:
        schedules = synthesised_schedules(schedules, reports)
    ports = port_timings(config, load_board(manifest.board), manifest.clock_mhz, manifest.banks, port_traffic(config))
    return Clocks(tuple(schedules), ports)


def synthesis_of(project: Path) -> tuple[CsynthReport, ...]:
    """The reports of C synthesis that lie in the project's build folder."""
    collected = synthesised_reports(project)
    if not collected:
        return ()
    from aebert.hls_reports.model import CsynthReport

    return tuple(each.report for each in collected if isinstance(each.report, CsynthReport))


def clock_basis(schedules: Iterable[LoopSchedule]) -> str:
    """What a cycle count made with ``schedules`` rests on, in words."""
    return f"timed emulation, loop schedules from: {', '.join(sorted({schedule.source for schedule in schedules}))}"
