"""Another subnet on the same design: only weights, indices and parameters change, and the answers are that subnet's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aebert.models import load_encoder, make_encoder
from aebert.models.encoder import Encoder, LayerNorm
from aebert.models.host_model import load_host_model
from aebert.numerics.reference import run_encoder
from aebert.pruning.prune import prune_encoder
from aebert.pruning.zero_patterns import parse_pattern
from aebert.quantisation.fixed_scales import FixedScales
from aebert.quantisation.quantise import quantise_with_scales
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.support.errors import AebertError
from codegen.memory_image import build_memory_image
from codegen.project import Project
from codegen.subnet_images import SubnetImages
from host.devices.accelerator import RESIDENT_PORTS, Accelerator
from host.devices.open import open_accelerator
from host.measure import random_residuals
from tests.support.projects import CALIBRATION
from tests.support.random_quantised import random_quantised_encoder, random_shape

pytest_plugins = ["tests.support.host_fixtures"]

PATTERN = parse_pattern("vector:2x1")


@pytest.fixture(scope="module")
def encoder(tiny_project: Project) -> Encoder:
    return load_encoder(tiny_project.model_directory)


@pytest.fixture(scope="module")
def scales(tiny_project: Project, encoder: Encoder) -> FixedScales:
    model = load_host_model(tiny_project.model_directory)
    embedded = model.embed_texts(model.tokenise(CALIBRATION))
    return FixedScales.of(encoder, quantise_with_scales(encoder, embedded, QuantisationConfig(correct_bias=False)))


def test_the_calibrated_encoder_itself_comes_out_as_the_quantiser_made_it(
    encoder: Encoder, scales: FixedScales
) -> None:
    assert scales.quantise(encoder).digest == scales.calibrated.digest


def test_zeros_of_a_subnet_stay_zeros_and_nothing_else_becomes_zero_as_a_whole(
    encoder: Encoder, scales: FixedScales
) -> None:
    pruned = prune_encoder(encoder, PATTERN, 0.5)
    quantised = scales.quantise(pruned.encoder)
    assert quantised.subnet_digest == pruned.encoder.digest
    for layer, name, linear in pruned.encoder.matrices():
        weight = quantised.layers[layer].matrix(name).weight
        assert not weight[linear.weight == 0].any()
        assert np.count_nonzero(weight) > 0.95 * np.count_nonzero(linear.weight)


def test_images_of_many_subnets_are_those_that_each_has_alone(
    tiny_project: Project, encoder: Encoder, scales: FixedScales
) -> None:
    config = tiny_project.manifest.config
    # Room for two or three matrices, so that most are forgotten and made again.
    for cache_bytes in (10_000, 1 << 30):
        images = SubnetImages(scales, config, cache_bytes)
        for ratio in (0.25, 0.5, 0.25, 0.75, 0.5):
            quantised, image = images.encode(prune_encoder(encoder, PATTERN, ratio).encoder)
            alone = build_memory_image(quantised, config)
            for port in RESIDENT_PORTS:
                assert np.array_equal(getattr(image, port), getattr(alone, port))
            assert (image.counts, image.parameter_words) == (alone.counts, alone.parameter_words)


@pytest.mark.parametrize("device", ["emulator", "pynq-emulator:2"])
def test_an_open_device_runs_subnet_after_subnet_bit_for_bit(
    tiny_project: Project, encoder: Encoder, scales: FixedScales, device: str
) -> None:
    images = SubnetImages(scales, tiny_project.manifest.config)
    residuals = random_residuals(tiny_project.quantised.shape, [5, 17])
    with open_accelerator(tiny_project, device, known_answer=True) as accelerator:
        for ratio in (0.5, 0.0, 0.75, 0.25):
            quantised, image = images.encode(prune_encoder(encoder, PATTERN, ratio).encoder)
            accelerator.load(quantised, image)
            accelerator.check_resident()
            for residual, output in zip(residuals, accelerator.run(residuals), strict=True):
                assert np.array_equal(output, run_encoder(quantised, residual))
        accelerator.load(tiny_project.quantised, tiny_project.image)
        (output,) = accelerator.run(residuals[:1])
        assert np.array_equal(output, run_encoder(tiny_project.quantised, residuals[0]))


def test_a_subnet_of_other_depth_and_width_runs_if_it_fits_and_is_refused_if_not(tiny_project: Project) -> None:
    config = tiny_project.manifest.config

    def load(accelerator: Accelerator, layers: int, hidden: int) -> None:
        quantised = random_quantised_encoder(random_shape(layers, hidden, 2, 64), seed=3, density=0.5)
        accelerator.load(quantised, build_memory_image(quantised, replace(config, max_hidden=64)))

    with open_accelerator(tiny_project, "emulator") as accelerator:
        load(accelerator, 3, 16)
        with pytest.raises(AebertError, match="hidden = 64 exceeds the design's 32; generate a larger design"):
            load(accelerator, 2, 64)
        # The one before is still resident.
        accelerator.check_resident()
        accelerator.run([np.ones((4, 16), np.int16)])


def test_a_launch_prepared_for_the_subnet_before_is_not_run_on_the_next(tiny_project: Project) -> None:
    with open_accelerator(tiny_project, "emulator") as accelerator:
        prepared = accelerator.prepare(accelerator.program([3]), random_residuals(tiny_project.quantised.shape, [3]))
        image = build_memory_image(tiny_project.quantised, tiny_project.manifest.config)
        accelerator.load(tiny_project.quantised, image)
        with pytest.raises(AebertError, match="subnet that is not resident any more; prepare it again"):
            accelerator.execute(prepared)


def test_a_fine_tuned_subnet_needs_scales_of_its_own(encoder: Encoder, scales: FixedScales) -> None:
    norm = encoder.layers[1].ffn_norm
    changed = replace(encoder.layers[1], ffn_norm=LayerNorm(norm.gamma * 1.5, norm.beta))
    tuned = make_encoder(encoder.shape, [encoder.layers[0], changed])
    with pytest.raises(AebertError, match="a LayerNorm of layer 1 is not the project's, so it was fine-tuned"):
        scales.quantise(tuned)


def test_a_launch_that_never_ends_is_killed_and_the_emulator_says_so(tiny_project: Project) -> None:
    from host.devices.faults import DeadlineExceededError, DeviceFault
    from host.emulated.board_process import Fault
    from host.emulated.emulator import EmulatorDevice

    with open_accelerator(tiny_project, "emulator", deadline_s=1.0) as accelerator:
        assert isinstance(accelerator.device, EmulatorDevice)
        accelerator.device.inject(Fault("hang", after=1))
        residuals = random_residuals(tiny_project.quantised.shape, [3])
        accelerator.run(residuals)
        with pytest.raises(DeadlineExceededError, match="emulator: the kernel was not done within 1 s"):
            accelerator.run(residuals)
        with pytest.raises(DeviceFault, match="its process was killed; open the device again"):
            accelerator.run(residuals)


@pytest.mark.parametrize("kind", ["die", "lost_start", "lost_done"])
def test_a_launch_that_is_lost_in_the_emulator_is_named(tiny_project: Project, kind: str) -> None:
    from host.devices.faults import DeviceFault
    from host.emulated.board_process import Fault
    from host.emulated.emulator import EmulatorDevice

    with open_accelerator(tiny_project, "emulator") as accelerator:
        assert isinstance(accelerator.device, EmulatorDevice)
        accelerator.device.inject(Fault(kind))  # type: ignore[arg-type]  # parametrised
        with pytest.raises(DeviceFault, match=r"emulator: (its )?(process died \(signal 9\)|the kernel is idle)"):
            accelerator.run(random_residuals(tiny_project.quantised.shape, [3]))
