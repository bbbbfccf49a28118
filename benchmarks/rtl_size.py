"""How far open tools get with the RTL of a large kernel: time and memory to write, elaborate and lint it.

    python -m benchmarks.rtl_size [--lanes 64 4 16] [--limit 600]

The kernel of a MiniLM-sized design on a U200. Seconds are of the processor, memory is the most that was held at once.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from benchmarks.design_rtl import design_rtl
from benchmarks.kernel_folder import write_files
from benchmarks.machine import machine_line
from codegen.rtl.kernel import KernelRtl
from codegen.toolchains.rtl import WAIVED, find_verilator

BOARD, LENGTH = "u200", 128
ENGINES = 2  # one of 4096 lanes is larger than a die
_SLANG = """
import sys
from pathlib import Path
from tests.support.elaboration import elaboration_errors
top, *files = sys.argv[1:]
sys.exit(elaboration_errors({name: Path(name).read_text() for name in files}, top)[:2000] or None)
"""


def write_rtl(lanes: Sequence[int], folder: Path) -> KernelRtl:
    tokens, out_lanes, in_lanes = lanes
    board = load_board(BOARD)
    config = HardwareConfig(
        tokens=tokens, out_lanes=out_lanes, in_lanes=in_lanes, max_hidden=384, max_ffn=1536, max_length=LENGTH,
        max_groups=LENGTH // tokens, engines=ENGINES,
    )  # fmt: skip
    rtl = design_rtl(Design(config, board, board.clock_mhz), folder)
    write_files(rtl.files, folder)
    return rtl


def measured(command: Sequence[str], folder: Path, environment: dict[str, str], limit_s: int) -> str:
    """How ``command`` ended, its processor time and memory; it is stopped after ``limit_s`` of the former."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log, preexec_fn=limit
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    ends = {0: "no complaint"}.get(process.returncode, f"not through (exit {process.returncode})")
    return f"{ends}, {usage.ru_utime + usage.ru_stime:.0f} s, {usage.ru_maxrss / 1024:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lanes", type=int, nargs=3, default=(64, 4, 16), metavar=("TOKENS", "OUT", "IN"))
    parser.add_argument("--limit", type=int, default=600, help="seconds of the processor for each tool")
    options = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
        folder, began = Path(scratch), time.process_time()
        rtl = write_rtl(options.lanes, folder)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        size = {name: len(text) for name, text in rtl.files.items()}
        largest = max(size, key=size.__getitem__)
        print(
            f"{'x'.join(map(str, options.lanes))}: {sum(size.values()) / 1e6:.1f} MB of SystemVerilog, {largest} "
            f"{size[largest] / 1e6:.1f} MB; written in {time.process_time() - began:.0f} s, "
            f"{usage.ru_maxrss / 1024:.0f} MB"
        )
        top, files = rtl.kernel.name, list(rtl.files)
        verilator = find_verilator()
        tools = {
            "slang": ([sys.executable, "-c", _SLANG, top, *files], {"PYTHONPATH": str(Path.cwd())}),
            "verilator --lint-only": (
                [str(verilator.program), "--lint-only", "-Wall", *WAIVED, "--top-module", top, *files],
                {"VERILATOR_ROOT": str(verilator.root)},
            ),
        }
        for name, (command, environment) in tools.items():
            print(f"{name}: {measured(command, folder, environment, options.limit)}", flush=True)


if __name__ == "__main__":
    main()
