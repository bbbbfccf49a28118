"""``aebert evaluate``: the metric of a model, subnet or project on a task."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.calibration_options import chosen_texts
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.task_options import read_task_data, task_arguments, task_options

if TYPE_CHECKING:
    from aebert.models.encoder import Encoder
    from aebert.models.host_model import HostModel
    from aebert.models.text import Text
    from aebert.numerics.quantised import QuantisedEncoder
    from aebert.support.progress import Progress
    from aebert.tasks.evaluation import Evaluation


@dataclass(frozen=True)
class _Evaluated:
    """What a folder holds. A project brings its integers; ``max_tokens`` is what its design can take."""

    host: HostModel
    encoder: Encoder
    quantised: QuantisedEncoder | None
    max_tokens: int


@click.command(name="evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@task_options()
@click.option(
    "--reference",
    type=click.Choice(["fp32", "integer", "both"]),
    default="fp32",
    show_default=True,
    help="What computes the encoder: PyTorch, or the integers of the accelerator.",
)
@click.option("--split", "rows_of", help="One development set, such as dev_matched.  [default: all there are]")
@click.option("--rows", type=int, help="Only so many rows, spread evenly.  [default: all]")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="Longer rows are cut.")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="Calibration text for the integers  [default: the task's training rows].",
)
def command(
    model: Path,
    task: str,
    data: str,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    reference: str,
    rows_of: str | None,
    rows: int | None,
    max_tokens: int,
    text: Path | None,
) -> None:
    """Evaluate MODEL, a Hugging Face directory, subnet or project, on a task's development set.

    The integer reference computes what the accelerator does, bit for bit. Of a project it is the quantised encoder
    stored there; for anything else the encoder is quantised as 'aebert generate' does with the same --task or --text.

    Example: aebert evaluate tuned --task mrpc --data glue --reference both
    """
    from aebert.tasks.evaluation import evaluate
    from aebert.tasks.load import require_dev
    from aebert.tasks.predict import fp32_run, integer_run, required_label_order

    output = current_output()
    calibrates = reference != "fp32" and text is None
    examples = read_task_data(task, data, text_columns, label_column, kind, with_train=calibrates, model=model)
    require_dev(examples, data)
    with step_progress(output) as progress:
        found = _read(model, max_tokens)
        required_label_order(found.host, examples.task)
        quantised = found.quantised
        if quantised is None and reference != "fp32":
            quantised = _quantise(found, chosen_texts(text, examples), progress)
        evaluations = [
            evaluate(
                found.host,
                examples,
                name,
                found.max_tokens,
                fp32_run(found.encoder) if reference != "integer" else None,
                integer_run(quantised) if quantised is not None and reference != "fp32" else None,
                rows,
                progress,
            )
            for name in ([rows_of] if rows_of else examples.dev)
        ]
    for evaluation in evaluations:
        _print(output, evaluation)
    output.result(
        evaluations=[
            {
                "dev": each.rows_of,
                "rows": each.rows,
                "fp32": each.fp32,
                "integer": each.integer,
                "loss_points": each.loss_points,
                "within_limit": each.within_limit,
                "seconds": each.seconds,
            }
            for each in evaluations
        ],
        task=examples.task.name,
        primary=examples.task.primary,
        max_tokens=found.max_tokens,
    )
    if found.quantised is None:
        asked = task_arguments(task, data, text_columns, label_column, kind)
        output.next(f"aebert generate {shlex.quote(str(model))} {asked} --board u200 -o project")


def _read(directory: Path, max_tokens: int) -> _Evaluated:
    from aebert.models import load_encoder
    from aebert.models.host_model import load_host_model
    from aebert.pruning.subnet import SUBNET_FILE, read_subnet
    from codegen.project import load_project
    from codegen.project_folder import MANIFEST_FILE

    if (directory / MANIFEST_FILE).is_file():
        project = load_project(directory)
        encoder = load_encoder(project.model_directory)
        limit = min(max_tokens, project.manifest.config.max_length, encoder.shape.max_positions)
        return _Evaluated(load_host_model(project.model_directory), encoder, project.quantised, limit)
    is_subnet = (directory / SUBNET_FILE).is_file()
    encoder = read_subnet(directory).encoder if is_subnet else load_encoder(directory)
    return _Evaluated(load_host_model(directory), encoder, None, min(max_tokens, encoder.shape.max_positions))


def _quantise(found: _Evaluated, texts: list[Text], progress: Progress) -> QuantisedEncoder:
    from aebert.quantisation.quantise import quantise

    states = found.host.embed_texts(found.host.tokenise(texts, found.max_tokens))
    return quantise(found.encoder, states, progress=lambda done, total: progress("quantise", done, total))


def _print(output: Output, evaluation: Evaluation) -> None:
    from aebert.tasks.evaluation import ALLOWED_LOSS_POINTS

    where = f"{evaluation.task} {evaluation.rows_of}"
    for name, scores in (("fp32", evaluation.fp32), ("integer reference", evaluation.integer)):
        if scores is not None:
            shown = ", ".join(f"{metric} {score:.4f}" for metric, score in scores.items())
            output.result(f"{where}  {name:<17}  {shown}")
    loss = evaluation.loss_points
    if loss is not None:
        verdict = "within" if evaluation.within_limit else "MORE than"
        output.result(f"{where}  {evaluation.primary} lost {loss:.2f} points, {verdict} {ALLOWED_LOSS_POINTS:g}")
    output.note(f"{evaluation.rows} rows in {evaluation.seconds:.1f} s")
