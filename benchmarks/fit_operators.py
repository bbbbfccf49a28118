"""Fit the operator model on a table of operations from schedule reports, and on csynth's names of what it built.

    python -m benchmarks.fit_operators --data FOLDER [--without REPOSITORY] [--write codegen/schedule/operators.json]

FOLDER holds operators.tsv and csynth_area.tsv. What is written: curves of delay by size for each operator and latency,
what each device is off from them, the delays of arrays, and what was chosen of floating-point operators. Prints the
residuals per operator.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fit_floating_point import fit as fit_floating_point
from benchmarks.fit_floating_point import observations
from benchmarks.fit_multiplications import fit as fit_multiplications
from benchmarks.fit_multiplications import multiplications
from benchmarks.tables import Row, read_rows
from codegen.schedule.delay_table import DelayTable
from codegen.schedule.devices import device_of
from codegen.schedule.multiplications import interpolate
from codegen.schedule.operator_families import base_family, edition, is_wiring
from codegen.schedule.operator_model import OperatorModel

# The device of the curves: the one with the most rows.
REFERENCE = "virtexuplus -2"
# What a device's factor is taken from: the operators that every device has.
_COMMON = ("add", "icmp", "icmp 2023.1", "select", "logic", "register 2020.2")
_MERGED = ("lut_in", "dsp_in", "ternary_in")
# An access of a FIFO that costs less than half the budget costs what it costs.
_CAPPED_NS = 0.03
# family -> latency -> size -> [first, last]
_Sizes = dict[str, dict[int, dict[int, tuple[float, float]]]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that says what an operator costs on its own. ``plain``: none of its operands was extended."""

    device: str
    family: str
    size: int
    latency: int
    stage: str
    delay_ns: float
    plain: bool


def samples(rows: Iterable[Row]) -> list[Sample]:
    """Of operators that stand in logic or in a DSP slice, and of registers and register slices."""
    found = []
    for row in rows:
        family = _family(row)
        if family is not None and row["stage"] != "mid":
            last = row["stage"] == "last" and row["delay_out_ns"]
            delay = float(row["delay_out_ns"] if last else row["delay_ns"])
            found.append(
                Sample(
                    device_of(row["part"]), edition(family, row["tool_version"]), _size(family, row),
                    0 if family == "division" else int(row["latency_cycles"] or 0), row["stage"], delay,
                    "c" in row["operand_types"],
                )
            )  # fmt: skip
    return found


def _family(row: Row) -> str | None:
    operation, grouping = row["operation"], row["grouping"]
    if operation in ("read", "write"):
        return f"axis_{operation}" if row["core"] == "regslice" else None
    if operation == "mul":
        return "product_in_slice" if grouping == "dsp_in" else None
    if operation == "store" and not row["core"]:
        return "register" if float(row["delay_ns"]) else None
    constant = row["operand_types"].partition(",")[2].startswith("c")
    if grouping in (*_MERGED, "lut_out") or is_wiring(operation, constant):
        return None
    family = base_family(operation)
    if family == "add" and grouping == "dsp_root":
        return "sum_in_slice"
    return "sum_of_three" if family == "add" and grouping == "ternary_root" else family


def _size(family: str, row: Row) -> int:
    """What the delay grows with: bits of the operands or the result, inputs of a multiplexer."""
    operands = [kind.lstrip("c") for kind in row["operand_types"].split(",") if kind]
    widths = [int(kind[1:]) for kind in operands if kind[:1] == "i" and kind[1:].isdigit()]
    if family == "mux":
        return max(len(widths) - 1, 2)
    if family in ("register", "sum_in_slice", "product_in_slice", "memshiftread") or family.startswith("axis"):
        # A table does not say how many values a register gets: two, in nine of ten.
        return 2 if family == "register" else 1
    own = int(row["result_type"][1:]) if re.fullmatch(r"i\d+", row["result_type"]) else 0
    return max(widths[0] if family == "icmp" and widths else own or max(widths, default=1), 1)


def fit(rows: Sequence[Row]) -> DelayTable:
    """Curves, ratios and factors, and the arrays."""
    by_device = {device: _middle(found) for device, found in _grouped(samples(rows)).items()}
    reference = by_device.get(REFERENCE, {})
    factors = {device: _factor(sizes, reference) for device, sizes in sorted(by_device.items())}
    curves = _curves(by_device, factors)
    ratios = {device: _ratios(sizes, curves) for device, sizes in sorted(by_device.items())}
    memories = _arrays(row for row in rows if row["operation"] in ("load", "store") and row["core"])
    return DelayTable(curves, ratios, factors, memories, _arrays(filter(_is_natural_fifo, rows)))


def _grouped(found: Iterable[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for each in found:
        groups[each.device].append(each)
    return groups


def _middle(found: Iterable[Sample]) -> _Sizes:
    """Medians of the first and the last state; of rows with a constant, where there are any: nothing else says that
    an operand is as wide as it is printed."""
    lists: dict[tuple[str, int, int], dict[tuple[bool, bool], list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in found:
        lists[each.family, each.latency, each.size][each.stage == "last", each.plain].append(each.delay_ns)
    sizes: _Sizes = defaultdict(lambda: defaultdict(dict))
    for (family, latency, size), kinds in sorted(lists.items()):
        first = kinds[False, True] or kinds[False, False]
        last = kinds[True, True] or kinds[True, False] or first
        if first:
            sizes[family][latency][size] = statistics.median(first), statistics.median(last)
    return sizes


def _factor(sizes: _Sizes, reference: _Sizes) -> float:
    ratios = [
        first / interpolate(_points(reference[family][0]), size)[0]
        for family in _COMMON
        if 0 in reference.get(family, {})
        for size, (first, _) in sizes.get(family, {}).get(0, {}).items()
        if min(reference[family][0]) <= size <= max(reference[family][0])
    ]
    return round(statistics.median(ratios), 3) if ratios else 1.0


def _points(sizes: Mapping[int, tuple[float, float]]) -> list[list[float]]:
    return [[size, *delays] for size, delays in sorted(sizes.items())]


def _curves(by_device: Mapping[str, _Sizes], factors: Mapping[str, float]) -> dict[str, dict[int, list[list[float]]]]:
    """The reference device's own delays; beyond their sizes those of others over their factor."""
    lists: dict[tuple[str, int], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for device, sizes in by_device.items():
        for family, latencies in sizes.items():
            for latency, points in latencies.items():
                own = by_device.get(REFERENCE, {}).get(family, {}).get(latency, {})
                for size, (first, last) in points.items():
                    if device == REFERENCE or not own or not min(own) <= size <= max(own):
                        lists[family, latency][size].append((first / factors[device], last / factors[device]))
    curves: dict[str, dict[int, list[list[float]]]] = defaultdict(dict)
    for (family, latency), by_size in sorted(lists.items()):
        curves[family][latency] = [
            [size, *(round(statistics.median(column), 4) for column in zip(*found, strict=True))]
            for size, found in sorted(by_size.items())
        ]
    return dict(curves)


def _ratios(
    sizes: _Sizes, curves: Mapping[str, Mapping[int, list[list[float]]]]
) -> dict[str, dict[int, list[list[float]]]]:
    """At the sizes of the curve, where the device has any of them: between them it is not smooth (a selection of 16 and
    of 32 bits costs less than one of 15 or 31)."""
    found: dict[str, dict[int, list[list[float]]]] = defaultdict(dict)
    for family, latencies in sizes.items():
        for latency, points in latencies.items():
            curve = curves[family][latency]
            common = points.keys() & {int(size) for size, *_ in curve}
            found[family][latency] = [
                [size, *(round(own / on_curve, 4) if on_curve else 1.0
                         for own, on_curve in zip(points[size], interpolate(curve, size), strict=True))]
                for size in sorted(common or points)
            ]  # fmt: skip
    return dict(found)


def _is_natural_fifo(row: Row) -> bool:
    """Whether an access costs less than half the budget, so that it costs what it costs."""
    budget = float(row["clock_ns"]) - float(row["uncertainty_ns"] or 0)
    is_fifo = row["operation"] in ("read", "write") and row["core"].startswith("FIFO")
    return is_fifo and float(row["delay_ns"]) < budget / 2 - _CAPPED_NS


def _arrays(rows: Iterable[Row]) -> dict[str, list[list[float]]]:
    """By device: [bits, words, ns] of arrays or FIFOs; reads and writes cost the same, so the median of both."""
    found: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for row in rows:
        if row["stage"] in ("only", "first"):
            bits, words = _shape(row)
            found[device_of(row["part"]), bits, words].append(float(row["delay_ns"]))
    arrays: dict[str, list[list[float]]] = defaultdict(list)
    for (device, bits, words), delays in sorted(found.items()):
        arrays[device].append([bits, words, round(statistics.median(delays), 3)])
    return dict(arrays)


def _shape(row: Row) -> tuple[int, int]:
    """Bits and words; a FIFO outside of the module is printed without."""
    return max(int(row["storage_width"] or 1), 1), max(int(row["storage_depth"] or 1), 1)


def fit_model(operators: Sequence[Row], areas: Sequence[Row]) -> OperatorModel:
    """All of it."""
    delays = fit(operators)
    floats = fit_floating_point(observations(operators, areas), delays.factors)
    return OperatorModel(delays, fit_multiplications(multiplications(operators)), floats)


def residuals(rows: Sequence[Row], model: OperatorModel) -> dict[str, list[float]]:
    """|model - report| / report by family, for states that cost something."""
    errors: dict[str, list[float]] = defaultdict(list)
    for each in samples(rows):
        if each.stage == "last" or each.delay_ns <= 0.05 or each.family not in model.delays.curves:
            continue
        if each.latency in model.delays.curves[each.family]:
            found = model.delays.at(each.device, each.family, each.latency, each.size)
            errors[each.family].append(abs(found.delay_ns - each.delay_ns) / each.delay_ns)
    for row in rows:
        delay = float(row["delay_ns"] or 0)
        if row["stage"] in ("only", "first") and delay > 0.05:
            if row["operation"] in ("load", "store") and row["core"]:
                errors["memory"].append(abs(model.delays.memory(device_of(row["part"]), *_shape(row)) / delay - 1))
            elif _is_natural_fifo(row):
                errors["fifo"].append(abs(model.delays.fifo(device_of(row["part"]), *_shape(row)) / delay - 1))
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--without", default="", help="leave a repository out of the fit and measure on it")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows, areas = (read_rows(arguments.data / name) for name in ("operators.tsv", "csynth_area.tsv"))
    kept, kept_areas = ([row for row in each if row["repo"] != arguments.without] for each in (rows, areas))
    measured = [row for row in rows if row["repo"] == arguments.without] if arguments.without else rows
    model = fit_model(kept, kept_areas)
    print(f"{'operator':24s} {'rows':>7s} {'median %':>9s} {'90th %':>8s}")
    summary = {}
    for operator, values in sorted(residuals(measured, model).items()):
        values.sort()
        median, ninth = 100 * statistics.median(values), 100 * values[int(0.9 * (len(values) - 1))]
        summary[operator] = {"rows": len(values), "median_percent": round(median, 1), "p90_percent": round(ninth, 1)}
        print(f"{operator:24s} {len(values):7d} {median:9.1f} {ninth:8.1f}")
    if arguments.write:
        document = {
            "source": "operators.tsv: schedule reports of Vivado HLS 2018.3 to Vitis HLS 2025.2, public repositories",
            "never_seen": ["nbread", "nbwrite", "URAM memories and FIFOs", "udiv", "Versal at -1"],
            "residuals": summary,
            "model": asdict(model),
        }
        arguments.write.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
