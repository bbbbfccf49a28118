"""What ``*_csynth.rpt`` say of the LUTs and flip-flops of a module by kind, and of a kernel with all that it calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.operator_resources import Row, detail_rows

OWN = ("Expression", "FIFO", "Memory", "Multiplexer", "Register")
# Modules of operators, which have no report of their own, by the kind that their resources are put to.
_FLOATING_POINT = re.compile(r"(^|_)[fdh](add|sub|mul|div|cmp|exp|sqrt|log)|fpext|fptrunc|[su]itof|fptosi|sitod")
_MULTIPLEXERS = re.compile(r"(^|_)(sparse)?mux_")
_AXI = re.compile(r"_[ms]_axi$|^(control|gmem)\w*_[ms]_axi")

Count = tuple[int, int]  # LUT, FF


@dataclass(frozen=True)
class Fifo:
    depth: int
    bits: int
    ff: int


@dataclass(frozen=True)
class CsynthModule:
    """The report of one function. ``summary``: kind -> LUT and FF, from the table that adds them up."""

    path: Path

    @cached_property
    def _lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8", errors="replace").splitlines()

    @cached_property
    def _rows(self) -> list[Row]:
        return list(detail_rows(self.path))

    @property
    def tool_version(self) -> str:
        found = (re.match(r"\* Version:\s+(\S+)", line) for line in self._lines[:30])
        return next((match[1] for match in found if match), "")

    @cached_property
    def summary(self) -> Mapping[str, Count]:
        header: list[str] = []
        found: dict[str, Count] = {}
        for line in self._lines:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if cells[0] == "Name" and "LUT" in cells and not header:
                header = cells
            elif header and len(cells) == len(header) and cells[0] in (*OWN, "Total"):
                named = dict(zip(header, cells, strict=True))
                found.setdefault(cells[0], (_whole(named.get("LUT")), _whole(named.get("FF"))))
        return found

    @property
    def instances(self) -> list[tuple[str, Count]]:
        return [
            (row.cells["Module"], (row.number("LUT"), row.number("FF")))
            for row in self._rows
            if row.section == "Instance" and "LUT" in row.cells and "Module" in row.cells
        ]

    @property
    def fifos(self) -> list[Fifo]:
        rows = (row for row in self._rows if row.section == "FIFO" and "Depth" in row.cells)
        return [Fifo(row.number("Depth"), row.number("Bits"), row.number("FF")) for row in rows]


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def modules(root: Path) -> Iterator[CsynthModule]:
    return (CsynthModule(path) for path in sorted(root.rglob("*_csynth.rpt")))


def kernel_counts(report: Path) -> dict[str, Count]:
    """LUT and FF that csynth gives a kernel, by kind: those of `OWN` of all its modules, and of operators' modules.

    ``report``: of its top function, beside those of the functions that it calls. A function called twice counts twice.
    What has no report and is no operator is "unseparated".
    """
    known: dict[str, dict[str, Count]] = {}

    def counts(path: Path) -> dict[str, Count]:
        if path.name not in known:
            module = CsynthModule(path)
            found = {kind: module.summary.get(kind, (0, 0)) for kind in OWN}
            for name, own in module.instances:
                called = path.with_name(f"{name}_csynth.rpt")
                parts = counts(called) if called.is_file() else {_kind(name): own}
                for kind, (lut, ff) in parts.items():
                    before = found.get(kind, (0, 0))
                    found[kind] = before[0] + lut, before[1] + ff
            known[path.name] = found
        return known[path.name]

    return counts(report)


def _kind(module: str) -> str:
    if _FLOATING_POINT.search(module):
        return "floating point"
    if _AXI.search(module):
        return "AXI"
    if _MULTIPLEXERS.search(module):
        return "Multiplexer"
    return "integer operators" if re.search(r"\d+n?s_\d+|lshr|shl|_\d+_\d+_1", module) else "unseparated"
