"""Heads of 26 channels on lanes of 4 and 8: every pass's bits, the packed tiles, and the cycles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import attention_width
from aebert.design.size_arrays import Sizes
from aebert.design.workload import weight_tiles
from aebert.models.encoder import MATRIX_NAMES
from codegen.memory_image import build_memory_image, stored_memory_image
from host.verify.compare import compare_sequence
from tests.support.closed_form import TimedKernel, predicted_cycles
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name),
    reason="no C++ compiler here",
)
SHAPE = random_shape(2, 104, 4, 64)


def _config(in_lanes: int) -> HardwareConfig:
    return HardwareConfig(
        tokens=16,
        out_lanes=4,
        in_lanes=in_lanes,
        max_hidden=attention_width(SHAPE, in_lanes),
        max_ffn=128,
        max_length=32,
        max_groups=3,
    )


@pytest.fixture(scope="module", params=[4, 8])
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HardwareConfig]:
    config = _config(request.param)
    return write_kernel(config, tmp_path_factory.mktemp("padded")), config


@pytest.mark.parametrize("length", [32, 19, 1])
@pytest.mark.parametrize("density", [1.0, 0.4])
def test_every_pass_is_equal_whether_heads_are_padded_or_not(
    kernel: tuple[Path, HardwareConfig], length: int, density: float
) -> None:
    directory, config = kernel
    for shape in (SHAPE, random_shape(1, 64, 4, 128)):
        quantised = random_quantised_encoder(shape, seed=length, density=density)
        ours = accelerator(directory, config, quantised)
        found = compare_sequence(ours, quantised, random_residual(shape, length, seed=1))
        assert found.mismatch is None
        assert found.passes == 1 + shape.layers * (6 + 2 * shape.heads)


@pytest.mark.parametrize("in_lanes", [4, 8])
def test_the_packed_tiles_are_those_that_are_counted(in_lanes: int) -> None:
    config = _config(in_lanes)
    quantised = random_quantised_encoder(SHAPE, seed=2, density=0.2)
    image = build_memory_image(quantised, config)
    layers = [[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in quantised.layers]
    assert np.array_equal(weight_tiles(SHAPE, layers)(Sizes.of(config))[:, :, 0], image.tiles)
    read = stored_memory_image(image.weights, image.indices, image.parameters, image.counts, quantised, config)
    assert read.tiles == image.tiles
    assert read.parameter_words == image.parameter_words


@pytest.mark.parametrize("lengths", [(32,), (20, 9)], ids=str)
def test_predicted_cycles_are_within_two_percent_of_timed_emulation(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    config = _config(8)
    quantised = random_quantised_encoder(SHAPE, seed=1, density=0.5)
    cycles = TimedKernel.write(tmp_path, config).cycles(quantised, lengths)
    assert predicted_cycles(config, quantised, lengths) == pytest.approx(cycles, rel=0.02)
