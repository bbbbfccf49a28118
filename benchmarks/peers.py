"""Ours against post-training pruners of others, on real tasks, without fine-tuning: one table, filled cell by cell.

    python -m benchmarks.glue dense --data DATA --out OUT --tasks mrpc rte   # the dense models, once
    python -m benchmarks.peers run --data DATA --out OUT --tasks mrpc rte
    python -m benchmarks.peers table --out OUT

Every method starts from the same dense model and sees the same ``--rows`` training rows; ``dev`` is read only to fill a
cell: the task's metric, and the mean KL of the logits to the dense model's, both with the standard error over rows (of
the metric: a bootstrap). Filled cells are skipped, so a run can be stopped and started again. Cells of a run with
another number of rows or candidates belong into another OUT. Methods are left out for patterns that they cannot prune:
Kwon et al., K-prune and ZipLM have ``--patterns head+neuron``, the others all else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from aebert.models import load_encoder
from aebert.models.encoder import FloatArray
from aebert.models.host_model import load_host_model
from aebert.pruning.zero_patterns import parse_pattern
from aebert.tasks import Task, compute_metrics, find_task, load_task, split_train
from aebert.tasks.predict import fp32_run, predict_logits
from benchmarks.glue import dense_directory
from benchmarks.glue_cells import Cell, CellKey, CellStore
from benchmarks.machine import machine_line
from benchmarks.peers_layerwise import Given
from benchmarks.peers_methods import METHODS
from benchmarks.processor_time import processor_seconds

RESAMPLES = 400


def divergences(task: Task, dense: FloatArray, own: FloatArray) -> torch.Tensor:
    """KL(dense || own) of each row in nats; for regression half the squared difference."""
    before, after = torch.from_numpy(dense).double(), torch.from_numpy(own).double()
    if task.kind == "regression":
        return (before - after).square().sum(dim=1) / 2
    left, right = before.log_softmax(dim=1), after.log_softmax(dim=1)
    return (left.exp() * (left - right)).sum(dim=1)


def bootstrap_error(task: Task, logits: FloatArray, labels: list[int | float]) -> float:
    """Standard error of the primary metric over rows."""
    stream, given = np.random.default_rng(0), np.asarray(labels)
    drawn = (stream.integers(len(given), size=len(given)) for _ in range(RESAMPLES))
    return float(np.std([compute_metrics(task, logits[rows], given[rows].tolist())[task.primary] for rows in drawn]))


def keys(arguments: argparse.Namespace) -> Iterator[CellKey]:
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for pattern in arguments.patterns:
                for ratio in arguments.ratios:
                    for method in arguments.methods:
                        own = METHODS[method]
                        if own.suits(parse_pattern(pattern)) and (seed == 0 or own.draws):
                            yield CellKey("peers", task, pattern, ratio, method, seed)


def run(arguments: argparse.Namespace, store: CellStore) -> None:
    for key in keys(arguments):
        if key in store:
            continue
        directory = dense_directory(arguments.out, key.task)
        data = load_task(key.task, arguments.data)
        host, encoder = load_host_model(directory), load_encoder(directory)
        rows = split_train(data.train, arguments.rows).calibration
        out = arguments.out
        given = Given(
            directory, host, encoder, data.task, rows, out / "prepared-peers", arguments.candidates, out / "searches"
        )
        began = processor_seconds()
        pruned = METHODS[key.method].prune(given, parse_pattern(key.pattern), key.ratio, key.seed)
        seconds = processor_seconds() - began
        dev = data.dev["dev"]
        labels = [row.label for row in dev]
        dense, own = (predict_logits(host, data.task, fp32_run(each), dev) for each in (encoder, pruned))
        found = {str(name): value for name, value in compute_metrics(data.task, own, labels).items()}
        lost = divergences(data.task, dense, own)
        notes = {
            "kl": float(lost.mean()),
            "kl error": float(lost.std() / len(lost) ** 0.5),
            "metric error": bootstrap_error(data.task, own, labels),
            "rows": len(rows),
            "candidates": arguments.candidates if key.method == "ours-search" else 0,
        }
        store.add(Cell(key, found, notes, seconds, pruned.digest, machine_line()))


def table(arguments: argparse.Namespace, store: CellStore) -> None:
    """Markdown: metric and KL of each cell in hundredths and nats, the mean over seeds, and processor seconds."""
    cells = store.read()
    for machine in sorted({cell.machine for key, cell in cells.items() if key.stage == "peers"}):
        print(machine)
    print("| task | pattern | ratio | " + " | ".join(arguments.methods) + " |")
    print("|---" * (3 + len(arguments.methods)) + "|")
    for task in arguments.tasks:
        for pattern in arguments.patterns:
            for ratio in arguments.ratios:
                texts = []
                for method in arguments.methods:
                    own = [
                        cells[key]
                        for seed in range(arguments.seeds)
                        if (key := CellKey("peers", task, pattern, ratio, method, seed)) in cells
                    ]
                    texts.append(cell_text(task, own))
                if any(text != "-" for text in texts):
                    print(f"| {task} | {pattern} | {ratio:g} | " + " | ".join(texts) + " |")


def cell_text(task: str, cells: list[Cell]) -> str:
    if not cells:
        return "-"
    name = find_task(task).primary
    metric = 100 * float(np.mean([cell.metrics[name] for cell in cells]))
    error, kl, kl_error = (
        float(np.mean([cell.notes[note] for cell in cells])) for note in ("metric error", "kl", "kl error")
    )
    seconds = float(np.mean([cell.seconds for cell in cells]))
    return f"{metric:.1f} +- {100 * error:.1f}; {kl:.4f} +- {kl_error:.4f}; {seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("run", "table"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=["mrpc", "rte"])
    parser.add_argument("--patterns", nargs="+", default=["unstructured", "vector:4x1"])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.5, 0.7])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--rows", type=int, help="[default: as aebert search: 512, or a fifth]")
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = CellStore(arguments.out / "cells.jsonl")
    if arguments.stage == "table":
        table(arguments, store)
        return
    if arguments.data is None:
        parser.error("--data is needed")
    run(arguments, store)


if __name__ == "__main__":
    main()
