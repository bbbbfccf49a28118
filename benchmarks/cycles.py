"""The closed-form cycle count against timed emulation: random designs, encoders, sparsity, lengths and boards.

    python -m benchmarks.cycles [--designs N] [--workloads N] [--seed S] [--keep FILE]

Each design is compiled once and runs several workloads. ``--keep`` notes emulated cycles in a JSON file and takes those
that are there already: a change of the closed form is judged without emulating again.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.design.board import board_names, load_board
from aebert.design.hardware_config import DSP_PACKING, HardwareConfig
from aebert.models.encoder import EncoderShape
from aebert.numerics.quantised import QuantisedEncoder
from aebert.support.atomic_files import write_text
from aebert.support.errors import AebertError
from benchmarks.machine import machine_line
from benchmarks.timed import bank_balanced
from tests.support.closed_form import TimedKernel, board_memory, predicted_cycles
from tests.support.random_quantised import random_quantised_encoder, random_shape

LARGEST_LAUNCH = 40_000  # predicted cycles: larger ones take the emulator long and are the easier ones
HIDDEN, FFN = 192, 768
PATTERNS = ("dense", "unstructured", "vector", "block")
RATIOS = (0.25, 0.5, 0.75, 0.9)
SMALL, LARGE = 2_000, 5_000  # cycles, for the summary


@dataclass(frozen=True)
class Point:
    """``board`` None: memory at full rate."""

    config: HardwareConfig
    shape: EncoderShape
    pattern: str
    ratio: float
    lengths: tuple[int, ...]
    board: str | None

    @property
    def key(self) -> str:
        return repr(self)

    def encoder(self) -> QuantisedEncoder:
        if self.pattern in ("dense", "unstructured"):
            return random_quantised_encoder(self.shape, seed=1, density=1.0 - self.ratio)
        dense = random_quantised_encoder(self.shape, seed=1)
        return bank_balanced(dense, self.config, self.ratio, block=self.pattern == "block")

    def predicted(self, encoder: QuantisedEncoder) -> float:
        memory = None if self.board is None else board_memory(self.config, load_board(self.board))
        return predicted_cycles(self.config, encoder, self.lengths, memory)

    def __str__(self) -> str:
        config, shape = self.config, self.shape
        design = f"{config.tokens}x{config.out_lanes}x{config.in_lanes}"
        sizes = f"{shape.layers}, {shape.hidden}, {shape.heads}, {shape.ffn}"
        return (
            f"{design:10} {8 * config.word_bytes:4} {sizes:16} {self.pattern:12} {self.ratio:4} "
            f"{self.lengths!s:15} {self.board or 'full rate':10}"
        )


def random_config(draw: random.Random) -> HardwareConfig:
    while True:
        tokens = draw.choice((4, 8, 16, 32, 64, 128))
        length_groups = draw.randint(1, max(1, min(8, 128 // tokens)))
        try:
            return HardwareConfig(
                tokens=tokens,
                out_lanes=draw.choice((1, 2, 4, 8)),
                in_lanes=draw.choice((4, 8, 16, 32)),
                max_hidden=HIDDEN,
                max_ffn=FFN,
                max_length=length_groups * tokens,
                max_groups=draw.randint(1, 3) * length_groups,
                dsp=draw.choice(tuple(DSP_PACKING)),
                word_bytes=draw.choice((16, 32, 64)),
                tile_fifo=draw.choice((64, 128, 512)),
                sums_fifo=draw.choice((16, 32)),
                row_slices=draw.choice((1, 1, 2, 4)),
                engines=draw.choice((1, 1, 2, 4)),
            )
        except AebertError:
            continue


def random_point(draw: random.Random, config: HardwareConfig) -> Point:
    boards = [name for name in board_names() if load_board(name).dsp == config.dsp]
    head_size = draw.choice([size for size in (16, 32, 64) if size % config.in_lanes == 0])
    hidden = draw.choice([n for n in (32, 64, 128, HIDDEN) if n % head_size == 0 and n % config.in_lanes == 0])
    shape = random_shape(draw.randint(1, 3), hidden, hidden // head_size, draw.choice((2, 4)) * hidden)
    pattern = draw.choice(PATTERNS)
    sequences = draw.randint(1, config.max_groups // config.length_groups)
    return Point(
        config,
        shape,
        pattern,
        0.0 if pattern == "dense" else draw.choice(RATIOS),
        tuple(draw.randint(1, config.max_length) for _ in range(sequences)),
        draw.choice([None, draw.choice(boards)]),
    )


def random_points(draw: random.Random, config: HardwareConfig, count: int) -> Iterator[Point]:
    """None that takes the emulator long."""
    while count:
        point = random_point(draw, config)
        if point.predicted(point.encoder()) <= LARGEST_LAUNCH:
            count -= 1
            yield point


def emulate(points: list[Point], known: dict[str, int]) -> dict[str, int]:
    """Cycles of the points of one design that are not ``known``, by their key."""
    missing = [point for point in points if point.key not in known]
    if not missing:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        kernel = TimedKernel.write(Path(folder), missing[0].config)
        return {
            point.key: kernel.cycles(
                point.encoder(), point.lengths, None if point.board is None else load_board(point.board)
            )
            for point in missing
        }


def summary(cycles: list[int], errors: list[float]) -> str:
    sizes, off = np.array(cycles), np.abs(errors)
    lines = []
    for name, chosen in (
        ("all", sizes > 0),
        (f"launches of {LARGE} cycles and more", sizes >= LARGE),
        (f"{SMALL} to {LARGE}", (sizes >= SMALL) & (sizes < LARGE)),
        (f"fewer than {SMALL}", sizes < SMALL),
    ):
        if chosen.any():
            median, ninety = np.quantile(off[chosen], (0.5, 0.9))
            lines.append(
                f"{name}: {chosen.sum()} points, {np.count_nonzero(off[chosen] <= 0.02)} within 2 %, median "
                f"{median:.2%}, 90th percentile {ninety:.2%}, worst {off[chosen].max():.2%}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--designs", type=int, default=14)
    parser.add_argument("--workloads", type=int, default=16, help="per design")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    known: dict[str, int] = {}
    if arguments.keep is not None and arguments.keep.is_file():
        known = json.loads(arguments.keep.read_text())
    print(machine_line())
    print("T x BN x BK word layers, hidden.. pattern     ratio lengths         memory      emulated predicted   error")
    cycles: list[int] = []
    errors: list[float] = []
    for _ in range(arguments.designs):
        config = random_config(draw)
        points = list(random_points(draw, config, arguments.workloads))
        known |= emulate(points, known)
        if arguments.keep is not None:
            write_text(arguments.keep, json.dumps(known, indent=0))
        for point in points:
            predicted, emulated = point.predicted(point.encoder()), known[point.key]
            cycles.append(emulated)
            errors.append(predicted / emulated - 1)
            print(f"{point} {emulated:8} {predicted:9.0f}  {errors[-1]:+6.2%}", flush=True)
    print(summary(cycles, errors))


if __name__ == "__main__":
    main()
