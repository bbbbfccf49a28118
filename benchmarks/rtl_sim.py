"""RTL of our own scheduler against timed emulation: cycles of the same launches on small designs drawn at random.

``python -m benchmarks.rtl_sim --designs 20``: bits of every pass are compared too; ends with 1 where something differs.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.design.board import Board, load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.program import build_program
from aebert.numerics.quantised import QuantisedEncoder
from aebert.timing.loop_schedules import LoopLatency, estimated_schedules, scheduled_schedules
from aebert.timing.memory_ports import PortTiming, port_timings
from benchmarks.machine import machine_line
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units, port_traffic
from codegen.project_sources import ProjectSources, read_sources
from codegen.render import kernel_files
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.schedule.graph import DesignContext
from codegen.toolchains.rtl import build_simulation
from codegen.toolchains.timed import source_pragmas
from host.devices.accelerator import Accelerator
from host.emulated.rtl_device import RtlDevice
from host.emulated.timed_emulator import TimedEmulatorDevice
from host.verify.compare import compare_sequence
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

CLOCK_MHZ = 250.0
TOLERANCE = 0.02


@dataclass(frozen=True)
class Draw:
    """A small design, an encoder that fits it, and sequence lengths."""

    config: HardwareConfig
    quantised: QuantisedEncoder
    lengths: tuple[int, ...]


def draw(source: random.Random) -> Draw:
    """Lanes, tokens, groups, sizes, density and lengths, all small."""
    tokens = source.choice((4, 8))
    hidden = source.choice((16, 32))
    max_length = tokens * source.choice((2, 4, 6))
    config = HardwareConfig(
        tokens=tokens, out_lanes=source.choice((2, 4)), in_lanes=4, max_hidden=hidden, max_ffn=2 * hidden,
        max_length=max_length, max_groups=max_length // tokens + source.choice((0, 2)),
        word_bytes=source.choice((16, 32, 64)),
    )  # fmt: skip
    shape = random_shape(layers=source.choice((1, 2)), hidden=hidden, heads=source.choice((2, 4)), ffn=2 * hidden)
    quantised = random_quantised_encoder(shape, source.randrange(1000), density=source.choice((0.3, 0.5, 1.0)))
    return Draw(config, quantised, (source.randint(1, max_length),))


def scheduled(rtl: KernelRtl) -> tuple[LoopLatency, ...]:
    """II and depth of every loop, for timed emulation of the same schedule."""
    return tuple(
        LoopLatency(f"{process}.{loop.label}", loop.interval if loop.pipelined else 0, loop.schedule.depth, "scheduled")
        for process, loops in rtl.timings.items()
        for loop in loops
    )


def compare(drawn: Draw, board: Board, folder: Path) -> tuple[int, int, float, bool]:
    """Cycles in RTL and in timed emulation, seconds per simulated cycle, whether every pass has its bits."""
    config = drawn.config
    for file, text in kernel_files(config, Design(config, board, CLOCK_MHZ).buffers).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    rtl = rtl_of(folder, DesignContext(1000 / CLOCK_MHZ, board.part), config.word_bytes)
    sources = read_sources(folder)
    banks = dict(place_compute_units(config, board, 1)[0].banks)
    ports = port_timings(config, board, CLOCK_MHZ, banks, port_traffic(config))
    library = build_simulation(rtl)
    image = build_memory_image(drawn.quantised, config)
    residuals = [random_residual(drawn.quantised.shape, length, 1) for length in drawn.lengths]
    program = build_program(config, drawn.quantised, drawn.lengths)
    device = RtlDevice(library, ports)
    with Accelerator(device, config, drawn.quantised, image) as accelerator:
        began = time.perf_counter()
        accelerator.run_program(program, residuals)
        seconds = time.perf_counter() - began
        cycles = device.result().cycles
        right = all(compare_sequence(accelerator, drawn.quantised, each).mismatch is None for each in residuals)
    timed = _timed_cycles(drawn, sources, rtl, ports, residuals)
    return cycles, timed, seconds / cycles, right


def _timed_cycles(
    drawn: Draw,
    sources: ProjectSources,
    rtl: KernelRtl,
    ports: dict[str, PortTiming],
    residuals: list[np.ndarray[tuple[int, ...], np.dtype[np.int16]]],
) -> int:
    estimated = estimated_schedules(drawn.config, source_pragmas(sources))
    device = TimedEmulatorDevice(sources, scheduled_schedules(estimated, scheduled(rtl)), ports)
    image = build_memory_image(drawn.quantised, drawn.config)
    with Accelerator(device, drawn.config, drawn.quantised, image) as accelerator:
        accelerator.run_program(build_program(drawn.config, drawn.quantised, drawn.lengths), residuals)
        return device.result().checked_cycles()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--designs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = random.Random(options.seed)
    board = load_board("u200")
    print(machine_line())
    print("| design | tokens | RTL, cycles | timed emulation | difference | us per cycle |")
    print("|---|---|---|---|---|---|")
    failed = 0
    for _ in range(options.designs):
        drawn = draw(source)
        with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
            cycles, timed, seconds, right = compare(drawn, board, Path(scratch))
        config, difference = drawn.config, cycles / timed - 1
        failed += not right or abs(difference) > TOLERANCE
        lanes = f"{config.tokens}x{config.out_lanes}x{config.in_lanes}"
        name = f"{lanes}, {config.max_groups} groups, {config.word_bytes} bytes"
        figures = f"{cycles:,} | {timed:,} | {difference:+.2%}{'' if right else ' BITS DIFFER'}"
        print(f"| {name} | {drawn.lengths[0]} | {figures} | {1e6 * seconds:.1f} |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
