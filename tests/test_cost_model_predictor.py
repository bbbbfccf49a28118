"""Predictions for very many subnets are those of the closed form, and their tiles those of packed masks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.boards import load_board
from aebert.cost_model.calibrated_model import CalibratedModel
from aebert.cost_model.half_layers import HalfLayers, half_layers
from aebert.cost_model.predictor import DesignLatency, design_latency, launch_kind
from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.tiles import BLOCK_SPREAD, INDEPENDENT_SPREAD, mask_tile_model, pattern_tile_model
from aebert.design.config import HardwareConfig
from aebert.design.design import Design
from aebert.design.sizes import Floats, Ints
from aebert.design.workload import count_tiles
from aebert.encoder import MATRIX_NAMES
from aebert.errors import AebertError
from aebert.pruning.counts import Site, list_sites
from aebert.pruning.masks import expand_units
from aebert.pruning.patterns import Float64Array, Pattern, Structured, parse_pattern
from aebert.search.candidates import Candidate
from aebert.search.measurer import Measurement
from tests.support.random_quantised import random_shape

SHAPE = random_shape(3, 128, 4, 256)
CONFIG = HardwareConfig(tokens=32, out_lanes=4, in_lanes=8, max_hidden=128, max_ffn=256, max_length=64, max_groups=4)
DESIGN = Design(CONFIG, load_board("u200"), 250.0)
EXACT = ("vector:4x1/8", "vector:8x1/16", "block:4x8", "block:8x16", "row-block:4x8", "head")
INEXACT = ("unstructured", "vector:2x1/8", "vector:4x1/4", "block:2x2", "column-block:4x4", "neuron", "head+neuron")


def _latency(lengths: tuple[int, ...] = (50,)) -> DesignLatency:
    return design_latency(DESIGN, SHAPE, lengths)


@lru_cache
def _halves(lengths: tuple[int, ...]) -> HalfLayers:
    return half_layers(launch_kind(DESIGN, SHAPE, lengths))


def _tiles(seed: int, candidates: int = 40) -> Floats:
    least, most = launch_kind(DESIGN, SHAPE, (50,)).tile_limits
    density = np.random.default_rng(seed).uniform(0.0, 1.0, (candidates, SHAPE.layers, len(MATRIX_NAMES)))
    return np.asarray(np.maximum(np.rint(density * most), least), np.float64)


def _kept(pattern: Pattern, seed: int, candidates: int) -> Ints:
    units = np.array([site.units for site in list_sites(SHAPE, pattern)])
    share = np.random.default_rng(seed).uniform(0.05, 1.0, (candidates, len(units)))
    kept: Ints = np.rint(share * units).astype(np.int64)
    return kept


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


def _packed(pattern: Pattern, kept: Ints, seed: int) -> Floats:
    """Tiles [layers, matrices] of masks with random scores."""
    random = np.random.default_rng(seed)
    dense = {
        (layer, name): count_tiles(np.ones(_matrix(name), bool), CONFIG.out_lanes, CONFIG.in_lanes)
        for layer in range(SHAPE.layers)
        for name in MATRIX_NAMES
    }
    for site, count in zip(list_sites(SHAPE, pattern), kept.tolist(), strict=True):
        masks = expand_units(pattern.select(_scores(site, pattern, random), count), site, SHAPE, pattern)
        for name, mask in masks.items():
            dense[site.layer, name] = count_tiles(mask, CONFIG.out_lanes, CONFIG.in_lanes)
    return np.array(list(dense.values()), np.float64).reshape(SHAPE.layers, -1)


def _matrix(name: str) -> tuple[int, int]:
    return {"ffn_in": (SHAPE.ffn, SHAPE.hidden), "ffn_out": (SHAPE.hidden, SHAPE.ffn)}.get(name, (SHAPE.hidden,) * 2)


def _scores(site: Site, pattern: Pattern, random: np.random.Generator) -> Float64Array:
    if isinstance(pattern, Structured):
        return random.random(site.units)
    outputs, inputs = _matrix(site.matrices[0])
    rows, columns = pattern.unit_shape
    return random.random((outputs // rows, inputs // columns))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(EXACT), st.integers(0, 10**6))
def test_units_that_suit_the_lanes_need_the_tiles_that_packing_gives(spelling: str, seed: int) -> None:
    pattern = parse_pattern(spelling)
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    assert model.spread <= BLOCK_SPREAD
    kept = _kept(pattern, seed, 1)
    packed, predicted = _packed(pattern, kept[0], seed), model(kept)[0]
    # Empty row groups of a block pattern, and a last round that is not full, differ by a few tiles.
    assert np.abs(predicted - packed).max() <= 0.06 * packed.max()
    assert predicted.sum() == pytest.approx(packed.sum(), rel=0.03)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(INEXACT), st.integers(0, 10**6))
def test_other_units_need_about_as_many_tiles_as_expected(spelling: str, seed: int) -> None:
    pattern = parse_pattern(spelling)
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    assert model.spread == INDEPENDENT_SPREAD
    kept = _kept(pattern, seed, 1)
    assert model(kept)[0].sum() == pytest.approx(_packed(pattern, kept[0], seed).sum(), rel=0.12)


def test_masks_tell_the_tiles_exactly_where_they_were_made() -> None:
    pattern = parse_pattern("block:2x2")
    scores = {site: _scores(site, pattern, np.random.default_rng(site.layer)) for site in list_sites(SHAPE, pattern)}
    model = mask_tile_model(SHAPE, pattern, CONFIG, scores.__getitem__)
    half = np.array([[site.units // 2 for site in scores]])
    found = model(half)[0].ravel()
    for site, tiles in zip(scores, found.tolist(), strict=True):
        mask = expand_units(pattern.select(scores[site], site.units // 2), site, SHAPE, pattern)[site.matrices[0]]
        assert tiles == count_tiles(mask, CONFIG.out_lanes, CONFIG.in_lanes)


@pytest.mark.parametrize("spelling", ["vector:4x1/8", "unstructured", "head+neuron"])
def test_a_batch_is_predicted_as_each_of_its_candidates_alone(spelling: str) -> None:
    pattern = parse_pattern(spelling)
    model = _latency().latency(pattern)
    kept = _kept(pattern, 0, 7)
    together = model.predict(kept)
    alone = [float(model.predict(row[None]).mean_ms[0]) for row in kept]
    assert together.mean_ms == pytest.approx(alone, rel=1e-12)
    assert (together.low_ms < together.mean_ms).all()
    assert (together.mean_ms < together.high_ms).all()
    assert together.source == "predicted, closed form"
    assert len(model.predict(kept[:0]).mean_ms) == 0


def test_milliseconds_are_cycles_over_the_clock() -> None:
    pattern = parse_pattern("vector:4x1/8")
    model = _latency().latency(pattern)
    kept = _kept(pattern, 1, 5)
    assert model.predict(kept).mean_ms == pytest.approx(model.cycles(kept) / 250.0 / 1000)


def _measurements(latency: DesignLatency, factor: float, count: int) -> list[Measurement]:
    pattern = parse_pattern("vector:4x1/8")
    kept = _kept(pattern, 2, count)
    mean = latency.latency(pattern).predict(kept).mean_ms
    return [
        Measurement(Candidate(str(pattern), tuple(row)), float(ms) * factor, "hw", "pynq:0", DESIGN.digest)
        for row, ms in zip(kept.tolist(), mean, strict=True)
    ]


def test_measurements_move_the_prediction_and_narrow_it() -> None:
    pattern, latency = parse_pattern("vector:4x1/8"), _latency()
    kept = _kept(pattern, 3, 4)
    before = latency.latency(pattern).predict(kept)
    fitted = latency.recalibrated(_measurements(latency, 1.2, 6))
    after = fitted.latency(pattern).predict(kept)
    assert after.mean_ms == pytest.approx(1.2 * before.mean_ms, rel=0.01)
    assert ((after.high_ms - after.low_ms) < 0.5 * (before.high_ms - before.low_ms)).all()
    assert "6 hw runs" in after.source
    assert fitted.digest != latency.digest
    assert latency.recalibrated([]) == latency


def test_only_the_measurements_nearest_to_a_board_count() -> None:
    latency = _latency()
    on_board = _measurements(latency, 1.2, 3)
    emulated = [
        Measurement(each.candidate, each.latency_ms / 1.2, "emulated", "emulator", DESIGN.digest)
        for each in _measurements(latency, 1.0, 5)
    ]
    assert latency.recalibrated([*emulated, *on_board]) == latency.recalibrated(on_board)


def test_a_model_without_a_quantity_leaves_the_closed_form_as_it_is() -> None:
    empty = CalibratedModel("u200", (), "0", {})
    calibrated = design_latency(DESIGN, SHAPE, (50,), empty)
    assert calibrated.coefficients.engine == _latency().coefficients.engine


@pytest.mark.parametrize("lengths", [(), (65,), (64, 64, 1), (0,)])
def test_a_launch_that_does_not_fit_the_design_is_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(AebertError, match="lengths = "):
        design_latency(DESIGN, SHAPE, lengths)


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=4))
def test_spreads_add_up_to_one_that_holds_each_of_them(relative: list[float]) -> None:
    spreads = [Spread.within(each, "x") for each in relative]
    both = combine(*spreads)
    assert both.low <= min(spread.low for spread in spreads) * (1 + 1e-12)
    assert both.high >= max(spread.high for spread in spreads) * (1 - 1e-12)
    assert both.inverse.inverse.low == pytest.approx(both.low)
