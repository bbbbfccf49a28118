"""``aebert verify``: the ladder from PyTorch to the device."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.arguments import project_argument
from aebert.cli.names import complete_device
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.task_options import optional_task_data, task_options
from aebert.cli.trust import trust_option

if TYPE_CHECKING:
    from host.verify.ladder import Verification

EXIT_MISMATCH = 1


@click.command(name="verify")
@project_argument
@click.option(
    "--device", default="emulator", show_default=True, shell_complete=complete_device, help="What runs the project."
)
@click.option("--text", type=click.Path(path_type=Path), help="Sentences, one per line; default: text that ships.")
@click.option("--tokens", type=int, multiple=True, help="Sequence length to compare at; repeat for several.")
@task_options(required=False)
@click.option(
    "--rows", type=click.IntRange(min=1), help="Only so many rows of the task, spread evenly.  [default: all]"
)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="Write all figures to a JSON file.")
@click.option("--junit", "junit_path", type=click.Path(path_type=Path), help="Write JUnit XML for CI.")
@trust_option
def command(
    project: Path,
    device: str,
    text: Path | None,
    tokens: tuple[int, ...],
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    rows: int | None,
    path: Path | None,
    junit_path: Path | None,
    trust_changes: bool,
) -> None:
    """Check that PROJECT computes what PyTorch computes: every pass of every layer, bit for bit.

    With --task, the task's development set goes through the device as well: bits, metric, latency.

    Exits with 1 when something differs, and names the first layer, pass, token and channel.

    Example: aebert verify project --junit verify.xml
    """
    from aebert.models.calibration_text import verification_texts
    from aebert.support.atomic_files import write_text
    from host.verify.formats import to_json, to_junit
    from host.verify.step import verify

    output = current_output()
    examples = optional_task_data(project, task, data, text_columns, label_column, kind)
    with step_progress(output) as progress:
        verification = verify(
            project,
            device,
            texts=verification_texts(text),
            lengths=tokens or None,
            task=examples,
            rows=rows,
            trust_changes=trust_changes,
            progress=progress,
        )
    print_verification(output, verification)
    for file, content in ((path, to_json), (junit_path, to_junit)):
        if file is not None:
            write_text(file, content(verification))
            output.wrote(file)
    if not verification.passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)
    output.next(f"aebert report {shlex.quote(str(project))}")


def print_verification(output: Output, verification: Verification) -> None:
    """One line per rung, and the verdict."""
    width = max(len(rung.name) for rung in verification.rungs)
    for rung in verification.rungs:
        output.result(f"{'ok  ' if rung.passed else 'FAIL'}  {rung.name:<{width}}  {rung.summary}")
    for check in verification.tasks:
        latency = check.latency
        if latency is None:
            continue
        times = latency.kernel_ms
        output.result(
            f"      {check.task} {check.rows_of}: kernel time ({latency.source}) median {times.median:.4f} ms, "
            f"p95 {times.p95:.4f}, {times.min:.4f} to {times.max:.4f}, {times.runs} sequences; {latency.basis}"
        )
    output.result(
        f"{verification.project}: {'verified' if verification.passed else 'NOT verified'}",
        project=verification.project,
        device=verification.device,
        passed=verification.passed,
        rungs=verification.rungs,
        comparisons=verification.comparisons,
        error_by_layer=verification.error,
        tasks=verification.tasks,
    )
