"""How fast the design space exploration is, and what it finds for BERT-base; every figure of designs is predicted.

python -m benchmarks.explore [--boards u200 kv260 ...]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.workload import pattern_tiles
from aebert.explore.predictions import OBJECTIVES
from aebert.explore.shapes import NAMED_SHAPES
from aebert.explore.step import explore
from aebert.report.exploration import SOURCE, front_table
from aebert.support.errors import AebertError
from benchmarks.machine import machine_line
from benchmarks.scheduled_clock import supported_mhz

LENGTHS = (128, 64, 32)
RATIO, ROWS, BANKS = 0.5, 4, 16


def explore_board(name: str, shape_name: str) -> None:
    """The best of each objective at the longest of LENGTHS that fits, and the time it took to find."""
    board, shape = load_board(name), NAMED_SHAPES[shape_name]
    tiles = pattern_tiles(shape, RATIO, ROWS, banks=BANKS)
    for length in LENGTHS:
        start = time.process_time()
        try:
            found = explore(board, shape, tiles, length=length, max_length=length, vector_lanes=ROWS)
        except AebertError as error:
            print(f"\n{shape_name} at length {length}: {error}")
            continue
        elapsed = time.process_time() - start
        points = found.points
        print(
            f"\n{shape_name}, {length} tokens, ratio {RATIO}, vector {ROWS}x1, {board.title}: {points.examined} points "
            f"examined in {elapsed:.1f} s of one core ({points.examined / elapsed / 1e6:.2f} M/s), "
            f"{len(points.kernel)} fit, {len(found.front)} on the front"
        )
        on_one_die = np.where(points.slrs == 1, found.predictions.latency_ms, np.inf)
        shown = [
            *(found.best(objective) for objective in OBJECTIVES),
            found.candidate(int(on_one_die.argmin())),
        ]
        print(f"best {', '.join(OBJECTIVES)}, and latency on one SLR; {SOURCE}:")
        print(front_table(shown))
        supported = (supported_mhz(Design(each.config, board, each.clock_mhz)) for each in shown)
        print(f"clocks that their schedules support: {', '.join(f'{mhz:.0f}' for mhz in supported)} MHz", flush=True)
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--boards", nargs="+", default=["u200", "u280", "kv260", "pynq-z2"])
    parser.add_argument("--shapes", nargs="+", choices=NAMED_SHAPES, default=["bert-base", "minilm-l6"])
    arguments = parser.parse_args()
    print(machine_line())
    for shape in arguments.shapes:
        for board in arguments.boards:
            explore_board(board, shape)


if __name__ == "__main__":
    main()
