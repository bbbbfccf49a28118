"""Lane utilisation and cycles of BERT-base shapes on a U200, in timed emulation.

    python -m benchmarks.lanes [--layers 12] [--patterns 1x1 4x1] [--lengths 128]

Utilisation: multiply-accumulates of non-zero tiles (attention included) over lanes x cycles of the whole launch, with
its first load, weight loading, LayerNorm, softmax and the final store. Every result is compared with the integer
reference. Depths come from the operator table (aebert/timing), port timing from the board file; the clock that our own
schedule of each kernel supports is printed beside.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.pass_work import engine_steps, program_work
from aebert.models.encoder import EncoderShape
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import run_encoder
from benchmarks.machine import machine_line
from benchmarks.scheduled_clock import supported_mhz
from benchmarks.timed import bank_balanced, timed_device
from codegen.memory_image import build_memory_image
from host.devices.accelerator import Accelerator
from tests.support.random_quantised import random_quantised_encoder, random_residual

BOARD = "u200"
CLOCK_MHZ = 300.0
MAX_LENGTH = 128
ENGINES = 2  # one is larger than a die
RATIOS = (0.0, 0.5)


@dataclass(frozen=True)
class Pattern:
    """A pruning pattern and the 4096 lanes that suit it. ``block``: all lanes of a tile share one address."""

    tokens: int
    out_lanes: int
    in_lanes: int
    block: bool = False


PATTERNS = {
    "1x1": Pattern(128, 1, 32),
    "2x1": Pattern(64, 2, 32),
    "4x1": Pattern(64, 4, 16),
    "8x1": Pattern(64, 8, 8),
    "block-8x8": Pattern(64, 8, 8, block=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--patterns", nargs="+", choices=list(PATTERNS), default=list(PATTERNS))
    parser.add_argument("--lengths", nargs="+", type=int, default=[MAX_LENGTH])
    arguments = parser.parse_args()
    print(machine_line())
    print(f"{BOARD}, {CLOCK_MHZ:.0f} MHz, BERT-base shapes, {arguments.layers} layers")
    print("pattern    ratio  length     cycles  lanes busy  ms/layer  engine waits  violations  schedule's MHz")
    shape = EncoderShape(arguments.layers, hidden=768, heads=12, ffn=3072, epsilon=1e-12, max_positions=512)
    dense = random_quantised_encoder(shape, seed=1)
    for name in arguments.patterns:
        with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
            _measure(name, dense, Path(scratch), arguments.lengths)


def _measure(name: str, dense: QuantisedEncoder, directory: Path, lengths: list[int]) -> None:
    pattern = PATTERNS[name]
    config = HardwareConfig(
        tokens=pattern.tokens,
        out_lanes=pattern.out_lanes,
        in_lanes=pattern.in_lanes,
        max_hidden=dense.shape.hidden,
        max_ffn=dense.shape.ffn,
        max_length=MAX_LENGTH,
        max_groups=MAX_LENGTH // pattern.tokens,
        engines=ENGINES,
    )
    board = load_board(BOARD)
    device = timed_device(directory, config, board, CLOCK_MHZ)
    supported = supported_mhz(Design(config, board, CLOCK_MHZ))
    for ratio in RATIOS:
        pruned = bank_balanced(dense, config, ratio, block=pattern.block)
        image = build_memory_image(pruned, config)
        accelerator = Accelerator(device, config, pruned, image)
        for length in lengths:
            residual = random_residual(pruned.shape, length, seed=0)
            (output,) = accelerator.run([residual])
            if not np.array_equal(output, run_encoder(pruned, residual)):
                raise SystemExit(f"{name}, ratio {ratio}: the emulator and the integer reference differ")
            result = device.result()
            cycles = result.checked_cycles()
            useful = engine_steps(program_work(config, accelerator.program([length]), pruned.shape, image.matrix_tiles))
            engine = result.process("engine")
            waits = (engine.idle + engine.starved + engine.stalled) / cycles
            print(
                f"{name:10} {ratio:5.2f} {length:7} {cycles:10} {useful / cycles:10.1%} "
                f"{cycles / CLOCK_MHZ / 1e3 / pruned.shape.layers:10.3f} {waits:12.1%} {len(result.violations):11} "
                f"{supported:15.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
