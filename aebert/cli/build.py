"""``aebert build``: hand a project to a toolchain."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.arguments import project_argument
from aebert.cli.output import Output, current_output
from aebert.cli.runs import database_option
from aebert.cli.trust import tell_trust, trust_option
from aebert.support.errors import AebertError
from aebert.support.text_table import text_table

if TYPE_CHECKING:
    from aebert.records.record import RunRecord
    from codegen.project import Project
    from codegen.toolchains.vitis import ToolRun


@click.command(name="build")
@project_argument
@click.option(
    "--tool", type=click.Choice(["emulator", "rtl", "yosys", "vitis_hls", "v++"]), default="emulator", show_default=True
)
@click.option("--target", type=click.Choice(["hw", "hw_emu"]), default="hw", show_default=True, help="Of v++.")
@click.option("--store", is_flag=True, help="Keep what the tool's reports say as run records.")
@database_option
@trust_option
def command(project: Path, tool: str, target: str, store: bool, database: str | None, trust_changes: bool) -> None:
    """Build PROJECT: the emulator (a shared library, for any machine with a compiler), or with Vitis where it is.

    rtl writes SystemVerilog of the C++ by AE-BERT's own scheduler (not Vitis') and compiles its simulation; yosys
    counts what that takes in an open synthesiser, beside the closed form.
    vitis_hls runs C synthesis and compares II and depth of the loops with those that timed emulation assumed; v++ links
    a bitstream.

    Example: aebert build project --tool emulator
    """
    from codegen.project import load_project

    output = current_output()
    loaded = load_project(project, trust_changes=trust_changes)
    tell_trust(output, loaded)
    if tool == "emulator":
        from codegen.toolchains.emulator import build_emulator

        for _ in output.track([tool], "compile the emulator"):
            library = build_emulator(loaded.sources())
        output.result(project=project, tool=tool, library=library)
        output.wrote(library, f"aebert verify {shlex.quote(str(project))}")
    elif tool == "rtl":
        _build_rtl(output, loaded)
    elif tool == "yosys":
        records = _build_yosys(output, loaded)
        if store:
            _add(output, database, records)
    else:
        # Vendor tools run what stands beside the sources too.
        for changed in loaded.build_files():
            output.note(f"trusted, though changed after the project was generated: {changed}")
        run = _run_vendor_tool(output, project, tool, target)
        _compare_loops(output, loaded)
        quoted = shlex.quote(str(project))
        if tool == "vitis_hls":
            output.next(f"aebert build {quoted} --tool v++ --target hw_emu")
        elif target == "hw_emu":
            output.next(f"aebert build {quoted} --tool v++ --target hw")
        else:
            output.next(f"aebert verify {quoted} --device xrt:0")
        if store:
            _store(output, run, loaded, database)


def _build_rtl(output: Output, project: Project) -> None:
    from codegen.rtl.folder import RTL_FOLDER, write_rtl
    from codegen.rtl.kernel import kernel_rtl
    from codegen.toolchains.rtl import build_simulation

    for _ in output.track(["rtl"], "schedule the C++ and write its RTL"):
        rtl = kernel_rtl(project.sources(), project.manifest)
    folder = project.directory / RTL_FOLDER
    write_rtl(rtl, project.manifest, folder)
    header = ("loop", "II", "stages scheduled", "stages in RTL")
    rows = ((loop.name, str(loop.interval), str(loop.scheduled_depth), str(loop.depth)) for loop in rtl.loops)
    output.result(text_table(header, rows))
    output.result(loops=rtl.loops, scheduler="aebert")
    output.wrote(folder)
    for _ in output.track(["rtl"], "compile its simulation"):
        library = build_simulation(rtl)
    output.wrote(library, f"aebert verify {shlex.quote(str(project.directory))} --device rtl")


def _build_yosys(output: Output, project: Project) -> Iterable[RunRecord]:
    from codegen.manifest import manifest_design
    from codegen.rtl.kernel import kernel_rtl
    from codegen.toolchains.yosys import synthesise
    from codegen.toolchains.yosys_cells import YosysCount
    from codegen.yosys_records import compare_units, yosys_records

    design = manifest_design(project.manifest)
    for _ in output.track(["rtl"], "schedule the C++ and write its RTL"):
        rtl = kernel_rtl(project.sources(), project.manifest)
    modules = len(rtl.processes) + 3  # and three parts of the top level
    counted = dict(output.track(synthesise(rtl, design.board.dsp), "synthesise", modules))
    units = compare_units(design, counted)
    names = [each.name for each in fields(YosysCount)]
    header = ("unit", *(f"{name} {what}" for name in names for what in ("predicted", "Yosys")))
    rows = (
        (each.unit, *(str(getattr(count, name)) for name in names for count in (each.predicted, each.yosys)))
        for each in units
    )
    output.result(text_table(header, rows))
    output.result(modules=counted, units=units, tool="yosys", scheduler="aebert")
    return yosys_records(project, counted)


def _run_vendor_tool(output: Output, project: Path, tool: str, target: str) -> ToolRun:
    from codegen.toolchains.vitis import run_vitis_hls, run_vpp

    if tool == "vitis_hls":
        run = run_vitis_hls(project, ("csynth",), progress=output.note)
    else:
        run = run_vpp(project, target="hw_emu" if target == "hw_emu" else "hw", progress=output.note)
    for report in run.reports:
        output.wrote(project / report.path)
    for reason in run.unreadable:
        output.note(f"report left out: {reason}")
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
        unreadable=run.unreadable,
    )
    return run


def _compare_loops(output: Output, project: Project) -> None:
    """II and depth as synthesised beside what the schedule said, or the operator table where there is none."""
    from aebert.timing.loop_schedules import estimated_schedules, scheduled_schedules, synthesised_schedules
    from codegen.schedule.stored_schedule import known_schedule
    from codegen.toolchains.timed import source_pragmas
    from host.emulated.clocks import synthesis_of

    estimated = estimated_schedules(project.manifest.config, source_pragmas(project.sources()))
    try:
        known = known_schedule(project.directory, project.manifest)
        if known is not None:
            estimated = scheduled_schedules(estimated, known.schedules())
        synthesised = synthesised_schedules(estimated, synthesis_of(project.directory))
    except AebertError as error:
        output.note(str(error))
        return
    found = [pair for pair in zip(estimated, synthesised, strict=True) if pair[1].source == "csynth"]
    header = ("loop", "II estimated", "II synthesised", "depth estimated", "depth synthesised")
    rows = ((after.loop, str(before.ii), str(after.ii), str(before.depth), str(after.depth)) for before, after in found)
    output.result(text_table(header, rows))
    output.result(loops=[{"estimated": before, "synthesised": after} for before, after in found])


def _store(output: Output, run: ToolRun, project: Project, database: str | None) -> None:
    from aebert.cost_model.run_inputs import to_text
    from aebert.records.from_reports import ImportContext
    from codegen.project_inputs import project_inputs

    manifest = project.manifest
    context = ImportContext(
        design_digest=manifest.design_digest,
        subnet_digest=manifest.subnet_digest,
        board=manifest.board,
        inputs=to_text(project_inputs(project.directory, manifest)),
    )
    _add(output, database, (record for report in run.reports for record in report.records(context)))


def _add(output: Output, database: str | None, records: Iterable[RunRecord]) -> None:
    from aebert.records.database import open_database

    runs = open_database(database)
    added = runs.add(records)
    runs.close()
    output.note(f"stored {added.added} run records, {added.known} known already")
    output.result(stored=added.added)
