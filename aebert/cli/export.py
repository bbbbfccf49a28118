"""``aebert export``: a subnet or model directory into an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.calibration_options import chosen_texts, optional_task_data
from aebert.cli.output import current_output
from aebert.cli.task_options import task_options
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.models.text import Text
    from aebert.onnx_exchange.transformer_model import TransformerModel
    from aebert.quantisation.quantise import QuantisationResult

_INT8 = "onnx-int8"


@click.command(name="export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", _INT8]),
    default="onnx",
    show_default=True,
    help="float32, or the accelerator's int8 weights and scales as QuantizeLinear/DequantizeLinear.",
)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="ONNX file.")
@task_options(required=False)
@click.option(
    "--text", type=click.Path(path_type=Path), help="Calibration text for int8, one sentence or pair per line."
)
def command(
    model: Path,
    form: str,
    file: Path,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    text: Path | None,
) -> None:
    """Write MODEL, a subnet or any model directory, as an ONNX file for onnxruntime and other tools.

    The graph goes from token numbers to the last hidden states, and to logits where there is a classification head. It
    takes any number of sequences and tokens. Weights beyond 2 GB go to FILE.data.

    Example: aebert export subnet --format onnx-int8 -o subnet.onnx
    """
    from aebert.models.config_json import other_head
    from aebert.models.model_type import read_config
    from aebert.onnx_exchange.export_model import export_float, export_int8
    from aebert.onnx_exchange.huggingface import read_model
    from aebert.onnx_exchange.save import save_model
    from aebert.support.input_files import quoted

    output = current_output()
    if (text is not None or task is not None) and form != _INT8:
        raise AebertError(f"--text and --task: only --format {_INT8} is calibrated; leave them out")
    rows = optional_task_data(model, text, task, data, text_columns, label_column, kind)
    whole = read_model(model)
    if form == _INT8:
        exported = export_int8(whole, _quantise(model, whole, chosen_texts(text, rows)))
    else:
        exported = export_float(whole)
    files = save_model(exported, file)
    size = sum(path.stat().st_size for path in files)
    shape = whole.encoder.shape
    output.result(
        f"{form}: {shape.layers} layers, hidden {shape.hidden}, {len(exported.graph.node)} nodes, {size / 1e6:.1f} MB, "
        f"digest {whole.encoder.digest[:12]}",
        format=form,
        files=files,
        bytes=size,
        digest=whole.encoder.digest,
    )
    other = other_head(read_config(model))
    if other is not None:
        output.note(f"left out: the head of {quoted(other)}, which this toolkit does not compute")
    for path in files:
        output.wrote(path)


def _quantise(directory: Path, model: TransformerModel, texts: list[Text]) -> QuantisationResult:
    from aebert.cli.progress import step_progress
    from aebert.models.calibration_text import MAX_TOKENS
    from aebert.models.host_model import load_host_model
    from aebert.quantisation.quantise import quantise_with_scales

    host = load_host_model(directory)
    tokenised = host.tokenise(texts, min(MAX_TOKENS, model.encoder.shape.max_positions))
    with step_progress(current_output()) as progress:
        return quantise_with_scales(
            model.encoder,
            host.embed_texts(tokenised),
            progress=lambda done, total: progress("quantise", done, total),
        )
