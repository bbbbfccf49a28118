"""Timed emulation against RTL co-simulation, on small stream designs whose structure is known.

    python -m benchmarks.rtl_cycles --data FOLDER

FOLDER holds rtl_cycles.tsv. Every row that describes its design's structure is built in the project's own marks and
run; a structure that cannot be read is printed with the reason, and rows without structure are counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aebert.support.errors import AebertError
from benchmarks.machine import machine_line
from benchmarks.rtl_designs import Counted, build_designs
from benchmarks.rtl_structure import Design, read_design

TOLERANCE, TOLERANCE_CYCLES = 0.01, 10


@dataclass(frozen=True)
class RtlRow:
    """``cycles`` None: a deadlock in RTL."""

    name: str
    structure: Mapping[str, Any] | None
    cycles: int | None

    def agrees(self, counted: int | None) -> bool:
        if self.cycles is None or counted is None:
            return self.cycles is counted
        return abs(counted - self.cycles) <= max(TOLERANCE * self.cycles, TOLERANCE_CYCLES)


def read_rows(path: Path) -> list[RtlRow]:
    """Raises AebertError that names the line whose structure is no JSON, or the column that is missing."""
    rows: list[RtlRow] = []
    with path.open() as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=2):
            try:
                text = row["structure"].replace('\\"', '"').replace("\\\\", "\\")
                structure = json.loads(text) if text else None
                cycles = None if "deadlock" in row["status"] else int(row["rtl_cycles_max"] or 0)
            except KeyError as error:
                raise AebertError(f"{path.name}: no column {error}; give the file of this data set") from None
            except ValueError as error:
                raise AebertError(f"{path.name}: line {number}: {error}; mend the row") from None
            rows.append(RtlRow(row["path"], structure, cycles))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    rows = read_rows(parser.parse_args().data / "rtl_cycles.tsv")
    print(machine_line())
    described = [row for row in rows if row.structure]
    structures = {row.name: row.structure for row in described if row.structure}
    read = [(row, design) for row in described if (design := _design(row, structures)) is not None]
    with tempfile.TemporaryDirectory() as folder:
        built = build_designs([design for _, design in read], Path(folder))
        print(f"{'design':24} {'RTL':>9} {'ours':>9} {'difference':>10}")
        agreeing = [_print_row(row, built.run(design)) for row, design in read]
    print(f"{sum(agreeing)} of {len(described)} within {TOLERANCE:.0%} or {TOLERANCE_CYCLES} cycles, deadlocks found;")
    print(f"{len(rows) - len(described)} rows without structure left out")


def _design(row: RtlRow, structures: Mapping[str, Mapping[str, Any]]) -> Design | None:
    try:
        return read_design(row.name, structures[row.name], structures)
    except AebertError as error:
        print(f"not read: {error}")
        return None


def _print_row(row: RtlRow, counted: Counted) -> bool:
    difference = "" if row.cycles is None or counted.cycles is None else f"{counted.cycles - row.cycles:+d}"
    tally = ", ".join(f"{name} {count}" for name, count in counted.tally.items() if count)
    print(f"{row.name:24} {_shown(row.cycles):>9} {_shown(counted.cycles):>9} {difference:>10}  {tally}")
    return row.agrees(counted.cycles)


def _shown(cycles: int | None) -> str:
    return "deadlock" if cycles is None else str(cycles)


if __name__ == "__main__":
    main()
