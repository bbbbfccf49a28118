"""The cost model's fitting against real runs: Sextans on two boards, csynth against cosim and against routed designs.

python -m benchmarks.cost_model --data FOLDER --schedules FOLDER

(the folders of hls_reports, with sextans_spmm_board_runs.tsv and reports, and of hls_schedules)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report_pairs, sextans, sextans_transfer
from benchmarks.machine import machine_line
from benchmarks.sextans_structure import read_matrices


def tables(data: Path, schedules: Path | None) -> Iterator[str]:
    yield from report_pairs.report_tables(data, schedules)
    matrices = read_matrices(data / "sextans_spmm_board_runs.tsv")
    yield f"Sextans: {len(matrices)} matrices x 7 N x 2 boards, {sextans.FOLDS} folds of matrices"
    yield from sextans.held_out_tables(matrices)
    yield from sextans.family_table(matrices)
    yield from sextans.twins(matrices)
    yield from sextans_transfer.learning_curves(matrices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with reports and sextans_spmm_board_runs.tsv")
    parser.add_argument("--schedules", type=Path, help="folder with implementation.tsv")
    arguments = parser.parse_args()
    print(machine_line())
    start, cpu = time.perf_counter(), time.process_time()
    for line in tables(arguments.data, arguments.schedules):
        print(line, flush=True)
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} s of processor time")


if __name__ == "__main__":
    main()
