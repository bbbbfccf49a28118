"""What a loop costs in real schedules, beside what timed emulation charges (docs/timed_emulation.md).

    python -m benchmarks.loop_latencies --data FOLDER

FOLDER holds modules.tsv, loops.tsv and rtl_cycles.tsv. Of the modules that are one pipelined loop of fixed trip count
whose iterations overlap: their latency less (trips - 1) II + depth. Of the designs with one csynth latency: the cycles
of RTL co-simulation less that latency; without the rows of Stream-HLS, dataflow designs whose stalls csynth does not
see.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import machine_line
from benchmarks.tables import Row, read_rows


def beyond_pipeline(modules: Sequence[Row], loops: Sequence[Row]) -> Iterator[tuple[str, int]]:
    """Tool version, and cycles of a module's latency that are not its pipeline's."""
    reported: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for loop in loops:
        if loop["source"] == "sched.rpt":
            reported[loop["repo"], loop["file"]].append(loop)
    for module in modules:
        of_module = reported[module["repo"], module["file"]]
        if len(of_module) != 1 or module["latency_min"] != module["latency_max"]:
            continue
        loop = of_module[0]
        figures = [loop["trip_count"], loop["final_II"], loop["iteration_latency"] or loop["depth"]]
        latencies = [module["latency_min"], loop["latency_min"]]
        if not all(figure.isdigit() for figure in figures + latencies):
            continue
        trips, ii, depth = map(int, figures)
        # A loop that is less than most of its module is not what the module is.
        if depth > ii and int(latencies[0]) - int(latencies[1]) <= 2:
            yield module["tool_version"], int(latencies[0]) - ((trips - 1) * ii + depth)


def beyond_csynth(rows: Sequence[Row]) -> Iterator[int]:
    for row in rows:
        least, most, counted = row["csynth_latency_min"], row["csynth_latency_max"], row["rtl_cycles_max"]
        if "Stream-HLS" not in row["repo"] and least == most and least.isdigit() and counted.isdigit():
            yield int(counted) - int(least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    folder: Path = parser.parse_args().data
    print(machine_line())
    found = Counter(beyond_pipeline(read_rows(folder / "modules.tsv"), read_rows(folder / "loops.tsv")))
    print("version   beyond (trips - 1) II + depth   modules")
    for (version, more), count in sorted(found.items()):
        print(f"{version:9} {more:28} {count:9}")
    print("RTL less csynth   designs")
    for difference, count in sorted(Counter(beyond_csynth(read_rows(folder / "rtl_cycles.tsv"))).items()):
        print(f"{difference:15} {count:9}")


if __name__ == "__main__":
    main()
