"""Heads and neurons removed in turn by what their output loses, or by what the prediction loses: which is nearer?

    python -m benchmarks.glue dense --data DATA --out OUT --tasks rte      # the dense models, once
    python -m benchmarks.removal_order --data DATA --out OUT --tasks rte [--ratios 0.5 0.7]

The same share of every site goes, and all kept weights are fitted afterwards (`refit_encoder`). Printed: KL of dev's
logits to the dense model's, its difference with the standard error over paired rows, and the task's metric.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from aebert.models import load_encoder
from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.host_model import load_host_model
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.output_importance import output_importance
from aebert.pruning.refine import refit_encoder
from aebert.pruning.structured_removal import structured_masks
from aebert.pruning.unit_counts import uniform_ratios, zeroed_units
from aebert.tasks import compute_metrics, load_task, split_train
from aebert.tasks.predict import fp32_run, predict_logits
from benchmarks.glue import dense_directory
from benchmarks.machine import machine_line
from benchmarks.peers import divergences
from benchmarks.peers_units import PATTERN


def compare(out: Path, data: Path, name: str, ratios: list[float], rows: int | None) -> None:
    directory, given = dense_directory(out, name), load_task(name, data)
    host, encoder = load_host_model(directory), load_encoder(directory)
    calibration = split_train(given.train, rows).calibration
    states = host.embed_texts(host.tokenise([row.text for row in calibration], MAX_TOKENS))
    began = time.process_time()
    importance = output_importance(host, encoder, [states])
    print(f"{name}, {len(calibration)} rows: importance of outputs {time.process_time() - began:.0f} s")
    dev = given.dev["dev"]
    labels = [row.label for row in dev]
    dense = predict_logits(host, given.task, fp32_run(encoder), dev)
    for ratio in ratios:
        counts = zeroed_units(encoder.shape, PATTERN, uniform_ratios(encoder.shape, PATTERN, ratio))
        lost = {}
        for weighted in (False, True):
            moments = iterate_moments(encoder, states)
            masks = structured_masks(encoder, PATTERN, counts, moments, importance if weighted else None)
            own = predict_logits(host, given.task, fp32_run(refit_encoder(encoder, masks, states)), dev)
            lost[weighted] = divergences(given.task, dense, own)
            metric = compute_metrics(given.task, own, labels)[given.task.primary]
            what = "the prediction" if weighted else "the output"
            print(f"  {ratio}: by {what}: KL {float(lost[weighted].mean()):.4f}, {given.task.primary} {metric:.3f}")
        change = lost[True] - lost[False]
        error = float(change.std()) / len(change) ** 0.5
        print(f"  {ratio}: difference {float(change.mean()):+.4f} +- {error:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=["rte"])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.5, 0.7])
    parser.add_argument("--rows", type=int, help="[default: as aebert search: 512, or a fifth]")
    arguments = parser.parse_args()
    print(machine_line())
    for task in arguments.tasks:
        compare(arguments.out, arguments.data, task, arguments.ratios, arguments.rows)


if __name__ == "__main__":
    main()
