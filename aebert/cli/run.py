"""``aebert run``: texts through a project."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.arguments import project_argument
from aebert.cli.names import complete_device
from aebert.cli.output import current_output
from aebert.cli.progress import step_progress
from aebert.cli.trust import tell_trust, trust_option

if TYPE_CHECKING:
    from host.answers import Answer

_SHOWN_VALUES = 6


@click.command(name="run")
@project_argument
@click.option("--text", "texts", multiple=True, help="A sentence; repeat for several.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Sentences or tab-separated pairs, one per line.")
@click.option(
    "--device",
    default="emulator",
    show_default=True,
    shell_complete=complete_device,
    help="emulator, rtl, pynq-emulator, pynq:N, xrt:N or remote:HOST.",
)
@click.option("--embeddings", is_flag=True, help="Sentence embeddings, even if the model has a head.")
@click.option("--guarded", is_flag=True, help="Check every launch: run it twice, read all buffers back.")
@trust_option
def command(
    project: Path,
    texts: tuple[str, ...],
    file: Path | None,
    device: str,
    embeddings: bool,
    guarded: bool,
    trust_changes: bool,
) -> None:
    """Run texts through PROJECT on a device: labels if the model has a head, sentence embeddings if not.

    Example: aebert run project --text "A sentence." --text "Another one." --json
    """
    if not texts and file is None:
        raise click.UsageError("no text; give --text or --file")
    from aebert.models.calibration_text import read_texts
    from host.answers import answer_texts
    from host.runtime import load

    output = current_output()
    wanted = [*texts, *(read_texts(file) if file is not None else ())]
    with step_progress(output) as progress, ExitStack() as stack:
        progress("open device", 0, 1)
        model = stack.enter_context(load(project, device, guarded=guarded, trust_changes=trust_changes))
        progress("open device", 1, 1)
        progress("run", 0, 1)
        answers = answer_texts(model, wanted, embeddings=embeddings)
        progress("run", 1, 1)
        for fault in model.faults:
            output.note(f"device fault, launch repeated: {fault}")
        source = model.accelerator.device.source
        tell_trust(output, model.project)
    output.result(
        "\n".join(map(_as_text, answers)), device=device, source=source, results=[_facts(answer) for answer in answers]
    )
    output.next(f"aebert measure {shlex.quote(str(project))} --device {shlex.quote(device)}")


def _facts(answer: Answer) -> dict[str, object]:
    """Embeddings in full."""
    if answer.scores:
        return {"text": answer.text, "label": answer.label, "scores": answer.scores}
    return {"text": answer.text, "embedding": answer.embedding}


def _as_text(answer: Answer) -> str:
    text = answer.text if isinstance(answer.text, str) else " | ".join(answer.text)
    if answer.label is not None:
        return f"{answer.label}  {answer.scores[answer.label]:.4f}  {text}"
    first = " ".join(f"{value:+.4f}" for value in answer.embedding[:_SHOWN_VALUES])
    return f"[{first} ...] ({len(answer.embedding)} values)  {text}"
