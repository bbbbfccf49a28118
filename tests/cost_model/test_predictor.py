"""Predictions for very many subnets: their tiles are those of packed masks, measurements move them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aebert.cost_model.fitted_model import FittedModel, FittedQuantity, quantity_of
from aebert.cost_model.intervals import LEVELS, Bound
from aebert.cost_model.measurer import MeasuredCandidate
from aebert.cost_model.predictor import DesignLatency, clock_of, design_latency, launch_kind
from aebert.cost_model.robust_fit import Fit, Level
from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.structure import crowding
from aebert.cost_model.subnet_tiles import BLOCK_SPREAD, INDEPENDENT_SPREAD, mask_tile_model, pattern_tile_model
from aebert.cost_model.uncertainty import CLOCK, CLOSED_FORM
from aebert.design.board import load_board
from aebert.design.board_fit import check_fit, spanned_dies
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.launch_cycles import count_cycles
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.design.workload import Workload, count_tiles, weight_tiles
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, kept_heads, matrix_sizes
from aebert.pruning.candidate import Candidate
from aebert.pruning.masks import expand_units
from aebert.pruning.unit_counts import Site, list_sites
from aebert.pruning.zero_patterns import Float64Array, Pattern, Structured, parse_pattern
from aebert.support.errors import AebertError
from tests.support.random_quantised import random_shape

SHAPE = random_shape(3, 128, 4, 256)
CONFIG = HardwareConfig(tokens=32, out_lanes=4, in_lanes=8, max_hidden=128, max_ffn=256, max_length=64, max_groups=4)
DESIGN = Design(CONFIG, load_board("u200"), 250.0)
EXACT = ("vector:4x1/8", "vector:8x1/16", "block:4x8", "block:8x16", "row-block:4x8", "head")
INEXACT = ("unstructured", "vector:2x1/8", "vector:4x1/4", "block:2x2", "column-block:4x4", "neuron", "head+neuron")


def _latency(lengths: tuple[int, ...] = (50,)) -> DesignLatency:
    return design_latency(DESIGN, SHAPE, lengths)


def _kept(pattern: Pattern, seed: int, candidates: int) -> Ints:
    units = np.array([site.units for site in list_sites(SHAPE, pattern)])
    share = np.random.default_rng(seed).uniform(0.05, 1.0, (candidates, len(units)))
    kept: Ints = np.rint(share * units).astype(np.int64)
    return kept


@pytest.mark.parametrize("spelling", ["head", "head+neuron"])
def test_a_subnet_that_lacks_heads_takes_the_cycles_of_the_passes_that_are_left(spelling: str) -> None:
    pattern = parse_pattern(spelling)
    sites = list_sites(SHAPE, pattern)
    model, previous = _latency((50, 9)).latency(pattern), np.inf
    for heads in range(SHAPE.heads, -1, -1):
        kept = np.array([heads if "query" in site.matrices else site.units for site in sites])
        (cycles,) = model.cycles(kept[None])
        assert cycles == pytest.approx(_closed_form((50, 9), _masks(pattern, kept, heads)), rel=0.005)
        assert cycles < previous
        previous = cycles


def test_a_candidate_without_attention_output_has_no_attention() -> None:
    pattern = parse_pattern("vector:4x1/8")
    units = np.array([[site.units for site in list_sites(SHAPE, pattern)]] * 2)
    outputs = [MATRIX_NAMES.index("attention_output") + layer * len(MATRIX_NAMES) for layer in (0, 2)]
    units[1, outputs] = 0
    whole, lacking = _latency().latency(pattern).cycles(units)
    assert lacking == pytest.approx(_closed_form((50,), _masks(pattern, units[1], 0)), rel=0.005)
    assert lacking < 0.8 * whole


def _masks(pattern: Pattern, kept: Ints, seed: int, shape: EncoderShape = SHAPE) -> list[list[npt.NDArray[np.bool_]]]:
    """Of random scores, [layers][MATRIX_NAMES]."""
    random = np.random.default_rng(seed)
    layers = [[np.ones(matrix_sizes(shape, name), bool) for name in MATRIX_NAMES] for _ in range(shape.layers)]
    for site, count in zip(list_sites(shape, pattern), kept.tolist(), strict=True):
        masks = expand_units(pattern.select(_scores(site, pattern, random, shape), count), site, shape, pattern)
        for name, mask in masks.items():
            layers[site.layer][MATRIX_NAMES.index(name)] = mask
    return layers


def _read_heads(pattern: Pattern, kept: Ints, seed: int) -> list[int]:
    """Of each layer of `_masks`."""
    outputs = [layer[MATRIX_NAMES.index("attention_output")] for layer in _masks(pattern, kept, seed)]
    return [len(kept_heads(output, SHAPE.heads)) for output in outputs]


def _packed(pattern: Pattern, kept: Ints, seed: int, shape: EncoderShape = SHAPE) -> Floats:
    """Tiles [layers, matrices] of `_masks`."""
    return np.asarray(weight_tiles(shape, _masks(pattern, kept, seed, shape))(Sizes.of(CONFIG))[:, :, 0], np.float64)


def _closed_form(lengths: tuple[int, ...], layers: list[list[npt.NDArray[np.bool_]]]) -> float:
    """Cycles of a launch of the encoder with weights where ``layers`` say."""
    work = Workload(SHAPE, weight_tiles(SHAPE, layers), lengths)
    return float(count_cycles(Sizes.of(CONFIG), work, memory=launch_kind(DESIGN, SHAPE, lengths).memory).total[0])


def _scores(site: Site, pattern: Pattern, random: np.random.Generator, shape: EncoderShape = SHAPE) -> Float64Array:
    if isinstance(pattern, Structured):
        return random.random(site.units)
    outputs, inputs = matrix_sizes(shape, site.matrices[0])
    rows, columns = pattern.unit_shape
    return random.random((outputs // rows, inputs // columns))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(EXACT), st.integers(0, 10**6))
def test_units_that_suit_the_lanes_need_the_tiles_that_packing_gives(spelling: str, seed: int) -> None:
    pattern = parse_pattern(spelling)
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    assert model.spread <= BLOCK_SPREAD
    kept = _kept(pattern, seed, 1)
    # Which heads a few units of the attention output leave unread, their number does not say.
    assume(spelling == "head" or all(heads == SHAPE.heads for heads in _read_heads(pattern, kept[0], seed)))
    packed, predicted = _packed(pattern, kept[0], seed), model(kept)[0]
    # Empty row groups of a block pattern, and a last round that is not full, differ by a few tiles.
    assert np.abs(predicted - packed).max() <= 0.06 * packed.max()
    assert predicted.sum() == pytest.approx(packed.sum(), rel=0.03)


@pytest.mark.parametrize("spelling", [spelling for spelling in EXACT if spelling not in ("head", "neuron")])
def test_of_units_that_suit_the_lanes_all_take_every_tile_and_one_each_one_for_each_row_group(spelling: str) -> None:
    pattern = parse_pattern(spelling)
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    units = np.array([[site.units for site in list_sites(SHAPE, pattern)]])
    sizes = [matrix_sizes(SHAPE, name) for name in MATRIX_NAMES]
    every = [outputs // CONFIG.out_lanes * (inputs // CONFIG.in_lanes) for outputs, inputs in sizes]
    assert model(units).tolist() == [[every] * SHAPE.layers]
    least = [outputs // CONFIG.out_lanes for outputs, _ in sizes]
    assert model(np.ones_like(units)).tolist() == [[least] * SHAPE.layers]
    # Nothing reads query, key and value where the attention output is empty.
    assert model(0 * units).tolist() == [[[0, 0, 0, *least[3:]]] * SHAPE.layers]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(INEXACT), st.integers(0, 10**6))
def test_other_units_need_about_as_many_tiles_as_expected(spelling: str, seed: int) -> None:
    pattern = parse_pattern(spelling)
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    assert model.spread == INDEPENDENT_SPREAD
    kept = _kept(pattern, seed, 1)
    assert model(kept)[0].sum() == pytest.approx(_packed(pattern, kept[0], seed).sum(), rel=0.12)


@pytest.mark.parametrize("spelling", ["vector:4x1/8", "block:4x8", "unstructured", "head", "head+neuron"])
@pytest.mark.parametrize("seed", [1, 2])
def test_padded_heads_need_about_as_many_tiles_as_expected(spelling: str, seed: int) -> None:
    shape = random_shape(3, 208, 8, 256)  # heads of 26 on eight lanes
    pattern = parse_pattern(spelling)
    units = np.array([site.units for site in list_sites(shape, pattern)])
    kept = np.maximum(1, (units * np.random.default_rng(seed).uniform(0.3, 1.0, len(units))).astype(np.int64))
    predicted = pattern_tile_model(shape, pattern, CONFIG)(kept[None])[0]
    packed = _packed(pattern, kept, seed, shape)
    assert predicted.sum() == pytest.approx(packed.sum(), rel=0.05)
    scores = {site: _scores(site, pattern, np.random.default_rng(seed), shape) for site in list_sites(shape, pattern)}
    full = mask_tile_model(shape, pattern, CONFIG, scores.__getitem__)(units[None])[0]
    assert np.array_equal(full, _packed(pattern, units, seed, shape))


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


def _with_launch(launch_ms: float) -> DesignLatency:
    given = _latency().coefficients
    return replace(_latency(), coefficients=replace(given, engine=2 * given.engine, launch=launch_ms))


def test_engine_cycles_others_and_the_launch_have_coefficients_of_their_own() -> None:
    pattern = parse_pattern("vector:4x1/8")
    kept = _kept(pattern, 1, 3000)  # more than are predicted at a time
    plain, model = _latency().latency(pattern), _with_launch(0.25).latency(pattern)
    tiles = model.tiles(kept)
    engine, total = model.halves.engine_cycles(tiles), model.halves.cycles(tiles)
    per_cycle = 1 / 250.0 / 1000
    assert model.predict(kept).mean_ms == pytest.approx((total + engine) * per_cycle + 0.25)
    assert plain.predict(kept).mean_ms == pytest.approx(total * per_cycle)
    assert (engine > 0.1 * total).all()
    predicted = model.predict(kept)
    spread = model.coefficients.spread
    assert predicted.low_ms == pytest.approx(predicted.mean_ms * spread.low)
    assert predicted.high_ms == pytest.approx(predicted.mean_ms * spread.high)


def test_measurements_move_the_launchs_own_time_too() -> None:
    pattern, latency = parse_pattern("vector:4x1/8"), _with_launch(0.25)
    kept = _kept(pattern, 3, 4)
    fitted = latency.refitted(_measurements(latency, 1.3, 6))
    assert fitted.latency(pattern).predict(kept).mean_ms == pytest.approx(
        1.3 * latency.latency(pattern).predict(kept).mean_ms, rel=0.01
    )
    for name in ("engine", "other", "launch"):
        before, after = getattr(latency.coefficients, name), getattr(fitted.coefficients, name)
        assert after == pytest.approx(1.3 * before, rel=0.01)


def _quantity(coefficients: tuple[float, ...], effects: dict[str, float] | None = None) -> FittedQuantity:
    levels = {"board": Level(effects or {}, 0.01)}
    size = len(coefficients) + len(effects or {})
    fitted = Fit(tuple("abc"[: len(coefficients)]), np.array(coefficients), levels, np.eye(size) * 1e-6, 0.01)
    bounds = [Bound(level, 2.0, assumed=level == 0.9) for level in LEVELS]
    return quantity_of(fitted, bounds, 5, {"ab" * 32: 0.0, "cd" * 32: 0.1}, {})


def test_a_calibrated_model_gives_cycles_clock_and_launch() -> None:
    fitted = FittedModel(
        "u200",
        (),
        "0",
        {"cycles": _quantity((1.1, 1.3, 0.04), {"u200": 0.05}), "clock period": _quantity((1.2, 0.5))},
    )
    latency = design_latency(DESIGN, SHAPE, (50,), fitted)
    crowded = crowding(check_fit(CONFIG, DESIGN.board), DESIGN.board)
    period = (1.2 + 0.5 * crowded) * 4.0 / 1e6  # ms; 4 ns at 250 MHz
    effect = np.exp(0.05)
    given = latency.coefficients
    assert given.engine == pytest.approx(1.1 * effect * period)
    assert given.other == pytest.approx(1.3 * effect * period)
    # Amounts of a launch are in cycles per millisecond: 0.04 ms at the clock asked for.
    assert given.launch == pytest.approx(0.04 * effect * 250e3 * period)
    assert given.source == "predicted, closed form fitted to 2 runs"
    assert "fitted to 2 runs of 5 designs, interval assumed: 5 designs" in given.spread.basis
    assert given.spread.low < 1 < given.spread.high
    # Noise, levels' spread and coefficients' doubt of two quantities, two deviations each.
    assert np.log(given.spread.high) == pytest.approx(2 * np.sqrt(2) * np.sqrt(0.01**2 + 0.01**2), rel=0.2)


@pytest.mark.parametrize(("name", "bounds"), [("low", (0.0, 1.0)), ("high", (1.0, np.inf))])
def test_an_uncalibrated_spread_is_the_clocks_and_the_closed_forms(name: str, bounds: tuple[float, float]) -> None:
    spread = _latency().coefficients.spread
    expected = combine(CLOSED_FORM, CLOCK.inverse)
    assert getattr(spread, name) == getattr(expected, name)
    assert bounds[0] <= getattr(spread, name) <= bounds[1]


def test_a_kernel_over_several_dies_may_reach_half_its_clock() -> None:
    board = load_board("u200")
    large = replace(CONFIG, tokens=128, in_lanes=16, max_length=128)
    assert [spanned_dies(config, board) for config in (CONFIG, large)] == [1, 3]
    _, one = clock_of(DESIGN, None)
    _, three = clock_of(replace(DESIGN, config=large), None)
    assert one == CLOCK.inverse
    assert (three.low, three.high) == (1.0, pytest.approx(297 / 147))
    assert "AutoBridge" in three.basis


def test_places_that_are_not_known_widen_the_interval_and_masks_narrow_it() -> None:
    pattern = parse_pattern("unstructured")
    latency = _latency()
    wide = latency.latency(pattern)
    scores = {site: _scores(site, pattern, np.random.default_rng(site.layer)) for site in list_sites(SHAPE, pattern)}
    narrow = latency.latency(pattern, mask_tile_model(SHAPE, pattern, CONFIG, scores.__getitem__))
    exact = latency.latency(parse_pattern("vector:4x1/8"))
    assert wide.coefficients.spread.high > narrow.coefficients.spread.high == exact.coefficients.spread.high
    assert "tiles of units at random places" in wide.coefficients.spread.basis
    assert "kinks of the closed form" in exact.coefficients.spread.basis


def test_a_digest_tells_designs_shapes_lengths_and_coefficients_apart() -> None:
    latency = _latency()
    others = [
        _latency((49,)),
        _with_launch(0.0),
        replace(latency, shape=replace(SHAPE, layers=2)),
        replace(latency, design=replace(DESIGN, clock_mhz=251.0)),
        replace(latency, latencies=replace(DEFAULT_LATENCIES, engine=DEFAULT_LATENCIES.engine + 1)),
        replace(latency, latencies=replace(DEFAULT_LATENCIES, engine=DEFAULT_LATENCIES.engine + 2)),
    ]
    assert len({latency.digest, *(other.digest for other in others)}) == 7
    assert latency.digest == _latency().digest


def test_head_patterns_need_the_tiles_of_the_heads_that_are_left() -> None:
    pattern = parse_pattern("head")
    model = pattern_tile_model(SHAPE, pattern, CONFIG)
    groups, rows, head = 128 // 4, 128 // 8, 32
    (tiles,) = model(np.array([[4, 2, 0]]))
    for layer, heads in enumerate((4, 2, 0)):
        by_name = dict(zip(MATRIX_NAMES, tiles[layer].tolist(), strict=True))
        for name in ("query", "key", "value"):
            assert by_name[name] == groups * rows * heads / 4
        assert by_name["attention_output"] == max(groups * heads * head // 8, groups)
        assert by_name["ffn_in"] == by_name["ffn_out"] == 128 // 4 * 256 // 8
    kept = np.array([4, 2, 0])
    np.testing.assert_array_equal(tiles, _packed(pattern, kept, 0))


def test_neurons_that_all_stay_need_every_tile_and_none_that_stays_one_for_each_row_group() -> None:
    neurons = parse_pattern("neuron")
    (whole,) = pattern_tile_model(SHAPE, neurons, CONFIG)(np.full((1, 3), SHAPE.ffn))
    (none,) = pattern_tile_model(SHAPE, neurons, CONFIG)(np.zeros((1, 3), np.int64))
    groups, rows = SHAPE.ffn // CONFIG.out_lanes, SHAPE.hidden // CONFIG.in_lanes
    ffn_in = MATRIX_NAMES.index("ffn_in")
    assert whole[:, ffn_in].tolist() == [groups * rows] * 3
    assert none[:, ffn_in].tolist() == [groups] * 3


def _measurements(latency: DesignLatency, factor: float, count: int) -> list[MeasuredCandidate]:
    pattern = parse_pattern("vector:4x1/8")
    kept = _kept(pattern, 2, count)
    mean = latency.latency(pattern).predict(kept).mean_ms
    return [
        MeasuredCandidate(Candidate(str(pattern), tuple(row)), float(ms) * factor, "hw", "pynq:0", DESIGN.digest)
        for row, ms in zip(kept.tolist(), mean, strict=True)
    ]


def test_measurements_move_the_prediction_and_narrow_it() -> None:
    pattern, latency = parse_pattern("vector:4x1/8"), _latency()
    kept = _kept(pattern, 3, 4)
    before = latency.latency(pattern).predict(kept)
    fitted = latency.refitted(_measurements(latency, 1.2, 6))
    after = fitted.latency(pattern).predict(kept)
    assert after.mean_ms == pytest.approx(1.2 * before.mean_ms, rel=0.01)
    assert ((after.high_ms - after.low_ms) < 0.5 * (before.high_ms - before.low_ms)).all()
    assert "6 hw runs" in after.source
    assert fitted.digest != latency.digest
    assert latency.refitted([]) == latency


def test_only_the_measurements_nearest_to_a_board_count() -> None:
    latency = _latency()
    on_board = _measurements(latency, 1.2, 3)
    emulated = [
        MeasuredCandidate(each.candidate, each.latency_ms / 1.2, "emulated", "emulator", DESIGN.digest)
        for each in _measurements(latency, 1.0, 5)
    ]
    assert latency.refitted([*emulated, *on_board]) == latency.refitted(on_board)


def test_a_model_without_a_quantity_leaves_the_closed_form_as_it_is() -> None:
    empty = FittedModel("u200", (), "0", {})
    fitted = design_latency(DESIGN, SHAPE, (50,), empty)
    assert fitted.coefficients.engine == _latency().coefficients.engine


def test_the_shortest_and_the_longest_launch_fit_the_design() -> None:
    one, most = (
        float(_latency(lengths).latency(parse_pattern("head")).predict(np.array([[4, 4, 4]])).mean_ms[0])
        for lengths in ((1,), (CONFIG.max_length,))
    )
    assert 0 < one <= most


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
