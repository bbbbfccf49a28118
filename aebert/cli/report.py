"""``aebert report``: one HTML file about a search or a project."""

from __future__ import annotations

from pathlib import Path

import click

from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.errors import AebertError


@click.command(name="report")
@click.argument("what", metavar="RUN|PROJECT", type=click.Path(path_type=Path))
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="HTML file [default: in the folder].")
@click.option(
    "--text", type=click.Path(path_type=Path), help="PROJECT: sentences to verify on; default: text that ships."
)
def command(what: Path, path: Path | None, text: Path | None) -> None:
    """Write one self-contained HTML file about the search in RUN, or about PROJECT.

    RUN: its Pareto front, how the search got there, ratios, sensitivities, predicted against measured latency.
    PROJECT is verified on the emulator and timed: errors, timeline, FIFOs, roofline, resources, cycles.

    Example: aebert report project -o report.html
    """
    from host.report.run_data import is_run

    output = current_output()
    target = path or what / "report.html"
    if is_run(what):
        if text is not None:
            raise AebertError(f"{what}: is a search, which is not verified; leave --text out")
        _report_run(what, target, output)
    else:
        _report_project(what, target, text, output)
    output.wrote(target)


def _report_run(run: Path, target: Path, output: Output) -> None:
    from aebert.atomic import write_text
    from host.report.run_data import collect_run
    from host.report.run_page import render_run

    data = collect_run(run)
    write_text(target, render_run(data))
    output.result(run=run, report=target, candidates=len(data.summary.tried), best=data.summary.best)


def _report_project(project: Path, target: Path, text: Path | None, output: Output) -> None:
    from aebert.atomic import write_text
    from aebert.calibration import verification_texts
    from codegen.project import load_project
    from host.open import open_accelerator
    from host.report.project_data import collect
    from host.report.project_page import render_report
    from host.verify.ladder import verify_project

    loaded = load_project(project)
    with step_progress(output) as progress:
        with open_accelerator(loaded, "emulator") as accelerator:
            verification = verify_project(loaded, accelerator, verification_texts(text), progress=progress)
        progress("timed emulation", 0, 1)
        data = collect(loaded, verification)
        progress("timed emulation", 1, 1)
    write_text(target, render_report(data))
    output.result(project=project, report=target, passed=verification.passed)
