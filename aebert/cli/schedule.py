"""``aebert schedule``: II, depth and clock of every loop, as synthesis will find them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.learned import database_option, learned_option, stored_synthesis
from aebert.cli.output import current_output

if TYPE_CHECKING:
    from aebert.cost_model.synthesis import Synthesis
    from codegen.schedule.project_schedule import ScheduledLoop


@dataclass(frozen=True)
class SynthesisedLoop:
    """What synthesis made of a loop, beside what it asks for and what the schedule here says."""

    name: str
    asked_ii: int | None
    scheduled_ii: int | None
    ii: int
    scheduled_depth: int
    depth: int

    @property
    def misses(self) -> bool:
        return self.asked_ii is not None and self.ii > self.asked_ii


@click.command(name="schedule")
@click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--clock",
    "clock_mhz",
    type=click.FloatRange(min=0, min_open=True),
    help="Clock in MHz  [default: the project's].",
)
@database_option
@learned_option
@click.pass_context
def command(ctx: click.Context, project: Path, clock_mhz: float | None, database: str | None, no_runs: bool) -> None:
    """Schedule every loop of PROJECT's kernel as Vitis HLS will: II, depth, and the clock that holds.

    Nothing is synthesised: delays are those that Vitis charged in published reports. Where the run database has a
    synthesis of the design ('aebert runs import PROJECT'), its II and depth count instead, at the project's own clock.
    Exit code 1 when a loop misses the II that it asks for at this clock.

    Example: aebert schedule project --clock 250
    """
    from codegen.manifest import read_manifest
    from codegen.schedule.project_schedule import schedule_project
    from codegen.schedule.words import schedule_facts, schedule_lines

    output = current_output()
    for _ in output.track([project], "schedule the kernel's loops"):
        found = schedule_project(project, clock_mhz)
    at_its_own = clock_mhz is None or clock_mhz == read_manifest(project).clock_mhz
    known = stored_synthesis(read_manifest(project).design_digest, database, no_runs or not at_its_own)
    loops = [] if known is None else [_synthesised(loop, known) for loop in found.loops if loop.name in known.loops]
    lines = [*schedule_lines(found), *(() if known is None else _synthesis_lines(known, loops))]
    output.result(
        "\n".join(lines),
        project=project,
        source="scheduled" if known is None else "csynth",
        **schedule_facts(found),
        synthesis=None if known is None else {"tool": known.tool, "clock_mhz": known.clock_mhz, "loops": loops},
    )
    decided = {each.name for each in loops}
    if any(each.misses for each in loops) or any(loop.name not in decided for loop in found.misses):
        ctx.exit(1)
    output.next(f"aebert build {shlex.quote(str(project))} --tool vitis_hls")


def _synthesised(loop: ScheduledLoop, known: Synthesis) -> SynthesisedLoop:
    figures = known.loops[loop.name]
    return SynthesisedLoop(
        loop.name, loop.asked_ii, loop.initiation_interval, figures.ii, loop.schedule.depth, figures.depth
    )


def _synthesis_lines(known: Synthesis, loops: list[SynthesisedLoop]) -> list[str]:
    clock = "" if known.clock_mhz is None else f", {known.clock_mhz:.0f} MHz estimated"
    lines = ["", f"csynth of this design is stored and counts instead ({known.tool}{clock}):"]
    lines.append(f"{'loop':<28}{'II scheduled, csynth':>22}{'depth scheduled, csynth':>26}")
    for each in loops:
        note = f"  asks for II {each.asked_ii}" if each.misses else ""
        lines.append(
            f"{each.name:<28}{each.scheduled_ii or '-':>14}{each.ii:>8}{each.scheduled_depth:>18}{each.depth:>8}{note}"
        )
    return lines
