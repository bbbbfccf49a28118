"""Fit the operator model's delays on a table of operations from schedule reports.

    python -m benchmarks.fit_operators --data FOLDER [--without REPOSITORY] [--write codegen/schedule/operators.json]

FOLDER holds operators.tsv. What is written: for each device (series and speed grade) and tool era, by operator and
latency, the median delay in the first and in the last state at each width. Prints the residuals per operator.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.fit_multiplications import fit as fit_multiplications
from benchmarks.fit_multiplications import multiplications
from benchmarks.tables import Row, read_rows
from codegen.schedule.devices import device_of, tool_era
from codegen.schedule.operator_model import OperatorModel, Sample, family

Table = dict[str, dict[str, dict[str, list[list[float]]]]]


def samples(rows: Iterable[Row]) -> list[tuple[Row, Sample]]:
    """Rows that say something of an operator's delay: not merged into another, with a known device."""
    found = []
    for row in rows:
        if row["grouping"] in ("lut_in", "dsp_in", "ternary_in") or row["stage"] == "mid":
            continue
        name = family(row["operation"], row["core"], row["variant"])
        if name is None:
            continue
        found.append((row, Sample(name, _size(name, row), int(row["latency_cycles"] or 0))))
    return found


def _size(name: str, row: Row) -> int:
    """What the delay grows with: bits of the operands, of a memory, inputs of a multiplexer."""
    if name in ("ram_load", "ram_store"):
        return max(int(row["storage_width"] or 1) * int(row["storage_depth"] or 1), 1)
    operands = [kind.lstrip("c") for kind in row["operand_types"].split(",") if kind]
    widths = [int(kind[1:]) for kind in operands if kind[:1] == "i" and kind[1:].isdigit()]
    if name == "mux":
        return max(len(widths) - 1, 2)
    if name == "register":
        return 1
    result = row["result_type"]
    own = int(result[1:]) if result[:1] == "i" and result[1:].isdigit() else 0
    return max(widths[0] if name == "icmp" and widths else own or max(widths, default=1), 1)


def fit(rows: Iterable[Row]) -> Table:
    """Medians by group, operator, latency and size; each [size, first state, last state, count]."""
    points: dict[tuple[str, str, int, int], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for row, sample in samples(rows):
        group = f"{device_of(row['part'])} {tool_era(row['tool_version'])}"
        first, last = points[group, sample.operator, sample.latency, sample.size]
        repeat = min(int(row["count"]), 20)
        if row["stage"] in ("only", "first"):
            first += [float(row["delay_ns"])] * repeat
        if row["stage"] == "last":
            last += [float(row["delay_out_ns"] or row["delay_ns"])] * repeat
    table: Table = {}
    for (group, operator, latency, size), (first, last) in sorted(points.items()):
        if not first:
            continue
        delay = statistics.median(first)
        entry = [size, round(delay, 3), round(statistics.median(last), 3) if last else round(delay, 3), len(first)]
        table.setdefault(group, {}).setdefault(operator, {}).setdefault(str(latency), []).append(entry)
    return table


def residuals(rows: Sequence[Row], model: OperatorModel) -> dict[str, list[float]]:
    """|model - report| / report by operator, for single-state operators that cost something."""
    errors: dict[str, list[float]] = defaultdict(list)
    for row, sample in samples(rows):
        measured = float(row["delay_ns"] or 0)
        if row["stage"] not in ("only", "first") or measured <= 0.05:
            continue
        budget = float(row["clock_ns"]) - float(row["uncertainty_ns"] or 0)
        timing = model.delay(row["part"], row["tool_version"], budget, sample.operator, sample.size, sample.latency)
        if timing is not None:
            errors[sample.operator] += [abs(timing.delay_ns - measured) / measured] * min(int(row["count"]), 20)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--without", default="", help="leave a repository out of the fit and measure on it")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = read_rows(arguments.data / "operators.tsv")
    kept = [row for row in rows if not arguments.without or row["repo"] != arguments.without]
    measured = [row for row in rows if row["repo"] == arguments.without] if arguments.without else rows
    table = fit(kept)
    products = fit_multiplications(multiplications(kept))
    errors = residuals(measured, OperatorModel(table, products))
    print(f"{'operator':14s} {'rows':>7s} {'median %':>9s} {'90th %':>8s}")
    summary = {}
    for operator, values in sorted(errors.items()):
        values.sort()
        median, ninth = 100 * statistics.median(values), 100 * values[int(0.9 * (len(values) - 1))]
        summary[operator] = {"rows": len(values), "median_percent": round(median, 1), "p90_percent": round(ninth, 1)}
        print(f"{operator:14s} {len(values):7d} {median:9.1f} {ninth:8.1f}")
    if arguments.write:
        document = {
            "source": "operators.tsv: schedule reports of Vivado HLS 2018.3 to Vitis HLS 2025.2, public repositories",
            "never_seen": ["nbread", "nbwrite", "URAM memories and FIFOs", "udiv", "Versal at -1"],
            "residuals": summary,
            "multiplications": asdict(products),
            "delays": table,
        }
        arguments.write.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
