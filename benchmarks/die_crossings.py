"""Bits of the streams that go from die to die where each engine of a board's default design lies on a die.

    python -m benchmarks.die_crossings [BOARD ...]

Widths of the FIFOs between the processes that engines share and one engine's own, without their flags. Nothing here
says how many of them a device can carry.
"""

from __future__ import annotations

import argparse

from aebert.design.board import load_board
from aebert.design.board_fit import engine_places
from aebert.design.fifos import kernel_fifos
from aebert.design.kernel_streams import ENGINE_PROCESSES
from aebert.design.size_arrays import Sizes
from benchmarks.board_schedules import default_design
from benchmarks.machine import machine_line
from codegen.render import kernel_files
from codegen.rtl.top_level import read_top_level


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("boards", nargs="*", metavar="BOARD", default=["u200", "u250", "u280", "u50"])
    print(machine_line())
    for name in parser.parse_args().boards:
        design = default_design(load_board(name))
        places = engine_places(design.config, design.board)
        if not places:
            print(f"{name}: on one die")
            continue
        files = kernel_files(design.config, design.buffers)
        top = read_top_level(files["kernel/kernel.cpp"], files["kernel/config.h"])
        shared = {
            argument
            for process, arguments in top.processes
            if process not in ENGINE_PROCESSES
            for argument in arguments
        }
        _, own = kernel_fifos(Sizes.of(design.config))
        bits = {fifo.name: int(fifo.width_bits[0]) for fifo in own if fifo.name in shared}
        elsewhere = sum(die != places[0].shared for die in places[0].engines)
        passes = sum(count for stream, count in bits.items() if stream.endswith("_passes"))
        print(
            f"{name}: {sum(bits.values())} bits to and from an engine ({passes} of them passes), {elsewhere} of "
            f"{len(places[0].engines)} engines on other dies: {elsewhere * sum(bits.values())}"
        )


if __name__ == "__main__":
    main()
