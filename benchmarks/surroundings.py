"""What a launch takes outside of the kernel, from other kernels' runs on boards (aebert/cost_model/launch_overhead.py).

python -m benchmarks.surroundings --data FOLDER    (the folder of hls_reports)
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from aebert.hls_reports.model import ProfileSummary
from aebert.hls_reports.parse import parse_report
from benchmarks.machine import machine_line

FEW_NONZEROS, NARROW = 1000, 8
LEVEL = 0.9


def print_launches(path: Path) -> None:
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    print("Sextans, matrices of fewer than 1000 non-zeros, N = 8: ms of a run")
    for board in sorted({row["board"] for row in rows}):
        found = [
            float(row["latency_ms"])
            for row in rows
            if row["board"] == board and float(row["NNZ"]) < FEW_NONZEROS and int(row["N"]) == NARROW
        ]
        low, median, high = np.quantile(found, (0.05, 0.5, 0.95))
        print(f"{board}: {len(found)} runs, median {median:.4f}, 5 % {low:.4f}, 95 % {high:.4f}")


def print_transfers(data: Path) -> None:
    """Per profile with one write and one read: a start per transfer and a rate, from the two."""
    starts, rates = [], []
    print("\nXRT profiles: kB and ms written, read; ms to start a transfer, GB/s")
    for path in sorted(data.rglob("summary.csv")):
        report = parse_report(path)
        if not isinstance(report, ProfileSummary) or report.flow != "hw":
            continue
        moved = {each.direction: (each.average_size_kb, each.total_ms) for each in report.transfers}
        if set(moved) != {"READ", "WRITE"} or any(each.transfers != 1 for each in report.transfers):
            continue
        (written_kb, write_ms), (read_kb, read_ms) = moved["WRITE"], moved["READ"]
        if write_ms is None or read_ms is None:
            continue
        rate = (written_kb - read_kb) / (write_ms - read_ms)  # kB per ms are MB/s
        starts.append(read_ms - read_kb / rate)
        rates.append(rate / 1e3)
        print(
            f"{path.parent.name[:44]:44} {written_kb} {write_ms:.3f}  {read_kb} {read_ms:.3f}   "
            f"{starts[-1]:.4f} {rates[-1]:.2f}"
        )
    for name, values in (("start ms", starts), ("GB/s", rates)):
        logs = np.log(values)
        reach = student.ppf((1 + LEVEL) / 2, len(logs) - 1) * logs.std(ddof=1) * np.sqrt(1 + 1 / len(logs))
        print(f"{name}: {np.exp(logs.mean()):.4f}, times or over {np.exp(reach):.2f} for nine of ten others")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with sextans_spmm_board_runs.tsv and profiles")
    data: Path = parser.parse_args().data
    print(machine_line())
    print_launches(data / "sextans_spmm_board_runs.tsv")
    print_transfers(data)


if __name__ == "__main__":
    main()
