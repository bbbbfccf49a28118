"""``aebert verify``: the ladder from PyTorch to the device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress

if TYPE_CHECKING:
    from host.verify.ladder import Verification

EXIT_MISMATCH = 1


@click.command(name="verify")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--device", default="emulator", show_default=True, help="What runs the project.")
@click.option("--text", type=click.Path(path_type=Path), help="Sentences, one per line; default: text that ships.")
@click.option("--tokens", type=int, multiple=True, help="Sequence length to compare at; repeat for several.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures as JSON.")
@click.option("--junit", "junit_path", type=click.Path(path_type=Path), help="Write JUnit XML for CI.")
def command(
    project: Path,
    device: str,
    text: Path | None,
    tokens: tuple[int, ...],
    json_path: Path | None,
    junit_path: Path | None,
) -> None:
    """Check that PROJECT computes what PyTorch computes: every pass of every layer, bit for bit.

    Exits with 1 when something differs, and names the first layer, pass, token and channel.

    Example: aebert verify project --junit verify.xml
    """
    from aebert.atomic import write_text
    from aebert.cli.texts import verification_texts
    from codegen.project import load_project
    from host.open import open_accelerator
    from host.verify.formats import to_json, to_junit
    from host.verify.ladder import verify_project

    output = current_output()
    loaded = load_project(project)
    texts = verification_texts(text)
    with step_progress(output) as progress:
        progress("open device", 0, 1)
        with open_accelerator(loaded, device) as accelerator:
            progress("open device", 1, 1)
            verification = verify_project(loaded, accelerator, texts, tokens or None, progress)
    print_verification(output, verification)
    for path, content in ((json_path, to_json), (junit_path, to_junit)):
        if path is not None:
            write_text(path, content(verification))
            output.wrote(path)
    if not verification.passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)


def print_verification(output: Output, verification: Verification) -> None:
    """One line per rung, and the verdict."""
    width = max(len(rung.name) for rung in verification.rungs)
    for rung in verification.rungs:
        output.result(f"{'ok  ' if rung.passed else 'FAIL'}  {rung.name:<{width}}  {rung.summary}")
    output.result(f"{verification.project}: {'verified' if verification.passed else 'NOT verified'}")
