"""Which clock linked kernels reached of the one they were asked for.

    python -m benchmarks.clocks --data FOLDER

FOLDER holds INDEX.tsv with runs on boards: of projects of v++ named ``..._<asked>mhz.prj``, and of tables of AMD's
benchmarks (which say no clock asked: 300 MHz, the default of their platforms, is assumed where less was reached).
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

from aebert.hls_reports import parse_report
from aebert.hls_reports.model import ResultsTable
from benchmarks.machine import machine_line

_ASKED = re.compile(r"_(\d+)mhz\.prj/")
PLATFORM_MHZ = 300.0


def linked_projects(data: Path) -> set[tuple[str, float, float]]:
    """(name, reached, asked) in MHz."""
    with (data / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = set()
    for row in rows:
        asked = _ASKED.search(row["report_path"])
        if row["kind"] == "hw" and asked is not None:
            found.add((Path(row["report_path"]).parent.name, 1e3 / float(row["clock_ns"]), float(asked[1])))
    return found


def published_tables(data: Path) -> set[tuple[str, float, float]]:
    found = set()
    for path in sorted(data.rglob("hw_tables.tsv")):
        report = parse_report(path)
        if isinstance(report, ResultsTable):
            for row in report.rows:
                if row.origin == "published" and row.clock_ns:
                    reached = 1e3 / row.clock_ns
                    found.add((f"{row.design.split()[0]}, {row.board}", reached, max(reached, PLATFORM_MHZ)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    print(machine_line())
    print("reached / asked MHz  ratio  kernel")
    for name, reached, asked in sorted(linked_projects(arguments.data)) + sorted(published_tables(arguments.data)):
        print(f"{reached:7.0f} / {asked:5.0f}        {reached / asked:4.2f}  {name}")


if __name__ == "__main__":
    main()
