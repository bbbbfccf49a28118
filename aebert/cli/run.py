"""``aebert run``: texts through a project."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.names import complete_device
from aebert.cli.output import current_output

if TYPE_CHECKING:
    from host.answers import Answer

_SHOWN_VALUES = 6


@click.command(name="run")
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A sentence; repeat for several.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Sentences or tab-separated pairs, one per line.")
@click.option(
    "--device",
    default="emulator",
    show_default=True,
    shell_complete=complete_device,
    help="emulator, pynq-emulator, pynq:N, xrt:N or remote:HOST.",
)
@click.option("--embeddings", is_flag=True, help="Sentence embeddings, even if the model has a head.")
@click.option("--guarded", is_flag=True, help="Check every launch: run it twice, read all buffers back.")
def command(
    project: Path,
    texts: tuple[str, ...],
    file: Path | None,
    device: str,
    embeddings: bool,
    guarded: bool,
) -> None:
    """Run texts through PROJECT on a device: labels if the model has a head, sentence embeddings if not.

    Example: aebert run project --text "A sentence." --text "Another one." --json
    """
    if not texts and file is None:
        raise click.UsageError("no text; give --text or --file")
    from aebert.calibration import read_texts
    from host.answers import answer_texts
    from host.runtime import load

    output = current_output()
    wanted = [*texts, *(read_texts(file) if file is not None else ())]
    with load(project, device, guarded=guarded) as model:
        answers = answer_texts(model, wanted, embeddings=embeddings)
        for fault in model.faults:
            output.note(f"device fault, launch repeated: {fault}")
        source = model.accelerator.device.source
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
