"""``aebert import``: an ONNX file into a model directory."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.output import current_output


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Model folder.")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="Folder with the tokenizer [default: the file's own, if it has one].",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="Model directory that gives embeddings, head and tokenizer to an encoder exported without.",
)
@click.option("--force", is_flag=True, help="Replace the imported model that is already in the output folder.")
def command(file: Path, directory: Path, tokenizer: Path | None, base: Path | None, force: bool) -> None:
    """Read the encoder in FILE, an ONNX model, and write it as a Hugging Face directory for the other commands.

    Takes exports of BERT, RoBERTa, DistilBERT and ELECTRA by torch.onnx or Optimum, in float32 or half precision, and
    recognises them by the structure of the graph. What was recognised is checked against the graph in onnxruntime.

    Example: aebert import model.onnx -o model && aebert prune model -o subnet --ratio 0.5
    """
    from aebert.onnx_exchange.import_model import import_model

    output = current_output()
    for _ in output.track([file], "read the graph and check it"):
        imported = import_model(file, directory, tokenizer, base, force)
    model, shape = imported.model, imported.model.encoder.shape
    error = imported.recognised.error
    behind = "a head" if model.head is not None else "a pooler" if model.pooler is not None else "no head"
    output.result(
        f"{model.family}, {shape.layers} layers, hidden {shape.hidden}, {shape.heads} heads, FFN {shape.ffn}, "
        f"{behind}; outputs equal the graph's within {error:.1e}, digest {model.encoder.digest[:12]}",
        family=model.family,
        shape=shape,
        head=model.head is not None,
        pooler=model.pooler is not None,
        left_out=imported.recognised.left_out,
        error=error,
        digest=model.encoder.digest,
        tokenizer=imported.has_tokenizer,
    )
    if imported.recognised.left_out:
        output.note(f"left out: {', '.join(imported.recognised.left_out)} (not a pooler or sequence classification)")
    if not imported.has_tokenizer:
        output.note("no tokenizer found: copy the model's own into the folder, or import again with --tokenizer")
    output.wrote(directory, f"aebert prune {shlex.quote(str(directory))} -o subnet --ratio 0.5")
