"""The prune step on folders: model directory -> subnet directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aebert.models import load_encoder
from aebert.models.calibration_text import calibration_states, read_texts, verification_texts
from aebert.models.encoder import EncoderShape
from aebert.models.host_model import load_host_model
from aebert.models.text import Text
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.fidelity import EMBEDDING_COSINE, embedding_cosine
from aebert.pruning.head_correction import text_head_correction
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.output_importance import output_importance
from aebert.pruning.refine import refine_encoder
from aebert.pruning.saliency import Saliency, check_saliency
from aebert.pruning.subnet import SUBNET_FILE, Subnet, make_record, write_subnet
from aebert.pruning.unit_counts import MatrixKey, layer_ratios, read_matrix_ratios, uniform_ratios
from aebert.pruning.zero_patterns import Pattern, Structured
from aebert.support.extensions import method_name
from aebert.support.output_directory import check_replaceable
from aebert.support.progress import Progress, count_through, no_progress

# Overall; by layer; by layer and matrix; or the JSON file that holds the latter.
Ratios = float | Sequence[float] | Mapping[MatrixKey, float] | Path

_STEP, _COMPARE = "prune", "compare with dense"


def prune(
    model: Path | str,
    output: Path | str,
    *,
    ratio: Ratios,
    pattern: str = "vector:4x1",
    saliency: Saliency = "activation",
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
    ``refine`` fits masks and weights together instead. ``saliency``: a name or a method of one's own
    (docs/own_methods.md). ``texts`` calibrate [default: the text that ships]. ``seed`` is recorded; pruning draws
    nothing. ``force`` replaces a subnet that is there already. The record's scores tell how
    near the subnet's sentence embeddings are to the dense model's on text that ships.

    Raises AebertError for a model, pattern or ratio that cannot be pruned, and for an ``output`` that is not free.
    """
    source, directory = Path(model), Path(output)
    check_replaceable(directory, SUBNET_FILE, "subnet", force)
    parsed = parse_pattern(pattern)
    check_saliency(saliency)
    encoder = load_encoder(source)
    ratios = _matrix_ratios(encoder.shape, parsed, ratio)
    host = load_host_model(source)
    if refine or compensate or saliency != "magnitude":
        calibration = list(texts) if texts is not None else read_texts()
        states = calibration_states(host, calibration, encoder.shape.max_positions)
        layers = encoder.shape.layers
        if refine:
            importance = None
            if isinstance(parsed, Structured) and host.has_classifier and texts is not None:  # text of the task
                importance = output_importance(host, encoder, [states])
            pruned = refine_encoder(
                encoder, parsed, ratios, states, lambda items: count_through(items, _STEP, layers, progress), importance
            )
        else:
            moments = count_through(iterate_moments(encoder, states), _STEP, layers, progress)
            pruned = prune_encoder(encoder, parsed, ratios, saliency, moments, compensate)
    else:
        pruned = prune_encoder(encoder, parsed, ratios, saliency)
    progress(_COMPARE, 0, 1)
    scores = {EMBEDDING_COSINE: embedding_cosine(encoder, pruned.encoder, host, verification_texts())}
    progress(_COMPARE, 1, 1)
    head = None
    if compensate and not refine and texts is not None:  # text of the task: it tells how often each class comes out
        head = text_head_correction(host, encoder, pruned.encoder, states)
    compensation = "refined" if refine else "least-squares" if compensate else "none"
    # Refinement chooses masks by the error they leave, not by a saliency.
    criterion = "reconstruction" if refine else method_name(saliency)
    record = make_record(
        pruned.encoder, encoder.digest, str(pruned.pattern), criterion, compensation, seed, scores, head
    )
    write_subnet(source, directory, pruned.encoder, record, force)
    return Subnet(directory, pruned.encoder, record)


def _matrix_ratios(shape: EncoderShape, pattern: Pattern, ratio: Ratios) -> Mapping[MatrixKey, float]:
    if isinstance(ratio, Mapping):
        return ratio
    if isinstance(ratio, Path):
        return read_matrix_ratios(ratio, shape)
    if isinstance(ratio, Sequence):
        return layer_ratios(shape, pattern, ratio)
    return uniform_ratios(shape, pattern, ratio)
