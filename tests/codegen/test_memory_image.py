"""The memory image is what the kernel reads: every weight, constant and pass at its place, in whole words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PARAMETERS
from aebert.design.program import build_program
from aebert.models.encoder import MATRIX_NAMES
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayerNorm, QuantisedLinear, Requantiser
from aebert.support.errors import AebertError
from codegen.memory_image import (
    build_memory_image,
    join_images,
    matrix_image,
    stored_memory_image,
)
from codegen.packing import PackedMatrix, index_words, pack_matrix, unpack_matrix
from tests.support.random_quantised import random_quantised_encoder, random_shape

CONFIG = HardwareConfig(tokens=8, out_lanes=2, in_lanes=4, max_hidden=24, max_ffn=40, max_length=16, max_groups=3)
QUANTISED = random_quantised_encoder(random_shape(2, 24, 2, 36), seed=1, density=0.4)
IMAGE = build_memory_image(QUANTISED, CONFIG)
# Pass, struct Pass of templates/kernel/types.h.j2: bytes and signedness of its fields in their order.
PASS_FIELDS = (("<i2", 6), ("<i4", 9), ("<u4", 3), ("<i4", 1))


def _block(layer: int, name: str, head: int, channels: int, after: int = 0) -> np.ndarray:
    """``channels`` parameters of a block, ``after`` words behind its first."""
    start = (IMAGE.parameter_words[layer, name, head] + after) * CONFIG.word_bytes
    return IMAGE.parameters[start : start + channels * PARAMETERS.dtype.itemsize].view(PARAMETERS.dtype)


def _words(channels: int) -> int:
    return -(-channels * PARAMETERS.dtype.itemsize // CONFIG.word_bytes)


def _assert_requantises(block: np.ndarray, requantiser: Requantiser) -> None:
    np.testing.assert_array_equal(block["multiplier"], requantiser.multiplier)
    np.testing.assert_array_equal(block["shift"], requantiser.shift)
    assert not block["padding"].any()


def _assert_matmul(block: np.ndarray, linear: QuantisedLinear, second: Requantiser | None = None) -> None:
    _assert_requantises(block, linear.requantiser)
    np.testing.assert_array_equal(block["bias_or_gain"], linear.bias)
    assert not block["offset"].any()
    np.testing.assert_array_equal(block["second_multiplier"], 0 if second is None else second.multiplier)
    np.testing.assert_array_equal(block["second_shift"], 0 if second is None else second.shift)


def _assert_norm(block: np.ndarray, norm: QuantisedLayerNorm) -> None:
    _assert_requantises(block, norm.requantiser)
    np.testing.assert_array_equal(block["bias_or_gain"], norm.gain)
    np.testing.assert_array_equal(block["offset"], norm.offset)


def test_every_constant_stands_in_the_block_of_its_pass() -> None:
    hidden, size = QUANTISED.shape.hidden, QUANTISED.shape.head_size
    _assert_requantises(_block(-1, "load", -1, hidden), QUANTISED.input_requantiser)
    for number, layer in enumerate(QUANTISED.layers):
        for name in ("query", "key", "value"):
            _assert_matmul(_block(number, name, -1, hidden), layer.matrix(name))  # type: ignore[arg-type]
        for head in range(QUANTISED.shape.heads):
            block = _block(number, "context", head, size)
            np.testing.assert_array_equal(block["multiplier"], layer.context.multiplier[head * size :][:size])
            np.testing.assert_array_equal(block["shift"], layer.context.shift[head * size :][:size])
            assert not block["bias_or_gain"].any()
        _assert_matmul(_block(number, "ffn_in", -1, QUANTISED.shape.ffn), layer.ffn_in, layer.gelu)
        for name, norm in (("attention_output", layer.attention_norm), ("ffn_out", layer.ffn_norm)):
            _assert_matmul(_block(number, name, -1, hidden), layer.matrix(name))  # type: ignore[arg-type]
            _assert_norm(_block(number, name, -1, hidden, after=_words(hidden)), norm)


def test_blocks_follow_one_another_in_program_order_and_fill_whole_words() -> None:
    hidden, heads = QUANTISED.shape.hidden, QUANTISED.shape.heads
    sizes = {"load": [hidden], "ffn_in": [QUANTISED.shape.ffn], "context": [QUANTISED.shape.head_size]}
    sizes |= {name: [hidden] for name in ("query", "key", "value")}
    sizes |= {name: [hidden, hidden] for name in ("attention_output", "ffn_out")}
    words = IMAGE.parameter_words
    order = list(words)
    for before, after in pairwise(order):
        assert words[after] - words[before] == sum(_words(channels) for channels in sizes[before[1]])
    assert words[order[0]] == 0
    last = words[order[-1]] + sum(_words(channels) for channels in sizes[order[-1][1]])
    assert len(IMAGE.parameters) == last * CONFIG.word_bytes
    assert len(words) == 1 + 2 * (3 + heads + 3)


def pack(quantised: QuantisedEncoder) -> list[list[PackedMatrix]]:
    """Every matrix, layer by layer in the order of MATRIX_NAMES, packed by itself."""
    lanes = CONFIG.out_lanes, CONFIG.in_lanes
    return [[pack_matrix(layer.matrix(name).weight, *lanes) for name in MATRIX_NAMES] for layer in quantised.layers]


def test_weights_and_indices_are_those_of_the_matrices_in_order() -> None:
    packed = [matrix for layer in pack(QUANTISED) for matrix in layer]
    tiles = sum(matrix.tiles for matrix in packed)
    assert IMAGE.counts.tile_count == tiles
    assert IMAGE.counts.index_word_count * CONFIG.word_bytes == len(IMAGE.indices)
    assert len(IMAGE.weights) % CONFIG.word_bytes == 0
    assert 0 <= len(IMAGE.weights) - tiles * 8 < CONFIG.word_bytes
    at, index_at = 0, 0
    for number, matrix in enumerate(packed):
        own = IMAGE.weights[at : at + matrix.weights.size].view(np.int8).reshape(matrix.weights.shape)
        linear = QUANTISED.layers[number // 6].matrix(MATRIX_NAMES[number % 6])
        unpacked = unpack_matrix(replace(matrix, weights=own), linear.weight.shape[1])
        np.testing.assert_array_equal(unpacked, linear.weight)
        at += own.size
        words = index_words(matrix, CONFIG).reshape(-1)
        np.testing.assert_array_equal(IMAGE.indices[index_at : index_at + len(words)], words)
        index_at += len(words)
    assert index_at == len(IMAGE.indices)
    assert not IMAGE.weights[at:].any()


def test_joined_and_stored_images_are_the_built_one() -> None:
    shape = QUANTISED.shape
    heads = range(shape.heads)
    matrices = [
        matrix_image(layer.matrix(name), name, shape, CONFIG, heads)
        for layer in QUANTISED.layers
        for name in MATRIX_NAMES
    ]
    stored = stored_memory_image(IMAGE.weights, IMAGE.indices, IMAGE.parameters, IMAGE.counts, QUANTISED, CONFIG)
    for again in (join_images(matrices, QUANTISED, CONFIG), stored):
        for field in ("weights", "indices", "parameters"):
            np.testing.assert_array_equal(getattr(again, field), getattr(IMAGE, field))
        assert again.parameter_words == IMAGE.parameter_words
        assert again.counts == IMAGE.counts


def test_tiles_are_counted_by_layer_and_matrix() -> None:
    packed = pack(QUANTISED)
    assert IMAGE.tiles == tuple(tuple(matrix.tiles for matrix in layer) for layer in packed)
    assert IMAGE.tiles[1][MATRIX_NAMES.index("ffn_out")] != IMAGE.tiles[0][MATRIX_NAMES.index("query")]


def test_a_pass_is_64_bytes_with_its_fields_in_the_order_of_the_struct() -> None:
    program = build_program(CONFIG, QUANTISED, [11], stored="layers")
    table = IMAGE.program_bytes(program)
    assert len(table) == 64 * len(program.passes)
    for step, row in zip(program.passes, table.reshape(-1, 64), strict=True):
        values: list[int] = []
        at = 0
        for dtype, count in PASS_FIELDS:
            size = np.dtype(dtype).itemsize * count
            values += row[at : at + size].view(dtype).tolist()
            at += size
        assert at == 64
        key = (step.layer, step.name, step.head)
        assert values == [
            step.kind, step.store + 2 * step.unsigned_operands, step.first_group, step.group_count, step.length,
            step.buffer, step.outputs, step.tiles, step.source, step.weight_base, step.destination,
            step.awaits.requantise, step.awaits.softmax, step.awaits.layer_norm, step.awaits.held,
            *step.scalars, IMAGE.parameter_words.get(key, 0),
        ]  # fmt: skip
    flags = {(step.name, step.store + 2 * step.unsigned_operands) for step in program.passes}
    assert {("ffn_out", 3), ("context", 2), ("query", 0), ("attention_output", 1)} <= flags


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (random_shape(1, 32, 2, 36), "hidden = 32 exceeds the design's 24"),
        (random_shape(1, 24, 2, 44), "ffn = 44 exceeds the design's 40"),
        (random_shape(1, 24, 3, 38), "ffn = 38 must be a multiple of in_lanes = 4"),
        (random_shape(1, 24, 4, 36), "4 heads of 6 take 32 channels on in_lanes = 4"),
    ],
)
def test_an_encoder_that_the_design_does_not_hold_is_refused_by_packer_and_image(shape: object, message: str) -> None:
    large = random_quantised_encoder(shape, seed=0)  # type: ignore[arg-type]
    with pytest.raises(AebertError, match=message):
        build_memory_image(large, CONFIG)
    with pytest.raises(AebertError, match=message):
        join_images([], large, CONFIG)


def test_a_matrix_that_is_not_whole_tiles_is_refused() -> None:
    (layer, _) = QUANTISED.layers
    ragged = replace(layer.query, weight=layer.query.weight[:23])
    with pytest.raises(AebertError, match="weight matrix 23x24: must be whole tiles of 2 x 4"):
        matrix_image(ragged, "ffn_in", QUANTISED.shape, CONFIG, ())
    for shape in ((22, 22), (23, 24)):
        with pytest.raises(AebertError, match="must be whole tiles"):
            pack_matrix(np.zeros(shape, np.int8), 2, 4)
