"""``aebert prune``: a model directory and a ratio into a subnet directory."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.common_options import overruled
from aebert.cli.names import MethodChoice, complete_pattern
from aebert.cli.output import current_output
from aebert.cli.progress import step_progress
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.pruning.step import Ratios


@click.command(name="prune")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Subnet folder.")
@click.option("--ratio", type=float, help="Overall pruning ratio in [0, 1): zeroed / all prunable weights.")
@click.option("--per-layer", metavar="R1,R2,...", help="One ratio per layer, instead of --ratio.")
@click.option(
    "--per-matrix",
    type=click.Path(path_type=Path),
    help='JSON instead of --ratio: [{"query": 0.5, ...}, ...] by layer.',
)
@click.option(
    "--pattern",
    default="vector:4x1",
    show_default=True,
    shell_complete=complete_pattern,
    help="Where zeros may fall (see docs/pruning.md).",
)
@click.option(
    "--saliency",
    type=MethodChoice("saliency", ["magnitude", "activation", "second-order"]),
    default="activation",
    show_default=True,
    help="What counts as important (see docs/pruning.md).",
)
@click.option("--compensate", is_flag=True, help="Correct the kept weights by least squares.")
@click.option("--refine", is_flag=True, help="Fit masks and weights together: best result, several times slower.")
@click.option("--text", type=click.Path(path_type=Path), help="Calibration text, one sentence or pair per line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Recorded in subnet.json; pruning draws nothing.")
@click.option("--force", is_flag=True, help="Replace the subnet that is already in the output folder.")
@click.pass_context
def command(
    ctx: click.Context,
    model: Path,
    directory: Path,
    ratio: float | None,
    per_layer: str | None,
    per_matrix: Path | None,
    pattern: str,
    saliency: str,
    compensate: bool,
    refine: bool,
    text: Path | None,
    seed: int,
    force: bool,
) -> None:
    """Prune MODEL, a Hugging Face directory, to a ratio: the result is a subnet folder that transformers can load.

    Example: aebert prune MODEL -o subnet --ratio 0.5 --pattern vector:4x1 --compensate
    """
    from aebert.models.calibration_text import read_texts
    from aebert.pruning.step import prune

    output = current_output()
    weaker = overruled(ctx, "ratio", "per_layer", "per_matrix")
    with step_progress(output) as progress:
        record = prune(
            model,
            directory,
            ratio=_ratios(
                None if "ratio" in weaker else ratio,
                None if "per_layer" in weaker else per_layer,
                None if "per_matrix" in weaker else per_matrix,
            ),
            pattern=pattern,
            saliency=saliency,
            compensate=compensate,
            refine=refine,
            texts=None if text is None else read_texts(text),
            seed=seed,
            force=force,
            progress=progress,
        ).record
    from aebert.pruning.fidelity import EMBEDDING_COSINE

    output.result(
        f"overall ratio {record.overall_ratio:.6f}, pattern {record.pattern}, digest {record.digest[:12]}; mean cosine "
        f"{record.scores[EMBEDDING_COSINE]:.4f} of sentence embeddings to the dense model's",
        subnet=directory,
        overall_ratio=record.overall_ratio,
        pattern=record.pattern,
        saliency=record.saliency,
        compensation=record.compensation,
        scores=record.scores,
        digest=record.digest,
        source_digest=record.source_digest,
    )
    folder = shlex.quote(str(directory))
    output.wrote(directory, f"aebert generate {folder} --board u200 -o project")


def _ratios(ratio: float | None, per_layer: str | None, per_matrix: Path | None) -> Ratios:
    given = [value for value in (ratio, per_layer, per_matrix) if value is not None]
    if len(given) != 1:
        raise AebertError("give exactly one of --ratio, --per-layer and --per-matrix")
    return _parse_ratios(given[0]) if isinstance(given[0], str) else given[0]


def _parse_ratios(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise AebertError(f"--per-layer {text!r}: write numbers with commas between them, like 0.4,0.5,0.6") from None
