"""The packer keeps every weight, stores no zero vector it need not, and its streams say where each weight belongs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.design.hardware_config import HardwareConfig
from aebert.models.encoder import MATRIX_NAMES
from aebert.support.errors import AebertError
from codegen.memory_image import build_memory_image
from codegen.packing import index_words, pack_matrix, read_tile_counts, unpack_matrix
from tests.support.random_quantised import random_quantised_encoder, random_shape


@st.composite
def sparse_matrices(draw: st.DrawFn) -> tuple[npt.NDArray[np.int8], int, int]:
    out_lanes = draw(st.sampled_from((1, 2, 4, 8)))
    in_lanes = draw(st.sampled_from((4, 8, 16)))
    rows = draw(st.integers(1, 5)) * out_lanes
    columns = draw(st.integers(1, 5)) * in_lanes
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = generator.integers(-127, 128, (rows, columns)).astype(np.int8)
    weight[generator.random(weight.shape) < draw(st.floats(0.0, 1.0))] = 0
    return weight, out_lanes, in_lanes


@given(sparse_matrices())
def test_unpacking_gives_back_every_weight(case: tuple[npt.NDArray[np.int8], int, int]) -> None:
    weight, out_lanes, in_lanes = case
    assert np.array_equal(unpack_matrix(pack_matrix(weight, out_lanes, in_lanes), weight.shape[1]), weight)


@given(sparse_matrices())
def test_a_row_group_takes_as_many_tiles_as_its_fullest_bank(case: tuple[npt.NDArray[np.int8], int, int]) -> None:
    weight, out_lanes, in_lanes = case
    packed = pack_matrix(weight, out_lanes, in_lanes)
    for number, count in enumerate(packed.counts):
        group = weight[number * out_lanes : (number + 1) * out_lanes]
        fullest = max(int(group[:, bank::in_lanes].any(axis=0).sum()) for bank in range(in_lanes))
        assert count == max(fullest, 1)


def test_a_bank_balanced_matrix_stores_exactly_its_nonzero_vectors() -> None:
    out_lanes, in_lanes, kept = 4, 8, 3
    generator = np.random.default_rng(0)
    weight = np.zeros((32, 64), np.int8)
    for group in range(0, 32, out_lanes):
        for bank in range(in_lanes):
            rows = generator.choice(64 // in_lanes, kept, replace=False)
            weight[group : group + out_lanes, rows * in_lanes + bank] = generator.integers(1, 128, (out_lanes, kept))
    packed = pack_matrix(weight, out_lanes, in_lanes)
    assert packed.weights.size == np.count_nonzero(weight)


def test_sizes_that_are_not_whole_tiles_are_refused() -> None:
    with pytest.raises(AebertError, match="whole tiles of 4 x 8"):
        pack_matrix(np.zeros((6, 16), np.int8), 4, 8)


def _config(word_bytes: int, ffn: int) -> HardwareConfig:
    return HardwareConfig(
        tokens=16,
        out_lanes=2,
        in_lanes=4,
        max_hidden=64,
        max_ffn=ffn,
        max_length=16,
        max_groups=1,
        word_bytes=word_bytes,
    )


@pytest.mark.parametrize(("word_bytes", "ffn"), [(64, 256), (16, 256), (64, 2048), (16, 2048)])
def test_the_index_stream_can_be_read_back(word_bytes: int, ffn: int) -> None:
    """As the kernel reads it: a header, then as many tiles' rows as its counts add up to, in whole words."""
    config = _config(word_bytes, ffn)
    generator = np.random.default_rng(1)
    weight = generator.integers(-127, 128, (100, ffn)).astype(np.int8)
    weight[generator.random(weight.shape) < 0.7] = 0
    packed = pack_matrix(weight, config.out_lanes, config.in_lanes)
    words = index_words(packed, config)
    counts: list[int] = []
    rows: list[npt.NDArray[np.uint16]] = []
    lane_bytes = config.in_lanes * config.index_bytes
    at = 0
    while at < len(words):
        header = words[at].view("<u2")
        total, group_counts = int(header[0]), [int(count) for count in header[1:] if count]
        assert total == sum(group_counts)
        counts += group_counts
        body = -(-total * lane_bytes // word_bytes)
        entries = words[at + 1 : at + 1 + body].reshape(-1).view("<u1" if config.index_bytes == 1 else "<u2")
        rows.append(entries.reshape(-1, config.in_lanes)[:total].astype(np.uint16))
        at += 1 + body
    assert counts == packed.counts.tolist()
    assert np.array_equal(np.concatenate(rows), packed.rows)
    assert config.index_bytes == (1 if ffn // config.in_lanes <= 256 else 2)


@pytest.mark.parametrize(("word_bytes", "layers", "density"), [(16, 1, 1.0), (32, 3, 0.4), (64, 2, 0.05)])
def test_the_tiles_of_every_matrix_are_read_back_from_the_index_stream(
    word_bytes: int, layers: int, density: float
) -> None:
    config = _config(word_bytes, ffn=96)
    quantised = random_quantised_encoder(random_shape(layers, 64, 2, 96), seed=5, density=density)
    image = build_memory_image(quantised, config)
    packed = tuple(
        tuple(pack_matrix(layer.matrix(name).weight, config.out_lanes, config.in_lanes).tiles for name in MATRIX_NAMES)
        for layer in quantised.layers
    )
    assert image.tiles == packed
    heads = [quantised.shape.heads] * quantised.shape.layers
    assert read_tile_counts(image.indices, quantised.shape, heads, config) == packed
    with pytest.raises(AebertError, match=r"index stream: .*generate the project again"):
        read_tile_counts(image.indices[:-word_bytes], quantised.shape, heads, config)
    with pytest.raises(AebertError, match=r"index stream: .*generate the project again"):
        read_tile_counts(np.concatenate([image.indices, image.indices[:word_bytes]]), quantised.shape, heads, config)
