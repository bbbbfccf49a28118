"""``aebert report``: one HTML file about a project."""

from __future__ import annotations

from pathlib import Path

import click

from aebert.cli.output import current_output
from aebert.cli.progress import step_progress


@click.command(name="report")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="HTML file [default: in PROJECT].")
@click.option("--text", type=click.Path(path_type=Path), help="Sentences to verify on; default: text that ships.")
def command(project: Path, path: Path | None, text: Path | None) -> None:
    """Verify PROJECT on the emulator and write what came out as one self-contained HTML file.

    Example: aebert report project -o report.html
    """
    from aebert.atomic import write_text
    from aebert.cli.texts import verification_texts
    from codegen.project import load_project
    from host.open import open_accelerator
    from host.report.data import collect
    from host.report.page import render_report
    from host.verify.ladder import verify_project

    output = current_output()
    loaded = load_project(project)
    with step_progress(output) as progress:
        with open_accelerator(loaded, "emulator") as accelerator:
            verification = verify_project(loaded, accelerator, verification_texts(text), progress=progress)
        progress("timed emulation", 0, 1)
        data = collect(loaded, verification)
        progress("timed emulation", 1, 1)
    target = path or project / "report.html"
    write_text(target, render_report(data))
    output.wrote(target)
