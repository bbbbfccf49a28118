"""Fit csynth's prices of operators, and what Vivado leaves of csynth's totals.

    python -m benchmarks.fit_area --data FOLDER

FOLDER holds csynth_area.tsv and implementation.tsv. Each operator's LUT are fitted as a + b * bits of its wider
operand, by least squares of the relative error on distinct rows; the ratio of LUT and FF after implementation to
csynth's is given by its quantiles, and of large kernels by what nine of ten others have (Student's t of logarithms).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from benchmarks.tables import read_rows

LARGE_LUT = 5000

EXPRESSIONS = ("+", "-", "icmp", "select", "and", "or", "xor", "shl", "lshr")


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def fit_expressions(rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """LUT of each operator: constant, per bit, rows, and median relative error in percent."""
    points: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for row in rows:
        if row["table"] == "Expression" and row["item"] in EXPRESSIONS and number(row["LUT"]) > 0:
            bits = max(number(row["bits_P0"]), number(row["bits_P1"]), number(row["bits_P2"]))
            points[row["item"]].add((bits, number(row["LUT"])))
    fitted = {}
    for operator, distinct in points.items():
        bits, lut = np.array(sorted(distinct)).T
        slope, constant = np.polyfit(bits, lut, 1, w=1 / lut)
        error = np.median(np.abs(slope * bits + constant - lut) / lut)
        fitted[operator] = {
            "constant": round(float(constant), 2),
            "per_bit": round(float(slope), 3),
            "rows": len(distinct),
            "median_error_percent": round(100 * float(error), 1),
        }
    return fitted


def implementation_ratios(rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """Quantiles of (after implementation, else after synthesis) / csynth."""
    found = {}
    for resource in ("LUT", "FF"):
        ratios = [
            number(row[f"postimpl_{resource}"] or row[f"postsyn_{resource}"]) / number(row[f"csynth_{resource}"])
            for row in rows
            if number(row[f"csynth_{resource}"]) and number(row[f"postimpl_{resource}"] or row[f"postsyn_{resource}"])
        ]
        tenths = statistics.quantiles(ratios, n=10)
        found[resource] = {
            "kernels": len(ratios),
            "p10": round(tenths[0], 2),
            "median": round(statistics.median(ratios), 2),
            "p90": round(tenths[8], 2),
            "highest": round(max(ratios), 2),
        }
    return found


def large_kernels(rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """The same ratio of kernels that csynth gives more than ``LARGE_LUT`` LUT, each once: its median and its range."""
    found = {}
    for resource in ("LUT", "FF"):
        ratios: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for row in rows:
            implemented = number(row[f"postimpl_{resource}"] or row[f"postsyn_{resource}"])
            estimated = number(row[f"csynth_{resource}"])
            if implemented and estimated and number(row["csynth_LUT"]) > LARGE_LUT:
                kernel = row["repo"], row["top"], row[f"csynth_{resource}"]
                ratios[kernel].append(implemented / estimated)
        logs = np.log([statistics.median(each) for each in ratios.values()])
        reach = student.ppf(0.95, len(logs) - 1) * logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
        found[resource] = {
            "kernels": len(logs),
            "median": round(math.exp(np.median(logs)), 2),
            "nine_of_ten_from": round(math.exp(logs.mean() - reach), 2),
            "nine_of_ten_to": round(math.exp(logs.mean() + reach), 2),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    document = {
        "source": "csynth_area.tsv and implementation.tsv: reports of public repositories, Vitis HLS 2020.1 to 2025.2",
        "lut": fit_expressions(read_rows(arguments.data / "csynth_area.tsv")),
        "implemented_per_csynth": implementation_ratios(read_rows(arguments.data / "implementation.tsv")),
        "large_kernels": large_kernels(read_rows(arguments.data / "implementation.tsv")),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
