"""The closed-form cycle count against timed emulation: random designs, encoders and lengths.

python -m benchmarks.cycles [--points N] [--seed S]
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from aebert.design.config import HardwareConfig
from benchmarks.machine import machine_line
from tests.support.closed_form import compare_cycles
from tests.support.random_quantised import random_quantised_encoder, random_shape


def random_point(draw: random.Random) -> tuple[HardwareConfig, tuple[int, int, int, int], float, tuple[int, ...]]:
    """A design, an encoder's (layers, hidden, heads, ffn), the density of its weights, and a launch's lengths."""
    tokens = draw.choice((8, 16, 32, 64))
    in_lanes = draw.choice((4, 8, 16))
    in_lanes = min(in_lanes, tokens)
    out_lanes = draw.choice([n for n in (1, 2, 4, 8) if n <= in_lanes and n * in_lanes <= 64])
    hidden = draw.choice((64, 128, 256))
    ffn = draw.choice((2, 4)) * hidden
    length_groups = draw.randint(1, max(1, 64 // tokens))
    sequences = draw.randint(1, 2)
    config = HardwareConfig(
        tokens=tokens,
        out_lanes=out_lanes,
        in_lanes=in_lanes,
        max_hidden=hidden,
        max_ffn=ffn,
        max_length=length_groups * tokens,
        max_groups=sequences * length_groups,
        tile_fifo=draw.choice((64, 512)),
        sums_fifo=draw.choice((16, 32)),
    )
    heads = hidden // draw.choice([size for size in (16, 32, 64) if size % in_lanes == 0 and size <= hidden])
    lengths = tuple(draw.randint(1, config.max_length) for _ in range(sequences))
    return config, (draw.randint(1, 2), hidden, heads, ffn), draw.choice((0.3, 0.5, 1.0)), lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    print(machine_line())
    print("T x BN x BK  layers, hidden, heads, ffn  density  lengths       emulated  predicted   error")
    worst = 0.0
    for _ in range(arguments.points):
        config, sizes, density, lengths = random_point(draw)
        quantised = random_quantised_encoder(random_shape(*sizes), seed=1, density=density)
        with tempfile.TemporaryDirectory() as folder:
            predicted, emulated = compare_cycles(Path(folder), config, quantised, [lengths])[0]
        error = predicted / emulated - 1
        worst = max(worst, abs(error))
        design = f"{config.tokens}x{config.out_lanes}x{config.in_lanes}"
        print(
            f"{design:11}  {sizes!s:26}  {density:7}  {lengths!s:12}  {emulated:8}  {predicted:9.0f}  {error:+6.2%}",
            flush=True,
        )
    print(f"worst {worst:.2%}")


if __name__ == "__main__":
    main()
