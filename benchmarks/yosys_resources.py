"""The closed form's resources beside those of an open synthesiser, unit by unit.

    python -m benchmarks.yosys_resources [--boards u200 pynq-z2]
    python -m benchmarks.yosys_resources --boards u200 --lanes 16 4 8

RTL of AE-BERT's own scheduler, each process synthesised by itself and its identical lanes once (`aebert build --tool
yosys`): minutes each. The small designs that it has by default are synthesised whole besides, which is the check of
what multiplying lanes leaves out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.support.text_table import text_table
from benchmarks.design_rtl import design_rtl
from benchmarks.machine import machine_line
from benchmarks.processor_time import processor_seconds
from codegen.toolchains.yosys import synthesise, yosys_version
from codegen.toolchains.yosys_cells import YosysCount
from codegen.yosys_records import UnitComparison, compare_units

HIDDEN, FFN, LENGTH = 384, 1536, 32
SMALL = {"u200": (8, 4, 4), "pynq-z2": (4, 2, 4)}
# More multiply-accumulates per cycle are shared by two engines.
ONE_DIE, ENGINES = 2048, 2
COUNTS = tuple(each.name for each in fields(YosysCount))


def count(
    board_name: str, tokens: int, out_lanes: int, in_lanes: int, *, whole: bool
) -> Iterator[tuple[str, tuple[UnitComparison, ...]]]:
    """What was counted in which way; a row for each unit."""
    board = load_board(board_name)
    config = HardwareConfig(
        tokens=tokens, out_lanes=out_lanes, in_lanes=in_lanes, max_hidden=HIDDEN, max_ffn=FFN,
        max_length=max(LENGTH, tokens), max_groups=max(LENGTH // tokens, 1), word_bytes=max(16, out_lanes * in_lanes),
        engines=ENGINES if tokens * out_lanes * in_lanes > ONE_DIE else 1,
    )  # fmt: skip
    design = Design(config, board, board.clock_mhz)
    with tempfile.TemporaryDirectory(prefix="aebert-yosys-") as scratch:
        rtl = design_rtl(design, Path(scratch))
    yield "lanes once", compare_units(design, dict(synthesise(rtl, board.dsp)))
    if whole:
        yield "whole", compare_units(design, dict(synthesise(rtl, board.dsp, whole=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="+", default=list(SMALL))
    parser.add_argument("--lanes", type=int, nargs=3, metavar=("TOKENS", "OUT", "IN"), help="of another design")
    options = parser.parse_args()
    print(f"{machine_line()}; {yosys_version()}")
    for board in options.boards:
        lanes = options.lanes or SMALL[board]
        began = processor_seconds()
        for how, units in count(board, *lanes, whole=options.lanes is None):
            seconds = processor_seconds() - began
            print(f"\n{board}, {'x'.join(map(str, lanes))}, {how}, {seconds:.0f} s of the processor; predicted / Yosys")
            header = ("unit", *COUNTS)
            rows = [(each.unit, *(_pair(each, name) for name in COUNTS)) for each in (*units, _sum(units))]
            print(text_table(header, rows), flush=True)
            began = processor_seconds()


def _pair(unit: UnitComparison, name: str) -> str:
    return f"{getattr(unit.predicted, name)} / {getattr(unit.yosys, name)}"


def _sum(units: tuple[UnitComparison, ...]) -> UnitComparison:
    predicted, counted = YosysCount(), YosysCount()
    for each in units:
        predicted, counted = predicted + each.predicted, counted + each.yosys
    return UnitComparison("in all", predicted, counted)


if __name__ == "__main__":
    main()
