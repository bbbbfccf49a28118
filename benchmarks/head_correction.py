"""What the correction of a pruned classifier's head is worth, where it is made and where it would not be.

    python -m benchmarks.glue dense --data DATA --out OUT --tasks mrpc sst2   # the dense models, once
    python -m benchmarks.head_correction --data DATA --out OUT --tasks mrpc sst2

Uniform ratios, ``prune --compensate`` and ``prune --refine``, on calibration rows of the task. Scale and shifts are
found on these rows; divergence from the dense model and the task's metric are those of dev, before and after. The last
columns say by how many standard errors the classes' shares differ on the calibration rows, and whether that is enough.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.host_model import load_host_model
from aebert.pruning.head_correction import head_correction, match_moments, share_difference
from aebert.pruning.zero_patterns import parse_pattern
from aebert.tasks import compute_metrics, load_task, split_train
from aebert.tasks.predict import fp32_run, predict_logits
from benchmarks.glue import dense_directory
from benchmarks.machine import machine_line
from benchmarks.peers import divergences
from benchmarks.peers_layerwise import Given
from benchmarks.peers_methods import METHODS

PRUNERS = ("ours-compensate", "ours-refine")


def measure(arguments: argparse.Namespace, task: str) -> None:
    directory = dense_directory(arguments.out, task)
    data = load_task(task, arguments.data)
    host, encoder = load_host_model(directory), load_encoder(directory)
    rows, dev = split_train(data.train, arguments.rows).calibration, data.dev["dev"]
    out = arguments.out
    given = Given(directory, host, encoder, data.task, rows, out / "prepared-peers", 0, out / "searches")
    labels = [row.label for row in dev]

    def logits(own: Encoder) -> Mapping[str, torch.Tensor]:
        parts = {"calibration": rows, "dev": dev}
        return {
            name: torch.from_numpy(predict_logits(host, data.task, fp32_run(own), part)) for name, part in parts.items()
        }

    def figures(own: torch.Tensor) -> str:
        kl = float(divergences(data.task, before["dev"].numpy(), own.numpy()).mean())
        metric = compute_metrics(data.task, own.numpy(), labels)[data.task.primary]
        return f"{kl:7.4f} {100 * metric:5.1f}"

    before = logits(encoder)
    for pattern in arguments.patterns:
        for ratio in arguments.ratios:
            for method in PRUNERS:
                after = logits(METHODS[method].prune(given, parse_pattern(pattern), ratio, 0))
                shares = share_difference(before["calibration"], after["calibration"])
                forced = match_moments(before["calibration"], after["calibration"])
                corrected = "-" if forced is None else figures(forced.of_logits(after["dev"]))
                made = "made" if head_correction(before["calibration"], after["calibration"]) else "not made"
                line = f"{task:6} {pattern:13} {ratio:g}  {method:16} {figures(after['dev'])}   {corrected:>13}"
                print(f"{line}   {shares:6.1f}  {made}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder with dense/TASK")
    parser.add_argument("--tasks", nargs="+", default=["mrpc", "sst2"])
    parser.add_argument("--patterns", nargs="+", default=["vector:4x1"])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.5, 0.7])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine_line())
    print("task   pattern     ratio  pruner            before: KL, metric   corrected   standard errors")
    for task in arguments.tasks:
        measure(arguments, task)


if __name__ == "__main__":
    main()
