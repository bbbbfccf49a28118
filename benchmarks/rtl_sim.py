"""RTL of our own scheduler against timed emulation and the closed form, on small designs drawn at random.

    python -m benchmarks.rtl_sim [--designs N] [--workloads N] [--seed S] [--keep FILE]

Each design is built once and runs several workloads: the bits of every pass against the integer reference, the cycles
of the launch, and when the requantiser is ready for each pass. Ends with 1 where bits differ, or cycles by more than
2 %. ``--keep`` notes what was found in a JSON file and takes what is there already: a design takes minutes. The closed
form is computed anew.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from aebert.design.board import Board, load_board
from aebert.design.hardware_config import HardwareConfig
from aebert.design.launch_cycles import count_cycles
from aebert.design.pipeline_latencies import Latencies
from aebert.design.program import build_program
from aebert.design.size_arrays import Sizes
from aebert.design.workload import Workload, subnet_tiles
from aebert.support.atomic_files import write_json
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.timing.loop_schedules import estimated_schedules, scheduled_schedules
from aebert.timing.memory_ports import port_timings
from aebert.timing.scheduled_latencies import scheduled_latencies
from benchmarks.cycles import PATTERNS, RATIOS, Point
from benchmarks.machine import machine_line
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units, port_traffic
from codegen.project_sources import read_sources
from codegen.rtl.kernel import rtl_of
from codegen.schedule.graph import DesignContext
from codegen.toolchains.rtl import build_simulation
from codegen.toolchains.timed import source_pragmas
from host.devices.accelerator import Accelerator
from host.emulated.rtl_device import RtlDevice
from host.emulated.timed_emulator import TimedEmulatorDevice
from host.verify.compare import compare_sequence
from tests.support.closed_form import board_memory
from tests.support.emulated import write_kernel
from tests.support.random_quantised import random_residual, random_shape

BOARDS: Mapping[str, str] = {load_board(name).dsp: name for name in ("u200", "pynq-z2")}
TOLERANCE = 0.02
# Of one pass: a few states between loops are more than 2 % of a pass of a hundred cycles.
PASS_CYCLES = 20
REQUANTISER = "requantise"


@dataclass(frozen=True)
class Found:
    """Of one launch. ``latencies``: of the schedule. ``wrong``: what is not as it should be. ``rtl_passes``,
    ``timed_passes``: when the requantiser, which all passes go through, was ready for each."""

    rtl: int
    timed: int
    latencies: Latencies
    wrong: str
    rtl_passes: tuple[int, ...]
    timed_passes: tuple[int, ...]

    def agrees(self) -> bool:
        return not self.wrong and abs(self.rtl / self.timed - 1) <= TOLERANCE and not self.passes_off()

    def pass_cycles(self) -> list[tuple[int, int]]:
        """In RTL and in timed emulation, of each pass but the first, which is there before the operands are."""
        rtl, timed = np.diff([*self.rtl_passes[1:], self.rtl]), np.diff([*self.timed_passes[1:], self.timed])
        return [(int(one), int(other)) for one, other in zip(rtl, timed, strict=True)]

    def passes_off(self) -> list[tuple[int, int]]:
        """Those that differ by more than `PASS_CYCLES` and by more than 2 %."""
        return [
            (rtl, timed) for rtl, timed in self.pass_cycles() if abs(rtl - timed) > max(PASS_CYCLES, TOLERANCE * timed)
        ]


@dataclass(frozen=True)
class Kept:
    """By the point's key."""

    launches: Mapping[str, Found]


def random_config(draw: random.Random) -> HardwareConfig:
    """Lanes, tokens, groups, FIFO depths and sizes, all small."""
    while True:
        tokens = draw.choice((4, 8, 16))
        groups = draw.randint(1, 6)
        try:
            return HardwareConfig(
                tokens=tokens,
                out_lanes=draw.choice((1, 2, 4)),
                in_lanes=draw.choice((4, 8)),
                max_hidden=32,
                max_ffn=64,
                max_length=groups * tokens,
                max_groups=groups * draw.randint(1, 2),
                word_bytes=draw.choice((16, 32, 64)),
                dsp=draw.choice(tuple(BOARDS)),
                tile_fifo=draw.choice((16, 64, 512)),
                sums_fifo=draw.choice((4, 16)),
                row_slices=draw.choice((1, 1, 2)),
                engines=draw.choice((1, 1, 2)),
            )
        except AebertError:
            continue


def random_points(draw: random.Random, config: HardwareConfig, count: int) -> Iterator[Point]:
    for _ in range(count):
        hidden = draw.choice((16, 32))
        shape = random_shape(draw.choice((1, 2)), hidden, hidden // draw.choice((8, 16)), 2 * hidden)
        pattern = draw.choice(PATTERNS)
        ratio = 0.0 if pattern == "dense" else draw.choice(RATIOS)
        sequences = draw.randint(1, config.max_groups // config.length_groups)
        lengths = tuple(draw.randint(1, config.max_length) for _ in range(sequences))
        yield Point(config, shape, pattern, ratio, lengths, BOARDS[config.dsp])


def _board(point: Point) -> Board:
    return load_board(BOARDS[point.config.dsp])


def compare(points: Sequence[Point]) -> Iterator[Found]:
    """Of launches on one design."""
    config, board = points[0].config, _board(points[0])
    with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
        folder = write_kernel(config, Path(scratch), board.name)
        sources = read_sources(folder)
        rtl = rtl_of(folder, DesignContext(1000 / board.clock_mhz, board.part), config.word_bytes)
    estimated = estimated_schedules(config, source_pragmas(sources))
    schedules = scheduled_schedules(estimated, rtl.schedules)
    banks = dict(place_compute_units(config, board, 1)[0].banks)
    ports = port_timings(config, board, board.clock_mhz, banks, port_traffic(config))
    library = build_simulation(rtl, optimised=False)
    for point in points:
        simulated, clocked = RtlDevice(library, ports), TimedEmulatorDevice(sources, schedules, ports)
        yield _launch(point, simulated, clocked)


def _launch(point: Point, simulated: RtlDevice, clocked: TimedEmulatorDevice) -> Found:
    config, quantised = point.config, point.encoder()
    image, program = build_memory_image(quantised, config), build_program(config, quantised, point.lengths)
    residuals = [random_residual(quantised.shape, length, seed) for seed, length in enumerate(point.lengths)]
    with Accelerator(simulated, config, quantised, image) as accelerator:
        stored = accelerator.run_program(program, residuals)
        rtl = simulated.result()
        mismatches = [compare_sequence(accelerator, quantised, each).mismatch for each in residuals]
    with Accelerator(clocked, config, quantised, image) as accelerator:
        expected = accelerator.run_program(program, residuals)
        timed = clocked.result()
    wrong = [str(each) for each in mismatches if each is not None]
    if not all(np.array_equal(one.values, other.values) for one, other in zip(stored, expected, strict=True)):
        wrong.append("the launch's output is not the emulator's")
    return Found(
        rtl=rtl.cycles,
        timed=timed.checked_cycles(),
        latencies=scheduled_latencies(config, clocked.schedules),
        wrong="; ".join(wrong),
        rtl_passes=rtl.asked[REQUANTISER],
        timed_passes=tuple(each.start for each in timed.process(REQUANTISER).intervals if each.iteration >= 0),
    )


def _closed_form(point: Point, latencies: Latencies) -> float:
    quantised = point.encoder()
    workload = Workload(quantised.shape, subnet_tiles(quantised), point.lengths)
    memory = board_memory(point.config, _board(point))
    return float(count_cycles(Sizes.of(point.config), workload, memory=memory, latencies=latencies).total[0])


def _kept(file: Path | None) -> dict[str, Found]:
    return {} if file is None or not file.is_file() else dict(read_json(Kept, file, "remove it").launches)


def _off(cycles: float, right: float) -> str:
    return f"{cycles / right - 1:+.2%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--designs", type=int, default=20)
    parser.add_argument("--workloads", type=int, default=3, help="per design")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    known = _kept(options.keep)
    print(machine_line())
    print("| design | launch | II | RTL, cycles | timed emulation | closed form | passes apart | bits |")
    print("|---|---|---|---|---|---|---|---|")
    all_found = []
    predicted = []
    for _ in range(options.designs):
        config = random_config(draw)
        points = list(random_points(draw, config, options.workloads))
        missing = [point for point in points if point.key not in known]
        for point, found in zip(missing, compare(missing), strict=True) if missing else ():
            known[point.key] = found
            if options.keep is not None:
                write_json(options.keep, asdict(Kept(known)))
        for point in points:
            all_found.append(known[point.key])
            predicted.append(_closed_form(point, known[point.key].latencies))
            print(_row(point, all_found[-1], predicted[-1]), flush=True)
    print(summary(all_found, predicted))
    return int(not all(found.agrees() for found in all_found))


def summary(launches: Sequence[Found], predicted: Sequence[float]) -> str:
    cycles = [found.rtl for found in launches]
    lines = [
        f"{len(launches)} launches of {min(cycles):,} to {max(cycles):,} cycles, bits wrong in "
        f"{sum(bool(found.wrong) for found in launches)}"
    ]
    for name, off in (
        ("timed emulation", [found.rtl / found.timed - 1 for found in launches]),
        ("closed form", [found.rtl / cycles - 1 for found, cycles in zip(launches, predicted, strict=True)]),
    ):
        within = np.count_nonzero(np.abs(off) <= TOLERANCE)
        lines.append(f"RTL against {name}: {within} within 2 %, {min(off):+.2%} to {max(off):+.2%}")
    passes = [each for found in launches for each in found.pass_cycles()]
    apart = [each for found in launches for each in found.passes_off()]
    near = [sum(abs(rtl - timed) <= most for rtl, timed in passes) for most in (1, 3, 10)]
    lines.append(
        f"{len(passes)} passes, within 1, 3, 10 cycles: {near}; {len(apart)} more than 2 % and {PASS_CYCLES} cycles "
        f"apart: {apart}"
    )
    return "\n".join(lines)


def _row(point: Point, found: Found, predicted: float) -> str:
    config, shape = point.config, point.shape
    lanes = f"{config.tokens}x{config.out_lanes}x{config.in_lanes}, slices {config.row_slices}"
    design = f"{lanes}, engines {config.engines}, groups {config.max_groups}"
    design = f"{design}, FIFOs {config.tile_fifo} and {config.sums_fifo}"
    launch = f"{shape.layers}, {shape.hidden}, {shape.heads}; {point.pattern} {point.ratio}; {point.lengths}"
    most = max(abs(rtl - timed) for rtl, timed in found.pass_cycles())
    return (
        f"| {design}, {8 * config.word_bytes} bits, {point.board} | {launch} | "
        f"{found.latencies.engine_interval:.0f} | {found.rtl:,} | "
        f"{found.timed:,} ({_off(found.rtl, found.timed)}) | {predicted:,.0f} "
        f"({_off(found.rtl, predicted)}) | {most} at most | {found.wrong or 'right'} |"
    )


if __name__ == "__main__":
    sys.exit(main())
