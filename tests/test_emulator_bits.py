"""The generated C++ computes what the integer reference computes, bit for bit, on every pass (L1 = L2)."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from aebert.design.config import HardwareConfig
from aebert.errors import AebertError
from aebert.quantised import QuantisedLayer
from aebert.reference import run_encoder
from codegen.memory_image import build_memory_image
from codegen.toolchains.emulator import build_emulator
from host.verify.compare import compare_sequence
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

# The corners: one output lane and one lane per bank pair; wide and narrow memory words; DSP48E1's unchained packing;
# two-byte indices (more than 256 rows in a bank).
CONFIGS = {
    "alveo": HardwareConfig(
        tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=6
    ),
    "unstructured": HardwareConfig(
        tokens=32, out_lanes=1, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=4
    ),
    "zynq": HardwareConfig(
        tokens=8, out_lanes=2, in_lanes=4, max_hidden=64, max_ffn=2048, max_length=64, max_groups=12,
        dsp="DSP48E1", word_bytes=16,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=CONFIGS)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HardwareConfig]:
    config = CONFIGS[request.param]
    return write_kernel(config, tmp_path_factory.mktemp(request.param)), config


@pytest.mark.parametrize("length", [64, 33, 1])
def test_every_pass_of_every_layer_is_equal(kernel: tuple[Path, HardwareConfig], length: int) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(2, 64, 4, 128), seed=length, density=0.5)
    found = compare_sequence(
        accelerator(directory, config, quantised), quantised, random_residual(quantised.shape, length, seed=1)
    )
    assert found.mismatch is None
    assert found.passes == 1 + 2 * (6 + 2 * 4)


def test_one_library_runs_other_subnets_layer_counts_shapes_and_lengths(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    library = build_emulator(directory)
    for seed, (layers, hidden, heads, ffn, density) in enumerate(
        [(1, 64, 2, 128, 1.0), (3, 32, 4, 64, 0.3), (2, 64, 8, 96, 0.05)]
    ):
        quantised = random_quantised_encoder(random_shape(layers, hidden, heads, ffn), seed, density)
        ours = accelerator(directory, config, quantised)
        for length in (40, 7):
            residual = random_residual(quantised.shape, length, seed)
            assert compare_sequence(ours, quantised, residual).mismatch is None
    assert build_emulator(directory) == library


def test_several_sequences_share_a_launch_and_do_not_see_each_other(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(2, 64, 4, 128), seed=3, density=0.5)
    residuals = [random_residual(quantised.shape, length, seed=length) for length in (20, 1, 16)]
    outputs = accelerator(directory, config, quantised).run(residuals)
    for residual, output in zip(residuals, outputs, strict=True):
        assert np.array_equal(output, run_encoder(quantised, residual))


def test_extreme_inputs_saturate_alike(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=5)
    ours = accelerator(directory, config, quantised)
    sign = np.where(np.random.default_rng(0).random((30, 64)) < 0.5, -1, 1)
    for residual in (sign * 32767, np.zeros((30, 64)), np.full((30, 64), 32767)):
        assert compare_sequence(ours, quantised, residual.astype(np.int16)).mismatch is None


def test_the_widths_written_in_the_code_hold_exactly(tmp_path: Path) -> None:
    """Built with Xilinx's ap_int instead of plain integers, every packed operand and product still fits."""
    found = importlib.util.find_spec("hls4ml")
    if found is None or found.origin is None:
        pytest.skip("hls4ml (which ships the open ap_types headers) is not installed")
    headers = Path(found.origin).parent / "templates" / "vivado" / "ap_types"
    config = CONFIGS["alveo"]
    directory = write_kernel(config, tmp_path)
    quantised = random_quantised_encoder(random_shape(1, 32, 2, 64), seed=2, density=0.7)
    exact = accelerator(directory, config, quantised, options=("-DAEBERT_EXACT_WIDTHS", f"-I{headers}"))
    sign = np.where(np.random.default_rng(0).random((9, 32)) < 0.5, -1, 1)
    for residual in (random_residual(quantised.shape, 9, seed=1), (sign * 32767).astype(np.int16)):
        assert compare_sequence(exact, quantised, residual).mismatch is None


def test_a_wrong_weight_is_named_by_layer_pass_token_and_channel(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(2, 64, 4, 128), seed=7)
    changed = dataclasses.replace(
        quantised, layers=(quantised.layers[0], _with_changed_ffn_in(quantised.layers[1], output=5))
    )
    ours = accelerator(directory, config, quantised, build_memory_image(changed, config))
    found = compare_sequence(ours, quantised, random_residual(quantised.shape, 12, seed=1)).mismatch
    assert found is not None
    assert (found.layer, found.pass_name, found.channel) == (1, "ffn_in", 5)


def _with_changed_ffn_in(layer: QuantisedLayer, output: int) -> QuantisedLayer:
    weight = layer.ffn_in.weight.copy()
    weight[output] = -weight[output]
    return dataclasses.replace(layer, ffn_in=dataclasses.replace(layer.ffn_in, weight=weight))


def test_sequences_beyond_the_design_are_refused(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=0)
    ours = accelerator(directory, config, quantised)
    with pytest.raises(AebertError, match="65 tokens, the design takes 1 to 64"):
        ours.run([random_residual(quantised.shape, 65, seed=0)])
    with pytest.raises(AebertError, match="token groups"):
        ours.run([random_residual(quantised.shape, 64, seed=0)] * 4)


def test_an_encoder_larger_than_the_design_is_refused(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 128, 4, 128), seed=0)
    with pytest.raises(AebertError, match="hidden = 128 exceeds the design's 64"):
        accelerator(directory, config, quantised)


def test_a_corrupted_program_that_can_never_finish_is_reported_as_a_deadlock(
    kernel: tuple[Path, HardwareConfig],
) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=0)
    ours = accelerator(directory, config, quantised)
    program = ours.program([8])
    stuck = dataclasses.replace(program.passes[1], awaits=dataclasses.replace(program.passes[1].awaits, softmax=1))
    broken = dataclasses.replace(program, passes=(program.passes[0], stuck, *program.passes[2:]))
    with pytest.raises(AebertError, match=r"deadlock: .*engine waits"):
        ours.run_program(broken, [random_residual(quantised.shape, 8, seed=0)])
