"""Does the default design of every board meet its clock? Schedules each kernel as Vitis HLS would.

    python -m benchmarks.board_schedules [BOARD ...]

BERT-base, pattern vector:4x1, the sizes and the clock that ``aebert generate`` chooses. Prints, for every board, the
loops that miss their II or the clock, the loop that leaves least of it, and wires over the fullest boundary of dies.
Exit code 1 when a loop misses.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aebert.design.board import Board, board_names, load_board
from aebert.design.board_fit import expected_clock_mhz
from aebert.design.default_sizes import default_config
from aebert.design.design import Design
from aebert.explore.shapes import NAMED_SHAPES
from benchmarks.kernel_folder import write_files
from benchmarks.machine import machine_line
from codegen.placement import place_compute_units
from codegen.render import kernel_files
from codegen.schedule.devices import device_of, series_of
from codegen.schedule.frontend.kernel import kernel_graphs
from codegen.schedule.graph import DesignContext, LoopGraph
from codegen.schedule.lanes import MergedGraph, merge_lanes
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.registers import register_bits
from codegen.schedule.result import LoopSchedule
from codegen.schedule.scheduler import schedule_loop

VECTOR_LANES = 4


@dataclass(frozen=True)
class BoardSchedule:
    """The pipelined loops of a board's kernel at its clock; ``loops``: process and label -> schedule.

    ``register_bits``: flip-flops that each needs, all lanes.
    """

    design: Design
    loops: dict[str, LoopSchedule]
    register_bits: dict[str, int]

    @property
    def misses(self) -> dict[str, LoopSchedule]:
        return {name: loop for name, loop in self.loops.items() if loop.misses_target or loop.misses_clock}

    @property
    def tightest(self) -> str:
        return max(self.loops, key=lambda name: self.loops[name].clock_ns / self.loops[name].budget_ns)


def default_design(board: Board) -> Design:
    config = default_config(board, NAMED_SHAPES["bert-base"], vector_lanes=VECTOR_LANES)
    return Design(config, board, expected_clock_mhz(config, board))


def with_fewest_tokens(design: Design) -> Design:
    """As many token groups of as few tokens as the lanes allow: the same loops at the same clock, soon scheduled."""
    config = design.config
    tokens = config.engines * max(config.out_lanes, config.in_lanes, config.row_slices)
    length = config.max_length // config.tokens * tokens
    return replace(design, config=replace(config, tokens=tokens, max_length=length))


def scheduled(designs: Iterable[Design]) -> Iterator[BoardSchedule]:
    """Kernels that are the same on several boards of a series are read once."""
    read: dict[object, tuple[tuple[LoopGraph, MergedGraph], ...]] = {}
    for design in designs:
        files = kernel_files(design.config, design.buffers)
        key = tuple(sorted(files.items())), series_of(device_of(design.board.part))
        context = DesignContext(clock_period_ns=1000 / design.clock_mhz, part=design.board.part)
        if key not in read:
            graphs = _graphs(files, context, design)
            read[key] = tuple((graph, merge_lanes(graph)) for graph in graphs if graph.pipelined)
        loops, register_count = {}, {}
        for graph, merged in read[key]:
            name = f"{graph.process}.{graph.label}"
            loops[name] = schedule_loop(replace(merged.graph, context=context), fitted_model())
            register_count[name] = register_bits(graph, loops[name], merged.place)
        yield BoardSchedule(design, loops, register_count)


def _graphs(files: Mapping[str, str], context: DesignContext, design: Design) -> tuple[LoopGraph, ...]:
    with tempfile.TemporaryDirectory() as folder:
        write_files(files, Path(folder))
        return kernel_graphs(Path(folder), context, design.config.word_bytes)


def row(found: BoardSchedule) -> str:
    config, tightest = found.design.config, found.loops[found.tightest]
    lanes = f"{config.tokens}x{config.out_lanes}x{config.in_lanes}/{config.row_slices}"
    lanes += f" {config.engines}E" if config.engines > 1 else ""
    (unit,) = place_compute_units(config, found.design.board, 1)
    return (
        f"{found.design.board.name:12s} {lanes:>15s} {found.design.clock_mhz:5.0f} {unit.wires:6d} "
        f"{len(found.loops):5d} {len(found.misses):6d}  {found.tightest} {tightest.clock_ns:.2f} of "
        f"{tightest.budget_ns:.2f} ns"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("boards", nargs="*", metavar="BOARD", help="default: all")
    chosen = parser.parse_args().boards or board_names()
    print(machine_line())
    print(f"{'board':12s} {'T x BN x BK/s':>15s} {'MHz':>5s} {'wires':>6s} {'loops':>5s} {'missed':>6s}  tightest loop")
    missed = False
    start = time.perf_counter()
    for found in scheduled(default_design(load_board(name)) for name in chosen):
        print(row(found), flush=True)
        for loop, schedule in found.misses.items():
            missed = True
            asked = f"II {schedule.initiation_interval} where {schedule.target_ii} is asked for"
            print(f"    {loop}: {asked}, {schedule.clock_ns:.2f} of {schedule.budget_ns:.2f} ns")
    print(f"{time.perf_counter() - start:.0f} s")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
