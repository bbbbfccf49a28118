"""Multiply-accumulates per second of the emulator on one core, beside hls4ml's C simulation of the same layer.

    python -m benchmarks.emulator

Both run a dense 384 x 384 layer with 8-bit weights and inputs on this machine, one after the other; ours then runs
whole encoders too. Needs hls4ml (pip install 'aebert[benchmark]') and a C++ compiler.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from aebert.design.board import load_board
from aebert.design.buffers import bind_buffers
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.design.program import Awaits, Pass, Program, build_program
from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.numerics.quantised import QuantisedEncoder
from benchmarks.kernel_folder import write_files
from benchmarks.machine import machine_line
from codegen.memory_image import LaunchCounts, build_memory_image
from codegen.packing import index_words, pack_matrix
from codegen.project_sources import read_sources
from codegen.render import kernel_files
from host.devices.accelerator import Accelerator
from host.emulated.emulator import EmulatorDevice
from tests.support.random_quantised import random_quantised_encoder, random_residual

SIZE = 384
TOKENS = 128
SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-hls4ml", action="store_true", help="measure ours only")
    arguments = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
        ours = _our_layer(Path(scratch) / "layer")
        print(f"aebert, dense {SIZE} x {SIZE}, {TOKENS} tokens: {ours / 1e9:.2f} G MAC/s, one core")
        for name, shape in _encoders().items():
            rate, seconds = _our_encoder(Path(scratch) / name, shape)
            print(f"aebert, {name}, dense, {TOKENS} tokens: {rate / 1e9:.2f} G MAC/s, {seconds:.3f} s per sequence")
        if not arguments.skip_hls4ml:
            theirs = _hls4ml_layer(Path(scratch) / "hls4ml")
            print(f"hls4ml C simulation, dense {SIZE} x {SIZE}: {theirs / 1e9:.4f} G MAC/s, one core")
            print(f"ratio: {ours / theirs:.0f}")


def _encoders() -> dict[str, EncoderShape]:
    return {
        "MiniLM-L6": EncoderShape(layers=6, hidden=384, heads=12, ffn=1536, epsilon=1e-12, max_positions=512),
        "BERT-base": EncoderShape(layers=12, hidden=768, heads=12, ffn=3072, epsilon=1e-12, max_positions=512),
    }


def _kernel(directory: Path, hidden: int, ffn: int) -> HardwareConfig:
    config = HardwareConfig(
        tokens=64, out_lanes=4, in_lanes=16, max_hidden=hidden, max_ffn=ffn, max_length=TOKENS, max_groups=2
    )
    # Of one engine, which no die of the board holds: what is measured here runs on this machine.
    free = load_board("u200").available
    buffers = bind_buffers(config, luts=free.lut, bram36=free.bram36, uram=free.uram)
    write_files(kernel_files(config, buffers), directory)
    return config


def _seconds_per_run(ours: Accelerator, program: Program, quantised: QuantisedEncoder) -> float:
    residual = random_residual(quantised.shape, TOKENS, seed=0)
    ours.run_program(program, [residual])
    runs = 0
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        ours.run_program(program, [residual])
        runs += 1
    return (time.perf_counter() - began) / runs


def _our_layer(directory: Path) -> float:
    """One load pass and one projection, the first matrix of a one-layer encoder."""
    config = _kernel(directory, SIZE, 4 * SIZE)
    shape = EncoderShape(layers=1, hidden=SIZE, heads=12, ffn=4 * SIZE, epsilon=1e-12, max_positions=512)
    quantised = random_quantised_encoder(shape, seed=0)
    whole = build_program(config, quantised, [TOKENS])
    load, query = whole.passes[0], whole.passes[1]
    assert query.matrix == MATRIX_NAMES[0]
    groups = whole.groups
    end = Pass(PassKind.END, awaits=Awaits(requantise=SIZE * groups, layer_norm=SIZE * groups))
    program = replace(whole, passes=(load, replace(query, store=True), end))
    packed = pack_matrix(quantised.layers[0].query.weight, config.out_lanes, config.in_lanes)
    counts = LaunchCounts(packed.tiles, len(index_words(packed, config)))
    image = replace(build_memory_image(quantised, config), counts=counts)
    ours = Accelerator(EmulatorDevice(read_sources(directory)), config, quantised, image)
    return SIZE * SIZE * TOKENS / _seconds_per_run(ours, program, quantised)


def _our_encoder(directory: Path, shape: EncoderShape) -> tuple[float, float]:
    config = _kernel(directory, shape.hidden, shape.ffn)
    quantised = random_quantised_encoder(shape, seed=0)
    ours = Accelerator(
        EmulatorDevice(read_sources(directory)), config, quantised, build_memory_image(quantised, config)
    )
    seconds = _seconds_per_run(ours, ours.program([TOKENS]), quantised)
    weights = shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.ffn)
    attention = shape.layers * 2 * TOKENS * shape.hidden
    return (weights + attention) * TOKENS / seconds, seconds


def _hls4ml_layer(directory: Path) -> float:
    """hls4ml's own C simulation (``compile`` and ``predict``) of the layer, Vitis backend, 8-bit fixed point."""
    import hls4ml
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(SIZE, SIZE))
    settings = hls4ml.utils.config_from_pytorch_model(
        model, input_shape=(SIZE,), granularity="model", backend="Vitis", default_precision="fixed<8,3>"
    )
    settings["Model"]["Strategy"] = "Resource"
    settings["Model"]["ReuseFactor"] = SIZE
    converted = hls4ml.converters.convert_from_pytorch_model(
        model, output_dir=str(directory), backend="Vitis", hls_config=settings
    )
    converted.compile()
    inputs = np.random.default_rng(0).normal(0, 1, (TOKENS, SIZE)).astype(np.float32)
    converted.predict(inputs[:2])
    began = time.perf_counter()
    converted.predict(inputs)
    return SIZE * SIZE * TOKENS / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
