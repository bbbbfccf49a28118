"""Heads whose size is no multiple of the lanes: where their channels go, and that every board has a design for them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.design.board import board_names, load_board
from aebert.design.board_fit import check_fit
from aebert.design.default_sizes import default_config
from aebert.design.head_places import attention_width, head_places, head_width, is_padded, pad_heads, row_groups
from aebert.design.size_arrays import Sizes
from aebert.design.workload import dense_tiles, weight_tiles
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, matrix_sizes
from aebert.support.errors import AebertError
from tests.support.random_quantised import random_shape

TINYBERT = random_shape(4, 312, 12, 1200)
RUBERT = random_shape(3, 312, 12, 600)
LANES = st.sampled_from((1, 2, 4, 8, 16, 32))


@st.composite
def shapes(draw: st.DrawFn) -> EncoderShape:
    heads = draw(st.integers(1, 12))
    return random_shape(1, heads * draw(st.integers(1, 80)), heads, 64)


@given(shapes(), LANES)
def test_a_channel_keeps_its_bank_and_a_head_has_whole_rows_to_itself(shape: EncoderShape, lanes: int) -> None:
    places, width = head_places(shape, lanes), head_width(shape, lanes)
    channels = np.arange(shape.hidden)
    assert np.array_equal(places % lanes, channels % lanes)
    assert np.array_equal(places // width, channels // shape.head_size)
    assert width % lanes == 0
    assert attention_width(shape, lanes) == shape.heads * width
    # No row of banks is spared by all heads.
    assert places.reshape(shape.heads, -1)[:, -1].__mod__(width).max() >= width - lanes
    if not is_padded(shape, lanes):
        assert width == shape.head_size
        assert np.array_equal(places, channels)


@given(shapes(), LANES, st.integers(0, 100))
def test_padding_adds_zeros_and_nothing_else(shape: EncoderShape, lanes: int, seed: int) -> None:
    for name in MATRIX_NAMES:
        matrix = np.random.default_rng(seed).integers(-127, 128, matrix_sizes(shape, name), np.int8)
        padded = pad_heads(matrix, name, shape, lanes)
        places = head_places(shape, lanes)
        if name == "attention_output":
            assert np.array_equal(padded[:, places], matrix)
        elif name in ("query", "key", "value"):
            assert np.array_equal(padded[places], matrix)
        else:
            assert np.array_equal(padded, matrix)
        assert np.count_nonzero(padded) == np.count_nonzero(matrix)


@pytest.mark.parametrize("lanes", [4, 8])
def test_dense_tiles_are_those_of_the_padded_matrices(lanes: int) -> None:
    sizes = Sizes.of(default_config(load_board("u200"), TINYBERT, max_length=32))
    sizes = Sizes(**{**vars(sizes), "in_lanes": np.array([lanes]), "out_lanes": np.array([4])})
    ones = [np.ones(matrix_sizes(TINYBERT, name), np.int8) for name in MATRIX_NAMES]
    counted = weight_tiles(TINYBERT, [ones])(sizes)[0, :, 0]
    assert counted.tolist() == [int(dense_tiles(TINYBERT, name, sizes)[0]) for name in MATRIX_NAMES]
    filled, empty = row_groups(TINYBERT, "query", sizes.out_lanes, sizes.in_lanes)
    assert filled.tolist() == [len(np.unique(head_places(TINYBERT, lanes) // 4))]
    assert filled + empty == attention_width(TINYBERT, lanes) // 4


@pytest.mark.parametrize("name", board_names())
@pytest.mark.parametrize("shape", [TINYBERT, RUBERT], ids=["TinyBERT-4L-312", "rubert-tiny2"])
def test_heads_of_26_have_a_design_on_every_board(name: str, shape: EncoderShape) -> None:
    board = load_board(name)
    config = default_config(board, shape, vector_lanes=4)
    config.check_fits(shape)
    check_fit(config, board)


def test_a_design_too_small_for_padded_heads_says_what_they_take() -> None:
    config = default_config(load_board("u200"), random_shape(4, 320, 5, 1200), max_length=32)
    with pytest.raises(AebertError, match=r"12 heads of 26 take \d+ channels on in_lanes"):
        config.check_fits(TINYBERT)


def test_where_there_is_no_design_the_reason_is_the_encoders_not_that_of_a_size_nobody_asked_for() -> None:
    with pytest.raises(AebertError, match=re.escape("encoder: hidden = 30 must be a multiple of in_lanes = 4")):
        default_config(load_board("u200"), random_shape(2, 30, 5, 64))
    with pytest.raises(AebertError, match=re.escape("max_ffn = 66 must be multiples of in_lanes = 4")):
        default_config(load_board("u200"), random_shape(2, 32, 2, 66))
