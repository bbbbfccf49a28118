"""``aebert emulate``: run a project in emulation; with --timed, in cycles."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.arguments import project_argument
from aebert.cli.learned import database_option, learned_option, stored_synthesis
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.trust import tell_trust, trust_option
from aebert.support.errors import AebertError
from aebert.support.text_table import text_table

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport
    from host.emulated.timed_run import TimedRun

EXIT_VIOLATION = 1
_PASSES_SHOWN = 8


@click.command(name="emulate")
@project_argument
@click.option("--timed", is_flag=True, help="Count cycles: clocks, FIFO depths and memory ports as built.")
@click.option("--tokens", type=click.IntRange(min=1), multiple=True, help="A sequence's length; repeat for several.")
@click.option(
    "--csynth", type=click.Path(path_type=Path), multiple=True, help="csynth.xml: real II and depth of loops."
)
@database_option
@learned_option
@trust_option
def command(
    project: Path,
    timed: bool,
    tokens: tuple[int, ...],
    csynth: tuple[Path, ...],
    database: str | None,
    no_runs: bool,
    trust_changes: bool,
) -> None:
    """Run PROJECT's C++ on zero activations of the given lengths [default: the longest sequence].

    With --timed: cycles in all, by pass and by process, how full the lanes and the FIFOs were. Exits with 1 when an
    on-chip memory is accessed in a way that its pipeline cannot do; there is no cycle count then.

    Example: aebert emulate project --timed --tokens 128
    """
    from codegen.project import load_project

    output = current_output()
    loaded = load_project(project, trust_changes=trust_changes)
    tell_trust(output, loaded)
    lengths = tokens or (loaded.manifest.config.max_length,)
    if not timed:
        import numpy as np

        from host.devices.open import open_accelerator

        with step_progress(output) as progress:
            progress("open device", 0, 1)
            with open_accelerator(loaded, "emulator") as accelerator:
                progress("open device", 1, 1)
                progress("emulate", 0, 1)
                hidden = loaded.manifest.shape.hidden
                accelerator.run([np.zeros((length, hidden), np.int16) for length in lengths])
            progress("emulate", 1, 1)
        output.result(
            f"{len(lengths)} sequences of {', '.join(map(str, lengths))} tokens ran to the end",
            project=project,
            lengths=lengths,
        )
        output.next(f"aebert verify {shlex.quote(str(project))}")
        return
    from host.emulated.timed_run import time_project

    reports = [_read_csynth(path) for path in csynth]
    known = stored_synthesis(loaded.manifest.design_digest, database, no_runs)
    for _ in output.track([lengths], "timed emulation"):
        run = time_project(loaded, lengths, csynth_reports=reports, recorded=known.loops if known else None)
    _print(output, run)
    output.result(project=project, lengths=lengths, clock_mhz=run.clock_mhz, source="emulated", timed=run.result)
    if run.result.violations:
        raise click.exceptions.Exit(EXIT_VIOLATION)
    output.next(f"aebert measure {shlex.quote(str(project))} --store")


def _read_csynth(path: Path) -> CsynthReport:
    from aebert.hls_reports import parse_report
    from aebert.hls_reports.model import CsynthReport

    report = parse_report(path)
    if not isinstance(report, CsynthReport):
        raise AebertError(f"{path}: is no csynth.xml; give the report of this project's synthesis")
    return report


def _print(output: Output, run: TimedRun) -> None:
    for violation in run.result.violations:
        output.result(f"violation: {violation}")
    cycles = run.result.checked_cycles() if not run.result.violations else None
    if cycles is not None:
        output.result(
            f"{cycles} cycles, {run.latency_ms:.4f} ms at {run.clock_mhz:g} MHz (emulated), "
            f"lanes busy {run.lane_utilisation:.1%}",
            cycles=cycles,
            latency_ms=run.latency_ms,
            lane_utilisation=run.lane_utilisation,
        )
    sources = sorted({schedule.source for schedule in run.schedules})
    output.result(f"II and depth of the loops: {', '.join(sources)}")
    kinds = ("busy", "starved", "stalled", "memory", "idle")
    processes = (
        (process.name, *(f"{getattr(process, kind) / max(process.end, 1):.1%}" for kind in kinds))
        for process in run.result.processes
    )
    output.result("\n" + text_table(("process", *kinds), processes))
    streams = ((stream.name, str(stream.depth), str(stream.occupancy)) for stream in run.result.streams)
    output.result("\n" + text_table(("FIFO", "depth", "needed"), streams))
    by_length = sorted(run.result.cycles_per_pass().items(), key=lambda item: -item[1])
    longest = (
        (f"layer {run.program.passes[number].layer}", run.program.passes[number].name, str(spent))
        for number, spent in by_length[:_PASSES_SHOWN]
    )
    output.result("\n" + text_table(("longest passes", "", "cycles"), longest, left=(0, 1)))
