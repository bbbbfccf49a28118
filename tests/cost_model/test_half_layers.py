"""The planes of half layers give the cycles of the closed form."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cost_model.half_layers import HalfLayers, half_layers
from aebert.cost_model.predictor import launch_kind
from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.size_arrays import Floats
from aebert.models.encoder import MATRIX_NAMES
from tests.support.random_quantised import random_shape

SHAPE = random_shape(3, 128, 4, 256)
CONFIG = HardwareConfig(tokens=32, out_lanes=4, in_lanes=8, max_hidden=128, max_ffn=256, max_length=64, max_groups=4)
DESIGN = Design(CONFIG, load_board("u200"), 250.0)


@lru_cache
def _halves(lengths: tuple[int, ...], every_head_count: bool = False) -> HalfLayers:
    return half_layers(launch_kind(DESIGN, SHAPE, lengths), range(SHAPE.heads + 1) if every_head_count else None)


def _tiles(seed: int, candidates: int = 40) -> Floats:
    least, most = launch_kind(DESIGN, SHAPE, (50,)).tile_limits()
    density = np.random.default_rng(seed).uniform(0.0, 1.0, (candidates, SHAPE.layers, len(MATRIX_NAMES)))
    return np.asarray(np.maximum(np.rint(density * most), least), np.float64)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(64,), (50,), (3,), (64, 20)]))
def test_the_fast_form_is_the_closed_form(seed: int, lengths: tuple[int, ...]) -> None:
    tiles = _tiles(seed)
    counted = launch_kind(DESIGN, SHAPE, lengths).count(tiles)
    halves = _halves(lengths)
    assert halves.cycles(tiles) == pytest.approx(counted.total, rel=max(2 * halves.error, 1e-4))
    assert halves.error < 0.01
    assert halves.engine_cycles(tiles) == pytest.approx(counted.lane_cycles)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2), st.integers(0, 5), st.integers(1, 200))
def test_more_tiles_never_take_fewer_cycles(seed: int, layer: int, matrix: int, more: int) -> None:
    tiles = _tiles(seed, candidates=1)
    fuller = tiles.copy()
    fuller[0, layer, matrix] += more
    assert _halves((50,)).cycles(fuller)[0] >= _halves((50,)).cycles(tiles)[0] - 1e-6


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6), st.tuples(*[st.integers(0, SHAPE.heads)] * SHAPE.layers), st.sampled_from([(64,), (50, 3)])
)
def test_the_fast_form_is_the_closed_form_of_layers_that_lack_heads(
    seed: int, heads: tuple[int, ...], lengths: tuple[int, ...]
) -> None:
    kind, halves = launch_kind(DESIGN, SHAPE, lengths), _halves(lengths, every_head_count=True)
    limits = [kind.tile_limits(count) for count in heads]
    density = np.random.default_rng(seed).uniform(0.0, 1.0, (20, SHAPE.layers, len(MATRIX_NAMES)))
    tiles = np.stack([np.maximum(np.rint(density[:, at] * most), least) for at, (least, most) in enumerate(limits)], 1)
    counted, kept = kind.count(tiles, heads), np.broadcast_to(heads, tiles.shape[:2])
    # A launch that keeps no head is further off (0.165 % for 0.079) than the mixtures that the error is found at.
    assert halves.cycles(tiles, kept) == pytest.approx(counted.total, rel=max(3 * halves.error, 1e-4))
    assert halves.error < 0.01
    assert halves.engine_cycles(tiles, kept) == pytest.approx(counted.lane_cycles)
