"""``aebert measure``: the latency of a project on a device."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.arguments import project_argument
from aebert.cli.learned import database_option, learned_option, stored_synthesis
from aebert.cli.names import complete_device
from aebert.cli.output import Output, current_output
from aebert.cli.trust import tell_trust, trust_option

if TYPE_CHECKING:
    from host.measure import Distribution, Measurement


@click.command(name="measure")
@project_argument
@click.option(
    "--device",
    default="emulator",
    show_default=True,
    shell_complete=complete_device,
    help="emulator (timed), rtl (simulated), pynq:N, xrt:N or remote:HOST.",
)
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens of a sequence [default: the longest].")
@click.option(
    "--sequences", type=click.IntRange(1, 65_536), default=1, show_default=True, help="Sequences in one launch."
)
@click.option(
    "--warm-up", type=click.IntRange(1, 1_000_000), default=5, show_default=True, help="Launches before it counts."
)
@click.option(
    "--repeats", type=click.IntRange(1, 10_000_000), default=100, show_default=True, help="Launches that count."
)
@click.option("--store", is_flag=True, help="Keep the figures as a run record.")
@trust_option
@database_option
@learned_option
def command(
    project: Path,
    device: str,
    tokens: int | None,
    sequences: int,
    warm_up: int,
    repeats: int,
    trust_changes: bool,
    store: bool,
    database: str | None,
    no_runs: bool,
) -> None:
    """Measure the latency of one launch of PROJECT: on a board by the wall clock, emulated and simulated in cycles.

    Figures from the emulator are marked "emulated": the timed emulation's cycles at the design's clock, with II and
    depths of the design's own synthesis where the run database has it.

    Example: aebert measure project --tokens 128 --store
    """
    from codegen.project import load_project
    from host.measure import measure, run_record

    output = current_output()
    loaded = load_project(project, trust_changes=trust_changes)
    known = stored_synthesis(loaded.manifest.design_digest, database, no_runs, may_be_new=store)
    lengths = [tokens or loaded.manifest.config.max_length] * sequences
    for _ in output.track([device], "measure"):
        measurement = measure(loaded, device, lengths, warm_up, repeats, known.loops if known else None)
    _print(output, measurement)
    tell_trust(output, loaded)
    facts = {each.name: getattr(measurement, each.name) for each in fields(measurement)}
    output.result(project=project, lengths=measurement.lengths, **facts)
    if store:
        from aebert.records.database import open_database

        open_runs = open_database(database)
        open_runs.add([run_record(loaded, measurement)])
        open_runs.close()
        output.note("stored 1 run record")
        output.next(f"aebert runs list --source {measurement.source}")
    else:
        output.next(f"aebert measure {shlex.quote(str(project))} --device {shlex.quote(device)} --store")


def _print(output: Output, measurement: Measurement) -> None:
    tokens = " + ".join(map(str, measurement.lengths))
    output.result(f"{measurement.device} ({measurement.source}), {tokens} tokens, {measurement.clock_mhz:g} MHz")
    if measurement.cycles is not None:
        output.result(f"cycles      {measurement.cycles}")
    for name in ("kernel", "upload", "download"):
        found: Distribution | None = getattr(measurement, f"{name}_ms")
        if found is not None and found.runs > 1:
            output.result(
                f"{name:<11} median {found.median:.4f} ms, p95 {found.p95:.4f}, {found.min:.4f} to {found.max:.4f}, "
                f"{found.runs} runs"
            )
        elif found is not None:
            output.result(f"{name:<11} {found.median:.4f} ms")
    if measurement.cold_ms is not None:
        output.result(f"first run   {measurement.cold_ms:.4f} ms with transfers")
    output.result(f"conditions  {_conditions(measurement)}")
    output.result(f"basis       {measurement.basis}")


def _conditions(measurement: Measurement) -> str:
    found = measurement.conditions
    said = [
        f"{name} {value:.1f} {unit}"
        for name, value, unit in (
            ("under load", found.power_w, "W"),
            ("idle", found.idle_power_w, "W"),
            ("chip", found.temperature_c, "C"),
            ("clock", found.clock_mhz, "MHz"),
        )
        if value is not None
    ]
    return ", ".join([*said, found.note])
