"""The clocks of a project in timed emulation: what its cycle counts rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.design.board import load_board
from aebert.timing.loop_schedules import (
    LoopFigures,
    LoopLatency,
    estimated_schedules,
    recorded_schedules,
    scheduled_schedules,
    synthesised_schedules,
)
from aebert.timing.memory_ports import PortTiming, port_timings
from codegen.placement import port_traffic
from codegen.project import Project
from codegen.schedule.stored_schedule import known_schedule
from codegen.toolchains.timed import source_pragmas
from codegen.toolchains.vitis import synthesised_reports

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport


@dataclass(frozen=True)
class Clocks:
    """II and depth of every loop, each with its source, and the timing of every memory port."""

    schedules: tuple[LoopLatency, ...]
    ports: Mapping[str, PortTiming]


def project_clocks(
    project: Project,
    csynth_reports: Iterable[CsynthReport] = (),
    recorded: Mapping[str, LoopFigures] | None = None,
) -> Clocks:
    """II and depth from ``csynth_reports``, or those that synthesis left in the project, or what is ``recorded`` of its
    design, where they have a loop; else from the project's own schedule; where clang and LLVM are not installed, from
    the operator table.

    Raises AebertError for reports of something else, and for a kernel that cannot be scheduled.
    """
    manifest = project.manifest
    config = manifest.config
    schedules = estimated_schedules(config, source_pragmas(project.sources()))
    known = known_schedule(project.directory, manifest)
    if known is not None:
        schedules = scheduled_schedules(schedules, known.schedules())
    reports = tuple(csynth_reports) or synthesis_of(project.directory)
    if reports:
        schedules = synthesised_schedules(schedules, reports)
    elif recorded:
        schedules = recorded_schedules(schedules, recorded)
    return Clocks(tuple(schedules), project_ports(project))


def project_ports(project: Project) -> dict[str, PortTiming]:
    """The timing of every memory port on the project's board."""
    manifest = project.manifest
    config = manifest.config
    return port_timings(config, load_board(manifest.board), manifest.clock_mhz, manifest.banks, port_traffic(config))


def synthesis_of(project: Path) -> tuple[CsynthReport, ...]:
    """The reports of C synthesis that lie in the project's build folder."""
    collected = synthesised_reports(project)
    if not collected:
        return ()
    from aebert.hls_reports.model import CsynthReport

    return tuple(each.report for each in collected if isinstance(each.report, CsynthReport))


def clock_basis(schedules: Iterable[LoopLatency]) -> str:
    """What a cycle count made with ``schedules`` rests on, in words."""
    return f"timed emulation, loop schedules from: {', '.join(sorted({schedule.source for schedule in schedules}))}"
