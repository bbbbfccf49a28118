"""``aebert prune``: a model directory and a ratio into a subnet directory."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import current_output
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.encoder import EncoderShape
    from aebert.pruning.counts import MatrixKey
    from aebert.pruning.patterns import Pattern


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
@click.option("--pattern", default="vector:4x1", show_default=True, help="Where zeros may fall (see docs/pruning.md).")
@click.option("--saliency", type=click.Choice(["magnitude", "activation"]), default="activation", show_default=True)
@click.option("--compensate", is_flag=True, help="Correct the kept weights by least squares.")
@click.option("--refine", is_flag=True, help="Fit masks and weights together: best result, several times slower.")
@click.option("--text", type=click.Path(path_type=Path), help="Calibration text, one sentence or pair per line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Recorded in subnet.json; pruning draws nothing.")
@click.option("--force", is_flag=True, help="Replace the subnet that is already in the output folder.")
def command(
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
    from aebert.models import load_encoder
    from aebert.output_directory import check_replaceable
    from aebert.pruning import parse_pattern, prune_encoder
    from aebert.pruning.saliency import check_saliency
    from aebert.subnet import SUBNET_FILE, make_record, write_subnet

    output = current_output()
    check_replaceable(directory, SUBNET_FILE, "subnet", force)
    parsed = parse_pattern(pattern)
    encoder = load_encoder(model)
    ratios = _ratios(encoder.shape, parsed, ratio, per_layer, per_matrix)
    if not (refine or compensate or saliency == "activation"):
        pruned = prune_encoder(encoder, parsed, ratios, check_saliency(saliency))
    else:
        from aebert.calibration import calibration_states, read_texts
        from aebert.models.host import load_host_model
        from aebert.pruning.moments import iterate_moments
        from aebert.pruning.refine import refine_encoder

        texts = read_texts(text)
        states = calibration_states(load_host_model(model), texts, encoder.shape.max_positions)
        if refine:
            pruned = refine_encoder(
                encoder, parsed, ratios, states, lambda layers: output.track(layers, "refining layers")
            )
        else:
            moments = output.track(iterate_moments(encoder, states), "pruning layers", encoder.shape.layers)
            pruned = prune_encoder(encoder, parsed, ratios, check_saliency(saliency), moments, compensate)
    compensation = "refined" if refine else "least-squares" if compensate else "none"
    # Refinement chooses masks by the error they leave, not by a saliency.
    criterion = "reconstruction" if refine else saliency
    record = make_record(pruned.encoder, encoder.digest, str(parsed), criterion, compensation, seed, {})
    write_subnet(model, directory, pruned.encoder, record, force)
    output.result(f"overall ratio {record.overall_ratio:.6f}, pattern {record.pattern}, digest {record.digest[:12]}")
    folder = shlex.quote(str(directory))
    output.wrote(directory, f"aebert generate {folder} --board u200 -o project")


def _ratios(
    shape: EncoderShape, pattern: Pattern, ratio: float | None, per_layer: str | None, per_matrix: Path | None
) -> Mapping[MatrixKey, float]:
    from aebert.pruning.counts import layer_ratios, read_matrix_ratios, uniform_ratios

    if sum(given is not None for given in (ratio, per_layer, per_matrix)) != 1:
        raise AebertError("give exactly one of --ratio, --per-layer and --per-matrix")
    if ratio is not None:
        return uniform_ratios(shape, pattern, ratio)
    if per_layer is not None:
        return layer_ratios(shape, pattern, _parse_ratios(per_layer))
    assert per_matrix is not None
    return read_matrix_ratios(per_matrix, shape)


def _parse_ratios(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise AebertError(f"--per-layer {text!r}: write numbers with commas between them, like 0.4,0.5,0.6") from None
