"""Golden vectors say what was launched and what must come back, in the order in which the kernel stores it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.numerics.reference import trace_encoder
from aebert.support.errors import AebertError
from codegen.golden_vectors import golden_files, memory_files, port_depths
from codegen.memory_image import build_memory_image
from codegen.vector_order import (
    expected_bytes,
    expected_values,
    input_bytes,
    lanes_in_order,
    output_size,
    split_output,
    stored_passes,
)
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape
from tests.support.small_project import golden_vector

CONFIG = HardwareConfig(tokens=8, out_lanes=2, in_lanes=4, max_hidden=24, max_ffn=40, max_length=16, max_groups=4)
QUANTISED = random_quantised_encoder(random_shape(2, 16, 2, 36), seed=1, density=0.4)
IMAGE = build_memory_image(QUANTISED, CONFIG)
LENGTHS = (3, 11)
VECTOR = golden_vector(CONFIG, QUANTISED, "two", LENGTHS, seed=5)
RESIDUALS = [random_residual(QUANTISED.shape, length, 5 + number) for number, length in enumerate(LENGTHS)]


def test_an_index_lists_counts_tokens_and_stored_passes() -> None:
    one = golden_vector(CONFIG, QUANTISED, "one", (16,), seed=2)
    files = golden_files(CONFIG, IMAGE, [VECTOR, one])
    lines = files["golden/index.txt"].decode().splitlines()
    counts = IMAGE.counts
    assert lines[:3] == [
        "aebert-golden 2",
        "vectors 2",
        f"vector {VECTOR.name} passes {len(VECTOR.program.passes)} groups {VECTOR.program.groups} "
        f"tiles {counts.tile_count} index_words {counts.index_word_count}",
    ]
    stored = [step for step in VECTOR.program.passes if step.store]
    # Sequences begin on a token group of their own: 3 tokens, then 8 and 3.
    assert lines[3] == "tokens 3 tokens 8 tokens 3"
    assert lines[4] == f"stored {len(stored)}"
    assert lines[5] == "pass load layer -1 head -1 sequence -1 first_group 0 groups 3 channels 16 lanes 1"
    scores = next(i for i, step in enumerate(stored) if step.kind is PassKind.SCORES and step.sequence == 1)
    assert lines[5 + scores] == ("pass scores layer 0 head 0 sequence 1 first_group 1 groups 2 channels 12 lanes 2")
    second = 5 + len(stored)
    assert lines[second : second + 2] == [
        f"vector one passes {len(one.program.passes)} groups 2 "
        f"tiles {counts.tile_count} index_words {counts.index_word_count}",
        "tokens 8 tokens 8",
    ]
    assert len(lines) == second + 3 + sum(step.store for step in one.program.passes)
    assert files["golden/index.txt"].endswith(b"\n")


def test_a_ports_depth_is_the_words_of_the_largest_vector_the_last_begun_too() -> None:
    one = golden_vector(CONFIG, QUANTISED, "one", (1,), seed=2)
    word = CONFIG.word_bytes

    def bytes_of(words: int, more: int) -> npt.NDArray[np.uint8]:
        return np.zeros(words * word + more, np.uint8)

    image = replace(IMAGE, weights=bytes_of(3, 0), indices=bytes_of(3, 1), parameters=bytes_of(0, 0))
    depths = port_depths(CONFIG, image, [one, VECTOR])
    assert (depths["weights"], depths["indices"], depths["parameters"]) == (3, 4, 1)
    assert depths["pass_table"] * word == len(VECTOR.program.passes) * 64
    assert depths["embeddings"] * word == len(VECTOR.input)
    assert depths["results"] * word == len(VECTOR.expected)
    assert set(port_depths(CONFIG, image, []).values()) == {3, 4, 1}


def test_files_hold_program_input_and_expected_output_as_they_are() -> None:
    files = golden_files(CONFIG, IMAGE, [VECTOR])
    assert set(files) == {"golden/index.txt", *(f"golden/two/{name}.bin" for name in ("program", "input", "expected"))}
    assert files["golden/two/program.bin"] == IMAGE.program_bytes(VECTOR.program).tobytes()
    assert files["golden/two/input.bin"] == VECTOR.input.tobytes()
    assert files["golden/two/expected.bin"] == VECTOR.expected.tobytes()
    memory = memory_files(IMAGE)
    assert memory == {
        f"memory/{name}.bin": getattr(IMAGE, name).tobytes() for name in ("weights", "indices", "parameters")
    }


@pytest.mark.parametrize("name", ["", "Up", "../up", "-x", "a" * 65, "a\n", "a/b"])
def test_a_name_that_is_no_plain_folder_is_refused(name: str) -> None:
    with pytest.raises(AebertError, match="use lower-case letters, digits, - and _"):
        golden_files(CONFIG, IMAGE, [replace(VECTOR, name=name)])


def test_a_name_given_twice_and_an_output_of_another_size_are_refused() -> None:
    golden_files(CONFIG, IMAGE, [replace(VECTOR, name="a" * 64)])
    with pytest.raises(AebertError, match="'two': the name is given twice; rename one"):
        golden_files(CONFIG, IMAGE, [VECTOR, replace(VECTOR, name="other"), VECTOR])
    size = output_size(CONFIG, VECTOR.program)
    for wrong in (VECTOR.expected[:-1], np.append(VECTOR.expected, np.uint8(0))):
        with pytest.raises(AebertError, match=f"has {len(wrong)} bytes, its program stores {size}; compute it"):
            golden_files(CONFIG, IMAGE, [replace(VECTOR, expected=wrong)])


def test_the_input_is_by_channel_token_group_and_token() -> None:
    packed = input_bytes(CONFIG, VECTOR.program, RESIDUALS).view("<i2").reshape(16, 3, 32)
    for channel in range(16):
        np.testing.assert_array_equal(packed[channel, 0, :3], RESIDUALS[0][:, channel])
        np.testing.assert_array_equal(packed[channel, 1, :8], RESIDUALS[1][:8, channel])
        np.testing.assert_array_equal(packed[channel, 2, :3], RESIDUALS[1][8:, channel])
    assert not packed[:, 0, 3:].any()
    assert not packed[:, :, 8:].any()
    assert not packed[:, 2, 3:].any()


def test_stored_passes_are_read_back_in_program_order() -> None:
    assert output_size(CONFIG, VECTOR.program) == len(VECTOR.expected)
    passes = stored_passes(CONFIG, VECTOR.program, VECTOR.expected)
    assert [each.step for each in passes] == [step for step in VECTOR.program.passes if step.store]
    traces = [list(trace_encoder(QUANTISED, residual)) for residual in RESIDUALS]
    for each in passes:
        sequences = range(2) if each.step.sequence == -1 else [each.step.sequence]
        first = 0
        for number in sequences:
            wanted = expected_values(each.step, traces[number], RESIDUALS[number])
            got = each.values[first : first + LENGTHS[number], : wanted.shape[1]]
            np.testing.assert_array_equal(got, wanted, err_msg=each.step.name)
            first += CONFIG.groups(LENGTHS[number]) * CONFIG.tokens
        assert len(each.values) == first


def test_the_bytes_expected_of_one_sequence_are_those_of_its_golden_vector() -> None:
    one = golden_vector(CONFIG, QUANTISED, "one", (11,), seed=9)
    residual = random_residual(QUANTISED.shape, 11, 9)
    traces = trace_encoder(QUANTISED, residual)
    np.testing.assert_array_equal(expected_bytes(CONFIG, one.program, traces, residual), one.expected)


def test_the_last_residual_is_cut_into_its_sequences_without_padding() -> None:
    passes = stored_passes(CONFIG, VECTOR.program, VECTOR.expected)
    pieces = split_output(CONFIG, VECTOR.program, passes[-1].values)
    assert [len(piece) for piece in pieces] == list(LENGTHS)
    for residual, piece in zip(RESIDUALS, pieces, strict=True):
        np.testing.assert_array_equal(piece, trace_encoder(QUANTISED, residual)[-1].ffn_out)


def test_layer_norms_come_channel_by_channel_all_else_in_the_engines_order() -> None:
    lanes = {step.kind: lanes_in_order(CONFIG, step) for step in VECTOR.program.passes}
    assert lanes.pop(PassKind.LOAD) == lanes.pop(PassKind.RESIDUAL) == 1
    assert set(lanes.values()) == {2}
