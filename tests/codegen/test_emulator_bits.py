"""The generated C++ computes what the integer reference computes, bit for bit, on every pass (L1 = L2)."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from aebert.design.hardware_config import HardwareConfig
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer
from aebert.numerics.reference import run_encoder, trace_encoder
from aebert.support.errors import AebertError
from codegen.memory_image import build_memory_image
from codegen.project_sources import read_sources
from codegen.toolchains.emulator import build_emulator
from host.verify.compare import compare_sequence
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import (
    random_extreme_encoder,
    random_quantised_encoder,
    random_residual,
    random_shape,
)

# The corners: one output lane and one lane per bank pair; wide and narrow memory words; DSP48E1's unchained packing;
# two-byte indices (more than 256 rows in a bank); units behind the array of half and of a quarter of its width; two and
# four engines; lanes that multiply in LUTs, whole chains of DSP slices and parts of one.
CONFIGS = {
    "alveo": HardwareConfig(
        tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=6
    ),
    "unstructured": HardwareConfig(
        tokens=32, out_lanes=1, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=4, row_slices=4
    ),
    "dies": HardwareConfig(
        tokens=32, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=6, engines=4,
        row_slices=2, word_bytes=32, lut_lanes=2,
    ),
    "two dies": HardwareConfig(
        tokens=8, out_lanes=2, in_lanes=4, max_hidden=64, max_ffn=128, max_length=64, max_groups=9, engines=2,
        lut_lanes=3,
    ),
    "zynq": HardwareConfig(
        tokens=8, out_lanes=2, in_lanes=4, max_hidden=64, max_ffn=2048, max_length=64, max_groups=12,
        dsp="DSP48E1", word_bytes=16, row_slices=2, lut_lanes=1,
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


@pytest.mark.parametrize("seed", range(4))
def test_numbers_at_the_ends_of_the_contract_are_computed_alike(kernel: tuple[Path, HardwareConfig], seed: int) -> None:
    directory, config = kernel
    quantised = random_extreme_encoder(random_shape(3, 64, 4, 128), seed, density=0.5 + 0.5 * (seed % 2))
    ours = accelerator(directory, config, quantised)
    sign = np.where(np.random.default_rng(seed).random((19, 64)) < 0.5, -1, 1)
    for residual in (random_residual(quantised.shape, 19, seed), (sign * 32767).astype(np.int16)):
        assert compare_sequence(ours, quantised, residual).mismatch is None


def test_every_number_of_gelu_and_norm_bits_is_computed_alike(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    drawn = [random_quantised_encoder(random_shape(1, 64, 4, 128), seed) for seed in range(150)]
    chosen = {(layer.gelu_fraction_bits, 0): layer for (layer,) in (each.layers for each in drawn)}
    chosen |= {(layer.ffn_norm.shift, 1): layer for (layer,) in (each.layers for each in drawn)}
    assert set(chosen) == {*((bits, 0) for bits in range(7, 15)), *((shift, 1) for shift in range(1, 16))}
    together = dataclasses.replace(
        drawn[0], shape=dataclasses.replace(drawn[0].shape, layers=len(chosen)), layers=tuple(chosen.values())
    )
    ours = accelerator(directory, config, together)
    assert compare_sequence(ours, together, random_residual(together.shape, 9, seed=1)).mismatch is None


def _with_epsilon(encoder: QuantisedEncoder, epsilon: int) -> QuantisedEncoder:
    (layer,) = encoder.layers
    norm = dataclasses.replace(layer.ffn_norm, epsilon=epsilon)
    return dataclasses.replace(encoder, layers=(dataclasses.replace(layer, ffn_norm=norm),))


@pytest.mark.parametrize("bits", [34, 40, 48])
def test_an_epsilon_beyond_32_bits_is_added_whole(kernel: tuple[Path, HardwareConfig], bits: int) -> None:
    directory, config = kernel
    drawn = (random_quantised_encoder(random_shape(1, 32, 4, 64), seed) for seed in range(500))
    quantised = next(each for each in drawn if each.layers[0].ffn_norm.epsilon >> (bits - 1) == 1)
    residual = random_residual(quantised.shape, 6, seed=2)
    whole = quantised.layers[0].ffn_norm.epsilon
    lower, upper = whole & 0xFFFFFFFF, whole >> 32 << 32
    # Each half is felt; the lower one only where the upper is small.
    output = run_encoder(quantised, residual)
    assert not np.array_equal(run_encoder(_with_epsilon(quantised, lower), residual), output)
    assert bits > 34 or not np.array_equal(run_encoder(_with_epsilon(quantised, upper), residual), output)
    assert compare_sequence(accelerator(directory, config, quantised), quantised, residual).mismatch is None


@pytest.mark.parametrize("step", [0, 1, 2000])
def test_a_residual_that_hardly_varies_is_scaled_by_the_root_of_next_to_nothing(
    kernel: tuple[Path, HardwareConfig], step: int
) -> None:
    """Variance plus epsilon from 1 on: the leading zeros of the square root are many."""
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=8)
    (layer,) = quantised.layers
    silent = dataclasses.replace(
        layer.attention_output,
        weight=np.zeros_like(layer.attention_output.weight),
        bias=np.zeros_like(layer.attention_output.bias),
    )
    norm = dataclasses.replace(layer.attention_norm, epsilon=1)
    flat = dataclasses.replace(
        quantised, layers=(dataclasses.replace(layer, attention_output=silent, attention_norm=norm),)
    )
    residual = np.zeros((3, 64), np.int16)
    residual[:, 5] = step
    assert compare_sequence(accelerator(directory, config, flat), flat, residual).mismatch is None


def test_activations_above_127_are_read_as_unsigned(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=6)
    (layer,) = quantised.layers
    bright = dataclasses.replace(quantised, layers=(dataclasses.replace(layer, gelu_zero_point=200),))
    residual = random_residual(quantised.shape, 12, seed=3)
    (trace,) = trace_encoder(bright, residual)
    assert np.mean(trace.ffn_in > 127) > 0.5
    assert compare_sequence(accelerator(directory, config, bright), bright, residual).mismatch is None


def test_one_library_runs_other_subnets_layer_counts_shapes_and_lengths(kernel: tuple[Path, HardwareConfig]) -> None:
    directory, config = kernel
    library = build_emulator(read_sources(directory))
    for seed, (layers, hidden, heads, ffn, density) in enumerate(
        [(1, 64, 2, 128, 1.0), (3, 32, 4, 64, 0.3), (2, 64, 8, 96, 0.05)]
    ):
        quantised = random_quantised_encoder(random_shape(layers, hidden, heads, ffn), seed, density)
        ours = accelerator(directory, config, quantised)
        for length in (40, 7):
            residual = random_residual(quantised.shape, length, seed)
            assert compare_sequence(ours, quantised, residual).mismatch is None
    assert build_emulator(read_sources(directory)) == library


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


def test_what_a_launch_leaves_in_a_stream_is_reported(kernel: tuple[Path, HardwareConfig]) -> None:
    """In hardware it would be the first that the next launch reads."""
    directory, config = kernel
    quantised = random_quantised_encoder(random_shape(1, 64, 4, 128), seed=0)
    image = build_memory_image(quantised, config)
    one_more = dataclasses.replace(
        image,
        weights=np.pad(image.weights, (0, config.word_bytes)),
        counts=dataclasses.replace(image.counts, tile_count=image.counts.tile_count + 1),
    )
    ours = accelerator(directory, config, quantised, one_more)
    with pytest.raises(AebertError, match="stream stored_tiles still holds 1 at the end"):
        ours.run([random_residual(quantised.shape, 8, seed=0)])


def test_parameters_that_do_not_fill_a_word_leave_none_behind(tmp_path: Path) -> None:
    """Four parameters share a word, and six channels end in the middle of one: with two input lanes that is allowed."""
    config = HardwareConfig(
        tokens=8, out_lanes=2, in_lanes=2, max_hidden=16, max_ffn=32, max_length=16, max_groups=2, dsp="DSP48E1"
    )
    directory = write_kernel(config, tmp_path)
    quantised = random_quantised_encoder(random_shape(2, 6, 1, 10), seed=1, density=0.7)
    ours = accelerator(directory, config, quantised)
    assert compare_sequence(ours, quantised, random_residual(quantised.shape, 11, seed=1)).mismatch is None
