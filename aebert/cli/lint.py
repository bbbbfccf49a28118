"""``aebert lint``: checks a project's C++ against the rules of docs/hls_style.md."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.output import current_output


@click.command()
@click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_context
def command(ctx: click.Context, project: Path) -> None:
    """Check the C++ of PROJECT as synthesis sees it: pragmas, loops, and what has no hardware.

    Prints one line per finding; exit code 1 when there are any.

    Example: aebert lint project
    """
    from codegen.lint import lint_project

    output = current_output()
    report = lint_project(project)
    for finding in report.findings:
        output.result(str(finding))
    output.result(
        findings=report.findings,
        files=report.files,
        functions=report.functions,
        loops=report.loops,
        pragmas=report.pragmas,
    )
    looked_at = f"{report.files} files, {report.functions} functions, {report.loops} loops, {report.pragmas} pragmas"
    output.note(f"{len(report.findings)} findings in {looked_at}")
    if report.findings:
        ctx.exit(1)
    output.next(f"aebert build {shlex.quote(str(project))} --tool vitis_hls")
