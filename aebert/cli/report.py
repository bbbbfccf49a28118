"""``aebert report``: one HTML file about a search or a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.task_options import optional_task_data, task_options
from aebert.cli.trust import tell_trust, trust_option
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.tasks import TaskData


@click.command(name="report")
@click.argument("what", metavar="RUN|PROJECT", type=click.Path(path_type=Path))
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="HTML file [default: in the folder].")
@click.option(
    "--text", type=click.Path(path_type=Path), help="PROJECT: sentences to verify on; default: text that ships."
)
@task_options(required=False)
@click.option("--rows", type=click.IntRange(min=1), help="PROJECT: so many rows of the task.  [default: all]")
@click.option(
    "--dense", type=click.Path(path_type=Path), help="PROJECT: the dense model, to evaluate on the same rows."
)
@trust_option
def command(
    what: Path,
    path: Path | None,
    text: Path | None,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    rows: int | None,
    dense: Path | None,
    trust_changes: bool,
) -> None:
    """Write one self-contained HTML file about the search in RUN, or about PROJECT.

    RUN: its Pareto front, how the search got there, ratios, sensitivities, predicted against measured latency.
    PROJECT is verified on the emulator and timed: errors, timeline, FIFOs, roofline, resources, cycles. With --task its
    metric is measured too, in fp32, in integers and on the emulator, and with --dense that of the model it comes from.

    Example: aebert report project -o report.html
    """
    from aebert.report.run_data import is_run

    output = current_output()
    target = path or what / "report.html"
    if is_run(what):
        for option, value in (("--text", text), ("--task", task), ("--dense", dense), ("--rows", rows)):
            if value is not None:
                raise AebertError(f"{what}: is a search, and its report is of its own files; leave {option} out")
        _report_run(what, target, output)
    else:
        examples = optional_task_data(what, task, data, text_columns, label_column, kind)
        if examples is None and (dense is not None or rows is not None):
            raise AebertError("--dense and --rows belong to a task; give --task and --data too")
        _report_project(what, target, text, examples, rows, dense, trust_changes, output)
    output.wrote(target)


def _report_run(run: Path, target: Path, output: Output) -> None:
    from aebert.report.run_data import collect_run
    from aebert.report.run_page import render_run
    from aebert.support.atomic_files import write_text

    data = collect_run(run)
    write_text(target, render_run(data, target))
    output.result(run=run, report=target, candidates=len(data.summary.tried), best=data.summary.best)


def _report_project(
    project: Path,
    target: Path,
    text: Path | None,
    examples: TaskData | None,
    rows: int | None,
    dense: Path | None,
    trust_changes: bool,
    output: Output,
) -> None:
    from aebert.models.calibration_text import verification_texts
    from aebert.report.dense_model import dense_metrics
    from aebert.report.project_data import collect
    from aebert.report.project_page import render_report
    from aebert.support.atomic_files import write_text
    from codegen.project import load_project
    from host.verify.step import verify

    loaded = load_project(project, trust_changes=trust_changes)
    tell_trust(output, loaded)
    with step_progress(output) as progress:
        # First, so that the wrong model is refused before anything takes time.
        of_dense = None
        if examples is not None and dense is not None:
            of_dense = dense_metrics(loaded, dense, examples, rows, progress)
        verification = verify(
            project,
            texts=verification_texts(text),
            task=examples,
            rows=rows,
            trust_changes=trust_changes,
            progress=progress,
        )
        progress("timed emulation", 0, 1)
        data = collect(loaded, verification, of_dense)
        progress("timed emulation", 1, 1)
    write_text(target, render_report(data, target))
    output.result(project=project, report=target, passed=verification.passed, accuracy=data.accuracy)
