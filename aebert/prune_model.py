"""The prune step on folders: model directory -> subnet directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aebert.calibration import Text, calibration_states, read_texts
from aebert.encoder import Encoder, EncoderShape
from aebert.models import load_encoder
from aebert.models.host import load_host_model
from aebert.output_directory import check_replaceable
from aebert.progress import Progress, count_through, no_progress
from aebert.pruning import PrunedEncoder, parse_pattern, prune_encoder
from aebert.pruning.counts import MatrixKey, layer_ratios, read_matrix_ratios, uniform_ratios
from aebert.pruning.moments import iterate_moments
from aebert.pruning.patterns import Pattern
from aebert.pruning.refine import refine_encoder
from aebert.pruning.saliency import check_saliency
from aebert.subnet import SUBNET_FILE, Subnet, make_record, write_subnet

# Overall; by layer; by layer and matrix; or the JSON file that holds the latter.
Ratios = float | Sequence[float] | Mapping[MatrixKey, float] | Path

_STEP = "prune"


def prune(
    model: Path | str,
    output: Path | str,
    *,
    ratio: Ratios,
    pattern: str = "vector:4x1",
    saliency: str = "activation",
    compensate: bool = False,
    refine: bool = False,
    texts: Sequence[Text] | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> Subnet:
    """Prune the Hugging Face directory ``model`` and write the subnet directory ``output``: complete, or not at all.

    ``ratio``: zeroed / all prunable weights, overall, or one by layer, or by (layer, matrix), or a JSON file of ratios
    by layer and matrix. ``pattern`` as in docs/pruning.md. ``compensate`` corrects the kept weights by least squares;
    ``refine`` fits masks and weights together instead. ``texts`` calibrate [default: the text that ships]. ``seed`` is
    recorded; pruning draws nothing. ``force`` replaces a subnet that is there already.

    Raises AebertError for a model, pattern or ratio that cannot be pruned, and for an ``output`` that is not free.
    """
    source, directory = Path(model), Path(output)
    check_replaceable(directory, SUBNET_FILE, "subnet", force)
    parsed = parse_pattern(pattern)
    encoder = load_encoder(source)
    ratios = _matrix_ratios(encoder.shape, parsed, ratio)
    if refine or compensate or saliency != "magnitude":
        calibration = list(texts) if texts is not None else read_texts()
        states = calibration_states(load_host_model(source), calibration, encoder.shape.max_positions)
        layers = encoder.shape.layers
        if refine:
            pruned = refine_encoder(
                encoder, parsed, ratios, states, lambda items: count_through(items, _STEP, layers, progress)
            )
        else:
            moments = count_through(iterate_moments(encoder, states), _STEP, layers, progress)
            pruned = prune_encoder(encoder, parsed, ratios, check_saliency(saliency), moments, compensate)
    else:
        pruned = prune_encoder(encoder, parsed, ratios, check_saliency(saliency))
    return _write(source, directory, encoder, pruned, saliency, compensate, refine, seed, force)


def _matrix_ratios(shape: EncoderShape, pattern: Pattern, ratio: Ratios) -> Mapping[MatrixKey, float]:
    if isinstance(ratio, Mapping):
        return ratio
    if isinstance(ratio, Path):
        return read_matrix_ratios(ratio, shape)
    if isinstance(ratio, Sequence):
        return layer_ratios(shape, pattern, ratio)
    return uniform_ratios(shape, pattern, ratio)


def _write(
    source: Path,
    directory: Path,
    dense: Encoder,
    pruned: PrunedEncoder,
    saliency: str,
    compensate: bool,
    refine: bool,
    seed: int,
    force: bool,
) -> Subnet:
    compensation = "refined" if refine else "least-squares" if compensate else "none"
    # Refinement chooses masks by the error they leave, not by a saliency.
    criterion = "reconstruction" if refine else saliency
    record = make_record(pruned.encoder, dense.digest, str(pruned.pattern), criterion, compensation, seed, {})
    write_subnet(source, directory, pruned.encoder, record, force)
    return Subnet(directory, pruned.encoder, record)
