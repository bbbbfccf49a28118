"""Flip-flops that the schedules of the boards' default designs need, beside those that the closed form counts.

    python -m benchmarks.pipeline_registers [BOARD ...]

Of the four units that compute. Schedule: what crosses the stages of each pipelined loop, and what it carries. Closed
form: registers that are counted one by one, and REGISTERS_PER_BIT for each bit of what an operator gives, before
Vivado. Flip-flops inside of operators (what joins products, dividers) and of memories are in neither. Prints, for each
board, the figure that would make both equal, and last the median, which aebert/design/operator_resources.py takes.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from aebert.design import operator_resources as op
from aebert.design.board import board_names, load_board
from aebert.design.board_fit import check_fit
from aebert.design.design import Design
from aebert.design.operator_areas import operator_areas
from aebert.design.scheduled_registers import unit_registers
from aebert.design.unit_resources import unit_resources
from benchmarks.board_schedules import default_design, scheduled
from benchmarks.machine import machine_line

UNITS = ("fetch_tiles", "engine", "requantise", "softmax", "layer_norm")


def counted(design: Design, per_bit: float) -> dict[str, float]:
    """The closed form's registers of each unit as csynth would count them, with ``per_bit`` for each bit."""
    areas = operator_areas()
    bare = replace(areas, placed_ff=replace(areas.placed_ff, middle=1.0))
    with patch.object(op, "operator_areas", lambda: bare), patch.object(op, "REGISTERS_PER_BIT", per_bit):
        found = unit_resources(check_fit(design.config, design.board, design.compute_units))
    return {unit: float(np.max(found[unit].registers)) for unit in UNITS}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("boards", nargs="*", metavar="BOARD", help="default: all")
    chosen = parser.parse_args().boards or board_names()
    print(machine_line())
    print(f"{'board':12s} {'MHz':>4s}  closed form / schedule: {', '.join(UNITS)}; in all; flip-flops per bit")
    wanted = []
    for found in scheduled(default_design(load_board(name)) for name in chosen):
        single, whole = counted(found.design, 0.0), counted(found.design, op.REGISTERS_PER_BIT)
        bits = {unit: (whole[unit] - single[unit]) / op.REGISTERS_PER_BIT for unit in UNITS}
        needed = unit_registers(found.register_bits, found.design.config.engines)
        per_bit = (sum(needed.values()) - sum(single.values())) / sum(bits.values())
        wanted.append(per_bit)
        pairs = "  ".join(f"{whole[unit]:.0f} / {needed[unit]}" for unit in UNITS)
        total = f"{sum(whole.values()):.0f} / {sum(needed.values())}"
        print(
            f"{found.design.board.name:12s} {found.design.clock_mhz:4.0f}  {pairs}  {total}  {per_bit:.2f}", flush=True
        )
    print(
        f"median {statistics.median(wanted):.2f}, {min(wanted):.2f} to {max(wanted):.2f}; used {op.REGISTERS_PER_BIT}"
    )


if __name__ == "__main__":
    main()
