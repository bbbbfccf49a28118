"""``aebert build``: hand a project to a toolchain."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output, current_output
from aebert.cli.runs import database_option
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.design.config import HardwareConfig
    from codegen.manifest import Manifest
    from codegen.toolchains.vitis import ToolRun


@click.command(name="build")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--tool", type=click.Choice(["emulator", "vitis_hls", "v++"]), default="emulator", show_default=True)
@click.option("--target", type=click.Choice(["hw", "hw_emu"]), default="hw", show_default=True, help="Of v++.")
@click.option("--store", is_flag=True, help="Keep what the tool's reports say as run records.")
@database_option
def command(project: Path, tool: str, target: str, store: bool, database: str | None) -> None:
    """Build PROJECT: the emulator (a shared library, for any machine with a compiler), or with Vitis where it is.

    vitis_hls runs C synthesis and compares II and depth of the loops with those that timed emulation assumed; v++ links
    a bitstream.

    Example: aebert build project --tool emulator
    """
    from codegen.manifest import read_manifest

    output = current_output()
    manifest = read_manifest(project)
    if tool == "emulator":
        from codegen.toolchains.emulator import build_emulator

        for _ in output.track([tool], "compile the emulator"):
            library = build_emulator(project)
        output.result(project=project, tool=tool, library=library)
        output.wrote(library, f"aebert verify {shlex.quote(str(project))}")
    else:
        run = _run_vendor_tool(output, project, tool, target)
        _compare_loops(output, project, manifest.config)
        quoted = shlex.quote(str(project))
        if tool == "vitis_hls":
            output.next(f"aebert build {quoted} --tool v++ --target hw_emu")
        elif target == "hw_emu":
            output.next(f"aebert build {quoted} --tool v++ --target hw")
        else:
            output.next(f"aebert verify {quoted} --device xrt:0")
        if store:
            _store(output, run, manifest, database)


def _run_vendor_tool(output: Output, project: Path, tool: str, target: str) -> ToolRun:
    from codegen.toolchains.vitis import run_vitis_hls, run_vpp

    if tool == "vitis_hls":
        run = run_vitis_hls(project, ("csynth",), progress=output.note)
    else:
        run = run_vpp(project, target="hw_emu" if target == "hw_emu" else "hw", progress=output.note)
    for report in run.reports:
        output.wrote(project / report.path)
    if run.product is not None:
        output.wrote(project / run.product)
    output.result(
        f"{run.tool}: {', '.join(run.steps)} in {run.seconds:.0f} s",
        project=project,
        tool=run.tool,
        steps=run.steps,
        seconds=run.seconds,
        product=run.product,
        reports=[report.path for report in run.reports],
    )
    return run


def _compare_loops(output: Output, project: Path, config: HardwareConfig) -> None:
    """II and depth as synthesised beside what the operator table had estimated."""
    from aebert.timing.schedules import estimated_schedules, synthesised_schedules
    from codegen.toolchains.timed import project_pragmas
    from host.clocks import synthesis_of

    estimated = estimated_schedules(config, project_pragmas(project))
    try:
        synthesised = synthesised_schedules(estimated, synthesis_of(project))
    except AebertError as error:
        output.note(str(error))
        return
    output.result(f"{'loop':<28} {'II estimated, synthesised':>26} {'depth estimated, synthesised':>29}")
    found = [pair for pair in zip(estimated, synthesised, strict=True) if pair[1].source == "csynth"]
    for before, after in found:
        output.result(f"{after.loop:<28} {before.ii:>13} {after.ii:>12} {before.depth:>16} {after.depth:>12}")
    output.result(loops=[{"estimated": before, "synthesised": after} for before, after in found])


def _store(output: Output, run: ToolRun, manifest: Manifest, database: str | None) -> None:
    from aebert.cost_model.run_inputs import RunInputs, to_text
    from aebert.records import open_database
    from aebert.records.from_reports import ImportContext

    context = ImportContext(
        design_digest=manifest.design_digest,
        subnet_digest=manifest.subnet_digest,
        board=manifest.board,
        inputs=to_text(RunInputs(manifest.config, manifest.compute_units, manifest.clock_mhz)),
    )
    runs = open_database(database)
    added = runs.add(record for report in run.reports for record in report.records(context))
    runs.close()
    output.note(f"stored {added.added} run records, {added.known} known already")
    output.result(stored=added.added)
