"""``aebert emulate``: run a project in emulation; with --timed, in cycles."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output, current_output
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport
    from host.timed_run import TimedRun

EXIT_VIOLATION = 1
_PASSES_SHOWN = 8


@click.command(name="emulate")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--timed", is_flag=True, help="Count cycles: clocks, FIFO depths and memory ports as built.")
@click.option("--tokens", type=click.IntRange(min=1), multiple=True, help="A sequence's length; repeat for several.")
@click.option(
    "--csynth", type=click.Path(path_type=Path), multiple=True, help="csynth.xml: real II and depth of loops."
)
def command(project: Path, timed: bool, tokens: tuple[int, ...], csynth: tuple[Path, ...]) -> None:
    """Run PROJECT's C++ on zero activations of the given lengths [default: the longest sequence].

    With --timed: cycles in all, by pass and by process, how full the lanes and the FIFOs were. Exits with 1 when an
    on-chip memory is accessed in a way that its pipeline cannot do; there is no cycle count then.

    Example: aebert emulate project --timed --tokens 128
    """
    from codegen.project import load_project

    output = current_output()
    loaded = load_project(project)
    lengths = tokens or (loaded.manifest.config.max_length,)
    if not timed:
        import numpy as np

        from host.open import open_accelerator

        with open_accelerator(loaded, "emulator") as accelerator:
            for _ in output.track([lengths], "emulate"):
                hidden = loaded.manifest.shape.hidden
                accelerator.run([np.zeros((length, hidden), np.int16) for length in lengths])
        output.result(
            f"{len(lengths)} sequences of {', '.join(map(str, lengths))} tokens ran to the end",
            project=project,
            lengths=lengths,
        )
        output.next(f"aebert verify {shlex.quote(str(project))}")
        return
    from host.timed_run import time_project

    reports = [_read_csynth(path) for path in csynth]
    for _ in output.track([lengths], "timed emulation"):
        run = time_project(loaded, lengths, csynth_reports=reports)
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
    output.result(f"\n{'process':<18} {'busy':>7} {'starved':>8} {'stalled':>8} {'memory':>7} {'idle':>7}")
    for process in run.result.processes:
        shares = (process.busy, process.starved, process.stalled, process.memory, process.idle)
        total = max(process.end, 1)
        busy, starved, stalled, memory, idle = (f"{share / total:.1%}" for share in shares)
        output.result(f"{process.name:<18} {busy:>7} {starved:>8} {stalled:>8} {memory:>7} {idle:>7}")
    output.result(f"\n{'FIFO':<22} {'depth':>6} {'needed':>7}")
    for stream in run.result.streams:
        output.result(f"{stream.name:<22} {stream.depth:>6} {stream.occupancy:>7}")
    output.result(f"\n{'longest passes':<32} {'cycles':>8}")
    by_length = sorted(run.result.cycles_per_pass().items(), key=lambda item: -item[1])
    for number, spent in by_length[:_PASSES_SHOWN]:
        step = run.program.passes[number]
        output.result(f"layer {step.layer:>2} {step.name:<23} {spent:>8}")
