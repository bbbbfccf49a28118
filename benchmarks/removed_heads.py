"""Cycles of subnets a third of whose heads are removed, in timed emulation on a U200.

    python -m benchmarks.removed_heads [--shapes minilm-l6 bert-base] [--ratios 0.0 0.5]

Query, key, value and attention output lose the same heads, drawn at random; all matrices are pruned to the ratio
besides (vector:4x1). "computed": one weight of the attention output is put back for each removed head, so that all of
its passes are in the program, as they were for every head before 2026-11-27. Every result is compared with the integer
reference.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aebert.design.board import load_board
from aebert.design.hardware_config import HardwareConfig
from aebert.explore.shapes import NAMED_SHAPES
from aebert.models.encoder import EncoderShape
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import run_encoder
from aebert.quantisation.flat_tensors import sealed
from benchmarks.machine import machine_line
from benchmarks.timed import bank_balanced, timed_device
from codegen.memory_image import build_memory_image
from host.devices.accelerator import Accelerator
from host.emulated.timed_emulator import TimedEmulatorDevice
from tests.support.closed_form import board_memory, predicted_cycles
from tests.support.random_quantised import random_quantised_encoder, random_residual
from tests.support.removed_heads import without_heads

BOARD = "u200"
CLOCK_MHZ = 300.0
LENGTH = 128
SHARE = 1 / 3

Heads = list[frozenset[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=list(NAMED_SHAPES), default=["minilm-l6", "bert-base"])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.0, 0.5])
    arguments = parser.parse_args()
    print(machine_line())
    print(f"{BOARD}, {CLOCK_MHZ:.0f} MHz, 64x4x16, {LENGTH} tokens")
    for name in arguments.shapes:
        with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
            _measure(name, NAMED_SHAPES[name], Path(scratch), arguments.ratios)


def _measure(name: str, shape: EncoderShape, directory: Path, ratios: Sequence[float]) -> None:
    config = HardwareConfig(
        tokens=64,
        out_lanes=4,
        in_lanes=16,
        max_hidden=shape.hidden,
        max_ffn=shape.ffn,
        max_length=LENGTH,
        max_groups=LENGTH // 64,
        engines=2,
    )
    board = load_board(BOARD)
    device = timed_device(directory, config, board, CLOCK_MHZ)
    dense = random_quantised_encoder(shape, seed=1)
    removed = _draw(shape)
    count = f"{sum(map(len, removed))} of {shape.layers * shape.heads}"
    for ratio in ratios:
        pruned = bank_balanced(dense, config, ratio)
        lacking = without_heads(pruned, removed, pruned=True)
        before = 0
        for what, quantised in (
            ("no head removed", pruned),
            (f"{count} removed, computed", _read_again(lacking, removed)),
            (f"{count} removed", lacking),
        ):
            cycles = _cycles(device, config, quantised)
            predicted = predicted_cycles(config, quantised, (LENGTH,), board_memory(config, board))
            less = f"  {1 - cycles / before:6.1%} less" if before else ""
            print(f"{name:10} {ratio:4.2f}  {what:28} {cycles:9}  closed form {predicted:9.0f}{less}", flush=True)
            before = cycles


def _draw(shape: EncoderShape) -> Heads:
    total = shape.layers * shape.heads
    heads = np.random.default_rng(0).permutation(total)[: round(total * SHARE)]
    return [frozenset((heads[heads // shape.heads == at] % shape.heads).tolist()) for at in range(shape.layers)]


def _read_again(lacking: QuantisedEncoder, removed: Heads) -> QuantisedEncoder:
    """One weight of the attention output for each removed head."""
    layers = []
    for layer, heads in zip(lacking.layers, removed, strict=True):
        weight = layer.attention_output.weight.copy()
        weight[0, [head * lacking.shape.head_size for head in heads]] = 1
        layers.append(replace(layer, attention_output=replace(layer.attention_output, weight=weight)))
    return sealed(replace(lacking, layers=tuple(layers)))


def _cycles(device: TimedEmulatorDevice, config: HardwareConfig, quantised: QuantisedEncoder) -> int:
    accelerator = Accelerator(device, config, quantised, build_memory_image(quantised, config))
    residual = random_residual(quantised.shape, LENGTH, seed=0)
    (output,) = accelerator.run([residual])
    if not np.array_equal(output, run_encoder(quantised, residual)):
        raise SystemExit("the emulator and the integer reference differ")
    return device.result().checked_cycles()


if __name__ == "__main__":
    main()
