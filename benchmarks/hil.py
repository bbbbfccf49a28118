"""Candidates per minute of a device farm: other subnets on one loaded design, and where the time goes.

    python -m benchmarks.hil [--model tiny|minilm] [--candidates N] [--devices NAME,NAME]

``tiny`` is a random BERT of 2 layers, hidden 64, on a PYNQ-Z2; ``minilm`` is MiniLM-L6 from its PyPI package on an
Alveo U200. Every candidate has its own random ratios around 0.5. First one device alone, step by step in this process,
so that steps can be told apart; then the farm. An emulated device needs seconds for a launch that a card does in less
than a millisecond, so "host" (everything but the emulator's launches) is what a card would be kept waiting for.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aebert.cli.demo import demo_model
from aebert.cost_model.measurer import Finalist
from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES
from aebert.numerics.reference import run_encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.prune import prune_encoder
from aebert.pruning.subnet import make_record, read_subnet, write_subnet
from aebert.pruning.zero_patterns import parse_pattern
from aebert.records.database import open_database
from benchmarks.machine import machine_line
from codegen.project import Project, load_project
from codegen.step import generate
from codegen.subnet_images import SubnetImages
from host.devices.open import open_accelerator
from host.farm.devices import farm_devices
from host.farm.measurer import DeviceFarm, FarmSettings, farm_plan
from host.farm.messages import Plan
from host.farm.session import CHECKED_TOKENS
from host.measure import measure_resident, random_residuals

PATTERN = "vector:4x1"
BOARDS = {"tiny": "pynq-z2", "minilm": "u200"}
# As a grid search draws them: few levels, so that candidates share matrices.
LEVELS = (0.375, 0.4375, 0.5, 0.5625, 0.625)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=tuple(BOARDS), default="minilm")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--devices", default="emulator,emulator")
    arguments = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="aebert-hil-") as scratch:
        folder = Path(scratch)
        model = demo_model() if arguments.model == "minilm" else _tiny_model(folder / "model")
        generate(model, folder / "project", board=BOARDS[arguments.model])
        project = load_project(folder / "project")
        finalists = _write_finalists(project, folder, arguments.candidates)
        with _timed("scales (once)"):
            plan = farm_plan(project, FarmSettings())
        print(f"{arguments.model} on {project.manifest.board}, {plan.lengths[0]} tokens, {len(finalists)} candidates")
        _one_by_one(project, plan, finalists)
        _farm(project, plan, finalists, arguments.devices.split(","), folder)


@contextmanager
def _timed(step: str, steps: dict[str, list[float]] | None = None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    taken = time.perf_counter() - began
    if steps is None:
        print(f"{step:<34} {taken:8.2f} s")
    else:
        steps.setdefault(step, []).append(taken)


def _one_by_one(project: Project, plan: Plan, finalists: list[Finalist]) -> None:
    images = SubnetImages(plan.scales, project.manifest.config)
    steps: dict[str, list[float]] = {}
    with _timed("open, with the known answer (once)"):
        accelerator = open_accelerator(project, "emulator", known_answer=True, clocked=True)
    with accelerator:
        for finalist in finalists:
            with _timed("read the subnet's folder", steps):
                encoder = read_subnet(finalist.directory).encoder
            with _timed("quantise and pack", steps):
                quantised, image = images.encode(encoder)
            with _timed("upload and read back", steps):
                accelerator.load(quantised, image)
            (residual,) = random_residuals(quantised.shape, [min(CHECKED_TOKENS, *plan.lengths)])
            with _timed("emulator: checked launch", steps):
                (output,) = accelerator.run([residual])
            with _timed("integer reference", steps):
                expected = run_encoder(quantised, residual)
            assert np.array_equal(output, expected)
            with _timed("emulator: timed launch", steps):
                measure_resident(project, accelerator, plan.lengths, 0, 1)
    for step, seconds in steps.items():
        print(f"{step:<34} {1e3 * np.median(seconds):8.1f} ms (first {1e3 * seconds[0]:.1f})")
    host = sum(float(np.median(seconds)) for step, seconds in steps.items() if not step.startswith("emulator"))
    print(f"{'host, per candidate':<34} {1e3 * host:8.1f} ms: {60 / host:.0f} candidates per minute and device")


def _farm(project: Project, plan: Plan, finalists: list[Finalist], devices: list[str], folder: Path) -> None:
    database = open_database(str(folder / "runs.sqlite"))
    for count in range(1, len(devices) + 1):
        with DeviceFarm(project, farm_devices(devices[:count]), plan, database, print) as farm:
            began = time.perf_counter()
            measured = farm.measure(finalists)
            taken = time.perf_counter() - began
        print(
            f"farm of {count} ({', '.join(devices[:count])}): {len(measured)} candidates in {taken:.1f} s, "
            f"{60 * len(measured) / taken:.1f} per minute"
        )
    database.close()


def _write_finalists(project: Project, folder: Path, count: int) -> list[Finalist]:
    random = np.random.default_rng(0)
    pattern = parse_pattern(PATTERN)
    source = load_encoder(project.model_directory)
    finalists = []
    for number in range(count):
        ratios = {
            (layer, name): float(random.choice(LEVELS)) for layer in range(source.shape.layers) for name in MATRIX_NAMES
        }
        encoder = prune_encoder(source, pattern, ratios).encoder
        directory = folder / f"subnet-{number}"
        write_subnet(
            project.model_directory,
            directory,
            encoder,
            make_record(encoder, source.digest, str(pattern), "magnitude", "none", 0, {}),
        )
        finalists.append(Finalist(Candidate(str(pattern), (number,)), directory))
    return finalists


def _tiny_model(directory: Path) -> Path:
    """Random weights with MiniLM's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=256)
    BertModel(config).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (demo_model() / name).is_file():
            shutil.copy(demo_model() / name, directory / name)
    return directory


if __name__ == "__main__":
    main()
