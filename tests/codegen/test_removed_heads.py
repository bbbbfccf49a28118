"""Heads of which nothing is read are not computed: bits of all other passes, deadlocks, cycles, packed tiles."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import attention_width
from aebert.design.kernel_records import PARAMETER_BYTES, PassKind
from aebert.design.launch_cycles import time_passes
from aebert.design.program import Awaits, Pass, build_program
from aebert.design.size_arrays import Sizes
from aebert.design.workload import Workload, subnet_tiles
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import run_encoder, trace_encoder
from aebert.support.errors import AebertError
from codegen.memory_image import build_memory_image, stored_memory_image
from codegen.vector_order import expected_values
from host.verify.compare import compare_sequence, first_difference
from tests.support.closed_form import TimedKernel, predicted_cycles
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape
from tests.support.removed_heads import without_heads

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name),
    reason="no C++ compiler here",
)
PLAIN = random_shape(3, 64, 4, 96)
PADDED = random_shape(2, 104, 4, 64)  # heads of 26 channels
CONFIGS = {
    engines: HardwareConfig(
        tokens=16,
        out_lanes=4,
        in_lanes=8,
        max_hidden=attention_width(PADDED, 8),
        max_ffn=128,
        max_length=32,
        max_groups=4,
        engines=engines,
    )
    for engines in (1, 2)
}


@dataclass(frozen=True)
class Lacking:
    """What an encoder is drawn from."""

    padded: bool
    removed: tuple[frozenset[int], ...]
    pruned: bool
    seed: int
    density: float

    def encoder(self) -> QuantisedEncoder:
        shape = PADDED if self.padded else PLAIN
        whole = random_quantised_encoder(shape, self.seed, self.density)
        return without_heads(whole, self.removed[: shape.layers], pruned=self.pruned)


NONE, ALL = frozenset[int](), frozenset(range(4))
# Any heads of any layer; none and all of them more often than chance has it.
HEADS = st.frozensets(st.integers(0, 3)) | st.sampled_from([NONE, ALL])
LACKING = st.builds(
    Lacking,
    st.booleans(),
    st.tuples(HEADS, HEADS, HEADS),
    st.booleans(),
    st.integers(0, 10**6),
    st.sampled_from([0.2, 1.0]),
)


@pytest.fixture(scope="module", params=CONFIGS, ids="{} engines".format)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HardwareConfig]:
    config = CONFIGS[request.param]
    return write_kernel(config, tmp_path_factory.mktemp("removed")), config


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LACKING, st.sampled_from([1, 7, 16, 19, 32]), st.integers(0, 99))
def test_every_pass_that_is_left_is_equal(
    kernel: tuple[Path, HardwareConfig], lacking: Lacking, length: int, seed: int
) -> None:
    directory, config = kernel
    quantised = lacking.encoder()
    ours = accelerator(directory, config, quantised)
    found = compare_sequence(ours, quantised, random_residual(quantised.shape, length, seed))
    assert found.mismatch is None
    # Attention output and FFN remain; a layer without heads projects nothing.
    assert found.passes == 1 + sum(3 + (3 + 2 * len(kept) if kept else 0) for kept in quantised.kept_heads)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LACKING, st.lists(st.integers(1, 16), min_size=2, max_size=3), st.integers(0, 99))
def test_sequences_of_one_launch_lack_the_same_heads(
    kernel: tuple[Path, HardwareConfig], lacking: Lacking, lengths: list[int], seed: int
) -> None:
    directory, config = kernel
    quantised = lacking.encoder()
    residuals = [random_residual(quantised.shape, length, seed + at) for at, length in enumerate(lengths)]
    outputs = accelerator(directory, config, quantised).run(residuals)
    for residual, output in zip(residuals, outputs, strict=True):
        assert np.array_equal(output, run_encoder(quantised, residual))


@given(LACKING, st.lists(st.integers(1, 16), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_passes_await_what_they_read_and_the_closed_form_walks_them(lacking: Lacking, lengths: list[int]) -> None:
    quantised, config = lacking.encoder(), CONFIGS[1]
    program = build_program(config, quantised, lengths)
    requantised = softmax = normalised = held = keys = queries = 0
    for step in program.passes:
        results = step.outputs * step.group_count
        if step.kind is PassKind.SCORES:
            assert step.awaits == Awaits(requantise=queries, held=keys)
            softmax += -(-step.length // config.in_lanes) * config.in_lanes * step.group_count
        elif step.kind is PassKind.CONTEXT:
            scores = [each for each in program.passes[: program.passes.index(step)] if each.kind is PassKind.SCORES]
            own = next(at for at, each in enumerate(scores) if _place(each) == _place(step))
            done = sum(-(-each.length // config.in_lanes) * each.group_count for each in scores[: own + 1])
            assert step.awaits == Awaits(softmax=done * config.in_lanes, held=held)
            requantised += results
        elif step.kind in (PassKind.LOAD, PassKind.RESIDUAL):
            assert step.kind is PassKind.LOAD or step.awaits == Awaits(requantise=requantised)
            normalised += results
        elif step.kind is PassKind.END:
            assert step.awaits == Awaits(requantised, softmax, normalised, held)
        else:
            assert step.awaits == Awaits(layer_norm=normalised)
            held += results if step.name in ("key", "value") else 0
            requantised += 0 if step.name in ("key", "value") else results
            queries = requantised if step.name == "query" else queries
            keys = held if step.name == "key" else keys
    walked = time_passes(Sizes.of(config), Workload(quantised.shape, subnet_tiles(quantised), tuple(lengths)))
    matmuls = [step for step in program.passes if step.kind not in (PassKind.LOAD, PassKind.END)]
    assert [(each.name, each.layer, each.vectors[0]) for each in walked if each.name not in OTHER] == [
        (step.name, step.layer, step.outputs * step.group_count) for step in matmuls
    ]


OTHER = ("load", "layer_norm", "store")


def _place(step: Pass) -> tuple[int, int, int]:
    return step.layer, step.sequence, step.head


@pytest.fixture(scope="module", params=CONFIGS, ids="{} engines".format)
def timed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TimedKernel:
    return TimedKernel.write(tmp_path_factory.mktemp("timed"), CONFIGS[request.param])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LACKING, st.lists(st.integers(1, 16), min_size=1, max_size=3))
def test_predicted_cycles_are_within_two_percent_of_timed_emulation_which_ends(
    timed: TimedKernel, lacking: Lacking, lengths: list[int]
) -> None:
    quantised = lacking.encoder()
    cycles = timed.cycles(quantised, tuple(lengths))
    assert predicted_cycles(timed.config, quantised, tuple(lengths)) == pytest.approx(cycles, rel=0.02)


@pytest.mark.parametrize("pruned", [False, True])
def test_each_head_that_is_removed_saves_cycles(timed: TimedKernel, pruned: bool) -> None:
    whole = random_quantised_encoder(PLAIN, seed=4, density=0.5)
    before = timed.cycles(whole, (32, 30))
    for removed in ({2}, {0, 2}, {0, 2, 3}, {0, 1, 2, 3}):
        after = timed.cycles(without_heads(whole, [removed, NONE, NONE], pruned=pruned), (32, 30))
        # Scores and context of a head have as many steps: two row groups of values or eight of keys, and two sequences.
        assert before - after > 2 * 2 * 2 * 4 * 4
        before = after


@given(LACKING)
@settings(max_examples=20, deadline=None)
def test_the_packed_tiles_are_those_that_are_counted_and_read_back(lacking: Lacking) -> None:
    quantised, config = lacking.encoder(), CONFIGS[1]
    image = build_memory_image(quantised, config)
    counted = subnet_tiles(quantised)
    assert np.array_equal(counted(Sizes.of(config))[:, :, 0], image.tiles)
    assert counted.heads == tuple(map(len, quantised.kept_heads))
    read = stored_memory_image(image.weights, image.indices, image.parameters, image.counts, quantised, config)
    assert read.tiles == image.tiles
    assert read.parameter_words == image.parameter_words
    assert len(image.parameters) == sum(
        -(-channels * PARAMETER_BYTES // config.word_bytes) * config.word_bytes
        for step in build_program(config, quantised, [1]).passes
        for channels in _parameter_blocks(step)
    )


def _parameter_blocks(step: Pass) -> list[int]:
    """Channels of the blocks of constants that the kernel reads for a pass."""
    of_matmul = [] if step.kind in (PassKind.LOAD, PassKind.SCORES, PassKind.END) else [step.outputs]
    of_norm = [step.outputs] if step.kind in (PassKind.LOAD, PassKind.RESIDUAL) else []
    return of_matmul + of_norm


def test_memory_that_holds_removed_heads_is_refused() -> None:
    """Of a project that was generated before heads were removed from programs."""
    config = CONFIGS[1]
    whole = random_quantised_encoder(PLAIN, seed=5, density=0.5)
    image = build_memory_image(whole, config)
    for removed in ([{1}, NONE, NONE], [NONE, NONE, ALL]):
        quantised = without_heads(whole, removed)
        with pytest.raises(AebertError, match=r"index stream: .*generate (the project )?again"):
            stored_memory_image(image.weights, image.indices, image.parameters, image.counts, quantised, config)


def test_a_difference_in_a_projection_names_the_models_channel() -> None:
    quantised = without_heads(random_quantised_encoder(PLAIN, seed=6), [{0, 2}, NONE, NONE])
    step = build_program(CONFIGS[1], quantised, [3]).passes[1]
    residual = random_residual(PLAIN, 3, seed=1)
    expected = expected_values(step, trace_encoder(quantised, residual), residual)
    got = expected.copy()
    got[2, 16] += 1
    mismatch = first_difference(step, got, expected)
    assert (mismatch.pass_name, mismatch.token, mismatch.channel) == ("query", 2, 3 * 16)
