"""``aebert build``: hand a project to a toolchain."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.output import Output, current_output


@click.command(name="build")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--tool", type=click.Choice(["emulator", "vitis_hls", "v++"]), default="emulator", show_default=True)
@click.option("--target", type=click.Choice(["hw", "hw_emu"]), default="hw", show_default=True, help="Of v++.")
def command(project: Path, tool: str, target: str) -> None:
    """Build PROJECT: the emulator (a shared library, for any machine with a compiler), or with Vitis where it is.

    vitis_hls runs C synthesis and prints what its reports say; v++ links a bitstream.

    Example: aebert build project --tool emulator
    """
    from codegen.manifest import read_manifest

    output = current_output()
    read_manifest(project)
    if tool == "emulator":
        from codegen.toolchains.emulator import build_emulator

        for _ in output.track([tool], "compile the emulator"):
            library = build_emulator(project)
        output.wrote(library, f"aebert verify {shlex.quote(str(project))}")
    else:
        _run_vendor_tool(output, project, tool, target)


def _run_vendor_tool(output: Output, project: Path, tool: str, target: str) -> None:
    from codegen.toolchains.vitis import run_vitis_hls, run_vpp

    if tool == "vitis_hls":
        run = run_vitis_hls(project, ("csynth",), progress=output.note)
    else:
        run = run_vpp(project, target="hw_emu" if target == "hw_emu" else "hw", progress=output.note)
    for report in run.reports:
        output.wrote(project / report.path)
    if run.product is not None:
        output.wrote(project / run.product)
    output.result(f"{run.tool}: {', '.join(run.steps)} in {run.seconds:.0f} s")
