"""``aebert build``: compile a project."""

from __future__ import annotations

from pathlib import Path

import click

from aebert.cli.output import current_output


@click.command(name="build")
@click.argument("project", type=click.Path(path_type=Path))
@click.option(
    "--tool", type=click.Choice(["emulator"]), default="emulator", show_default=True, help="What to build with."
)
def command(project: Path, tool: str) -> None:
    """Compile PROJECT's C++ into the emulator (a shared library that any machine with a compiler can run).

    Example: aebert build project --tool emulator
    """
    from codegen.manifest import read_manifest
    from codegen.toolchains.emulator import build_emulator

    output = current_output()
    read_manifest(project)
    for _ in output.track([tool], "compile the emulator"):
        library = build_emulator(project)
    output.wrote(library, f"aebert verify {project}")
