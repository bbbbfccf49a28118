"""Every single wrong value is found, and named by its layer, pass, head, token and channel."""

from __future__ import annotations

import time

import numpy as np
import pytest

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.numerics.reference import trace_encoder
from aebert.records.source_kind import SourceKind
from codegen.memory_image import Bytes, build_memory_image
from codegen.vector_order import expected_bytes, stored_passes
from host.devices.accelerator import Accelerator
from host.devices.protocol import Launch
from host.verify.compare import Mismatch, SequenceComparison, compare_sequence
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

CONFIG = HardwareConfig(
    tokens=4, out_lanes=2, in_lanes=4, max_hidden=8, max_ffn=16, max_length=8, max_groups=2, word_bytes=16
)
QUANTISED = random_quantised_encoder(random_shape(1, 8, 2, 12), seed=3)
LENGTH = 5  # the last token stands alone in its token group
RESIDUAL = random_residual(QUANTISED.shape, LENGTH, seed=4)


class HostBuffer:
    """Memory of the host alone."""

    def __init__(self, size: int) -> None:
        self.array = np.zeros(size, np.uint8)

    def to_device(self) -> None: ...

    def from_device(self) -> None: ...


class PreparedDevice:
    """A device that answers with ``answer``, whatever it is asked."""

    name = "prepared"
    source: SourceKind = "emulated"

    def __init__(self, answer: Bytes) -> None:
        self.answer = answer

    def allocate(self, port: str, size: int) -> HostBuffer:
        return HostBuffer(size)

    def launch(self, launch: Launch, deadline_s: float) -> None:
        launch.results.array[: len(self.answer)] = self.answer

    def close(self) -> None: ...


IMAGE = build_memory_image(QUANTISED, CONFIG)
ACCELERATOR = Accelerator(PreparedDevice(np.zeros(0, np.uint8)), CONFIG, QUANTISED, IMAGE)
PROGRAM = ACCELERATOR.program([LENGTH], stored="all")


@pytest.fixture(scope="module")
def right_answer() -> Bytes:
    return expected_bytes(CONFIG, PROGRAM, trace_encoder(QUANTISED, RESIDUAL), RESIDUAL)


def _compare(answer: Bytes) -> SequenceComparison:
    return compare_sequence(Accelerator(PreparedDevice(answer), CONFIG, QUANTISED, IMAGE), QUANTISED, RESIDUAL)


def test_the_references_own_answer_holds_and_everything_in_it_is_counted(right_answer: Bytes) -> None:
    began = time.perf_counter()
    found = _compare(right_answer)
    assert 0 < found.seconds <= time.perf_counter() - began
    heads, hidden, ffn = QUANTISED.shape.heads, QUANTISED.shape.hidden, QUANTISED.shape.ffn
    per_layer = LENGTH * (6 * hidden + ffn) + heads * LENGTH * LENGTH
    assert found.mismatch is None
    assert found.length == LENGTH
    assert found.passes == 1 + 6 + 2 * heads
    # Query, key, value, context, two residuals and the load; the scores of each head.
    assert found.values == LENGTH * hidden + per_layer
    assert found.seconds > 0


def test_every_coordinate_of_every_pass_is_compared_the_last_token_included(right_answer: Bytes) -> None:
    words = right_answer.view("<i2")
    seen: set[tuple[int, str, int, int, int]] = set()
    for at in range(words.size):
        changed = words.copy()
        changed[at] += 1
        mismatch = _compare(changed.view(np.uint8)).mismatch
        if mismatch is not None:
            assert mismatch.wrong_values == 1
            assert mismatch.got == mismatch.expected + 1
            seen.add((mismatch.layer, mismatch.pass_name, mismatch.head, mismatch.token, mismatch.channel))
    heads, hidden, ffn = QUANTISED.shape.heads, QUANTISED.shape.hidden, QUANTISED.shape.ffn
    sizes: dict[tuple[int, str, int], int] = {(-1, "load", -1): hidden}
    for layer in range(QUANTISED.shape.layers):
        for name in ("query", "key", "value", "attention_output", "ffn_out"):
            sizes[layer, name, -1] = hidden
        sizes[layer, "ffn_in", -1] = ffn
        for head in range(heads):
            sizes[layer, "scores", head] = LENGTH
            sizes[layer, "context", head] = hidden // heads
    expected = {
        (*step, token, channel) for step, size in sizes.items() for token in range(LENGTH) for channel in range(size)
    }
    assert seen == expected


def test_the_first_wrong_pass_is_named_and_its_wrong_values_counted(right_answer: Bytes) -> None:
    steps = [each.step for each in stored_passes(CONFIG, PROGRAM, right_answer)]
    number = next(i for i, step in enumerate(steps) if step.kind is PassKind.CONTEXT and step.head == 1)
    words = right_answer.view("<i2").copy()
    lanes = CONFIG.words_per_vector * CONFIG.word_bytes // 2
    first = lanes * sum(step.stored_vectors(CONFIG) for step in steps[:number])
    words[first:] += 1
    mismatch = _compare(words.view(np.uint8)).mismatch
    assert isinstance(mismatch, Mismatch)
    assert (mismatch.layer, mismatch.pass_name, mismatch.head, mismatch.token, mismatch.channel) == (
        0, "context", 1, 0, 0,
    )  # fmt: skip
    assert mismatch.wrong_values == LENGTH * QUANTISED.shape.head_size
    assert str(mismatch) == (
        f"layer 0, pass context, head 1, token 0, channel 0: {mismatch.got}, expected {mismatch.got - 1} "
        f"({mismatch.wrong_values} values of this pass differ)"
    )
    assert ", head" not in str(Mismatch(0, "query", -1, 1, 2, 3, 4, 5))
    assert ", head 0, token 1" in str(Mismatch(0, "scores", 0, 1, 2, 3, 4, 5))
