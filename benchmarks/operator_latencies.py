"""Operator latencies in real Vitis HLS reports, as used in aebert/timing/operator_latencies.py.

    python -m benchmarks.operator_latencies --data FOLDER

FOLDER holds csynth.xml and csynth.rpt files. Prints, per operator, implementation and clock, how often which latency
and DSP count occur (BindNode entries), and the stages in the names of multiplier and divider modules.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from aebert.hls_reports.model import BindNode, CsynthReport, SynthesisSummary
from aebert.hls_reports.parse import parse_report
from aebert.support.errors import AebertError
from benchmarks.machine import machine_line

# <operator>_<left>[n]s_<right>[n]s_<result>_<stages>[_seq]_1: "n" is for unsigned.
MODULE = re.compile(r"\b(mul|udiv|sdiv)_(\d+)n?s_(\d+)n?s_(\d+)_(\d+)(_seq)?_1\b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    folder: Path = parser.parse_args().data
    print(machine_line())
    nodes: Counter[tuple[str, str, str, int | None, int | None]] = Counter()
    modules: Counter[tuple[str, int, int, int, bool]] = Counter()
    for path in sorted(folder.rglob("*csynth.*")):
        for clock, node in _bind_nodes(path):
            if node.binding == "op":
                nodes[(node.operator, node.implementation, clock, node.latency_cycles, node.dsp)] += 1
        for name, left, right, _, stages, sequential in MODULE.findall(path.read_text(errors="replace")):
            modules[(name, int(left), int(right), int(stages), bool(sequential))] += 1
    print("operator   implementation  clock ns  latency  DSP  entries")
    for (operator, implementation, clock, latency, dsp), count in sorted(nodes.items(), key=str):
        print(f"{operator:10} {implementation:14} {clock:>9} {latency!s:>8} {dsp!s:>4} {count:8}")
    print("module  left  right  stages  mentions")
    for (name, left, right, stages, sequential), count in sorted(modules.items()):
        print(f"{name:6} {left:5} {right:6} {stages:7} {count:9}{'  sequential' if sequential else ''}")


def _bind_nodes(path: Path) -> Iterator[tuple[str, BindNode]]:
    """Nodes with the clock period that the report states (csynth.rpt states none)."""
    try:
        report = parse_report(path)
    except AebertError as error:
        print(f"skipped: {error}")
        return
    if isinstance(report, CsynthReport):
        for module in report.modules or (report.module,):
            period = module.clock.target_ns
            yield from ((f"{period:.2f}" if period else "?", node) for node in module.bind_nodes)
    elif isinstance(report, SynthesisSummary):
        for bindings in report.bindings:
            yield from (("?", node) for node in bindings.nodes)


if __name__ == "__main__":
    main()
