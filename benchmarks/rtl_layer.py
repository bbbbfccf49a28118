"""RTL of our own scheduler at a layer of real weights: bits, cycles, and the time that a simulated cycle takes.

    python -m benchmarks.rtl_layer [--lanes 16 4 8] [--tokens 32]

The first layer of MiniLM-L6 (all-MiniLM-L6-v2), half of its weights removed (vector:4x1, compensated), on a U200.
Seconds of the launch are by the clock on the wall, all others of the processor. Ends with 1 where a bit differs, or the
cycles by more than 2 % from timed emulation of the same schedule.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import aebert
from aebert.cli.demo import demo_model
from aebert.design.default_sizes import GivenSizes
from aebert.models.companions import copy_companions
from aebert.numerics.reference import run_encoder
from benchmarks.machine import machine_line
from benchmarks.processor_time import processor_seconds
from benchmarks.rtl_sim import TOLERANCE
from codegen.project import Project, load_project
from codegen.rtl.kernel import kernel_rtl
from codegen.toolchains.rtl import build_simulation
from host.devices.open import open_accelerator
from host.devices.protocol import CountingDevice
from host.measure import random_residuals

BOARD, PATTERN, RATIO = "u200", "vector:4x1", 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lanes", type=int, nargs=3, default=(16, 4, 8), metavar=("TOKENS", "OUT", "IN"))
    parser.add_argument("--tokens", type=int, default=32, help="of the one sequence")
    options = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
        folder = Path(scratch)
        write_first_layer(folder / "model")
        aebert.prune(folder / "model", folder / "subnet", ratio=RATIO, pattern=PATTERN, compensate=True)
        tokens, out_lanes, in_lanes = options.lanes
        sizes = GivenSizes(tokens=tokens, out_lanes=out_lanes, in_lanes=in_lanes)
        choice = aebert.DesignChoice(sizes, max_length=options.tokens)
        aebert.generate(folder / "subnet", folder / "project", board=BOARD, choice=choice)
        project = load_project(folder / "project")
        print(f"{'x'.join(map(str, options.lanes))} on {BOARD}, {options.tokens} tokens, {PATTERN} at {RATIO}")
        return compare(project, options.tokens)


def write_first_layer(directory: Path) -> None:
    """MiniLM-L6's embeddings and first layer as a model of their own."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(demo_model())
    model.encoder.layer = model.encoder.layer[:1]
    model.config.num_hidden_layers = 1
    model.save_pretrained(directory)
    copy_companions(demo_model(), directory)


def compare(project: Project, tokens: int) -> int:
    """0 where the launch is right in RTL, bits and cycles."""
    with _seconds("scheduled and written"):
        rtl = kernel_rtl(project.sources(), project.manifest)
    print(f"{sum(map(len, rtl.files.values())) / 1e6:.1f} MB of SystemVerilog")
    with _seconds("Verilator and the C++ compiler"):
        build_simulation(rtl)
    (residual,) = random_residuals(project.quantised.shape, [tokens])
    cycles, right = {}, True
    for name in ("emulator", "rtl"):
        with open_accelerator(project, name, clocked=True) as accelerator:
            began = time.perf_counter()
            (output,) = accelerator.run([residual])
            seconds = time.perf_counter() - began
            assert isinstance(accelerator.device, CountingDevice)
            cycles[name] = accelerator.device.counted_cycles()
        right &= np.array_equal(output, run_encoder(project.quantised, residual))
        print(f"{name}: {cycles[name]:,} cycles, {seconds:.1f} s, {1e6 * seconds / cycles[name]:.1f} us per cycle")
    off = cycles["rtl"] / cycles["emulator"] - 1
    print(f"bits {'right' if right else 'wrong'}; RTL {off:+.2%} of timed emulation's cycles")
    return int(not right or abs(off) > TOLERANCE)


@contextmanager
def _seconds(step: str) -> Iterator[None]:
    began = processor_seconds()
    yield
    print(f"{step}: {processor_seconds() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
