"""Whole numbers of units: largest remainders first, coarse units first, and what cannot be met is refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.pruning import parse_pattern
from aebert.pruning.unit_counts import (
    MatrixKey,
    Site,
    apportion,
    check_ratio,
    layer_ratios,
    list_sites,
    prunable_weights,
    read_matrix_ratios,
    uniform_ratios,
    zeroed_units,
)
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=2, hidden=8, heads=2, ffn=24, epsilon=1e-12, max_positions=64)
TOTAL = 2 * (4 * 64 + 2 * 192)


def test_what_is_left_goes_to_the_largest_remainders() -> None:
    assert apportion([1.2, 2.9, 0.5], [9, 9, 9], 4) == [1, 3, 0]
    assert apportion([1.2, 2.9, 0.5], [9, 9, 9], 5) == [1, 3, 1]
    assert apportion([1.2, 2.9, 0.5], [9, 9, 9], 6) == [2, 3, 1]


def test_ties_go_to_the_earlier_place() -> None:
    assert apportion([1.5, 1.5, 1.5], [9, 9, 9], 4) == [2, 1, 1]
    assert apportion([1.5, 1.5, 1.5], [9, 9, 9], 5) == [2, 2, 1]


def test_what_is_too_much_is_taken_from_the_smallest_remainders() -> None:
    assert apportion([2.1, 2.8, 2.5], [9, 9, 9], 5) == [1, 2, 2]
    assert apportion([2.1, 2.8, 2.5], [9, 9, 9], 4) == [1, 2, 1]


def test_a_full_or_empty_place_passes_its_part_on() -> None:
    assert apportion([3.0, 1.1, 1.0], [3, 9, 9], 7) == [3, 2, 2]
    assert apportion([0.0, 0.4, 3.0], [9, 9, 9], 1) == [0, 0, 1]
    assert apportion([0.9, 0.9], [1, 1], 2) == [1, 1]


def test_a_share_that_rounding_left_just_below_a_whole_number_counts_as_whole() -> None:
    assert apportion([2.0 - 1e-12, 1.6], [9, 9], 4) == [2, 2]
    assert apportion([2.0 - 1e-12, 1.6], [9, 9], 3) == [2, 1]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=6))
def test_no_place_is_a_whole_unit_off_its_share_where_the_sum_is_that_of_the_shares(shares: Sequence[float]) -> None:
    total = math.floor(sum(shares) + 0.5)
    counts = apportion(shares, [21] * len(shares), total)
    assert sum(counts) == total
    assert all(abs(count - share) < 1 + 1e-6 for count, share in zip(counts, shares, strict=True))
    remainders = [share - math.floor(share + 1e-9) for share in shares]
    raised = [r for r, c, s in zip(remainders, counts, shares, strict=True) if c > math.floor(s + 1e-9)]
    kept = [r for r, c, s in zip(remainders, counts, shares, strict=True) if c <= math.floor(s + 1e-9)]
    assert not raised or not kept or min(raised) >= max(kept) - 1e-9


def test_sites_are_in_the_order_of_the_data_flow_with_their_units() -> None:
    attention = ("query", "key", "value", "attention_output")
    assert list_sites(SHAPE, parse_pattern("head+neuron")) == [
        Site(layer, matrices, units, weights)
        for layer in range(2)
        for matrices, units, weights in ((attention, 2, 4 * 4 * 8), (("ffn_in", "ffn_out"), 24, 2 * 8))
    ]
    blocks = list_sites(SHAPE, parse_pattern("block:4x8"))
    assert [site.matrices for site in blocks] == [(name,) for name in MATRIX_NAMES] * 2
    assert [(site.units, site.unit_weights) for site in blocks[:6]] == [(2, 32)] * 4 + [(6, 32), (6, 32)]
    assert prunable_weights(SHAPE) == TOTAL
    for spelling in ("block:3x8", "block:4x3", "vector:16x1"):
        with pytest.raises(AebertError, match=r"does not divide matrix 'query' of 8 x 8; choose block sides"):
            list_sites(SHAPE, parse_pattern(spelling))


def test_a_uniform_ratio_makes_up_for_what_the_pattern_leaves_dense() -> None:
    neurons = parse_pattern("neuron")
    reachable = 2 * 2 * 192 / TOTAL
    ratios = uniform_ratios(SHAPE, neurons, 0.3)
    assert ratios[0, "ffn_in"] == ratios[1, "ffn_out"] == pytest.approx(0.3 / reachable)
    assert ratios[0, "query"] == 0.0
    assert len(ratios) == 12
    assert uniform_ratios(SHAPE, neurons, reachable)[0, "ffn_in"] == 1.0
    with pytest.raises(AebertError, match=r"can zero at most 0\.6000 of the prunable weights, not 0\.61; lower"):
        uniform_ratios(SHAPE, neurons, 0.61)


@pytest.mark.parametrize(("ratio", "accepted"), [(0.0, True), (0.999, True), (1.0, False), (-0.01, False)])
def test_a_ratio_lies_below_one_and_not_below_zero(ratio: float, accepted: bool) -> None:
    if accepted:
        check_ratio(ratio, "it")
    else:
        with pytest.raises(AebertError, match=f"it is {ratio}; a pruning ratio lies in"):
            check_ratio(ratio, "it")


def test_ratios_per_layer_are_counted_over_the_whole_layer() -> None:
    found = layer_ratios(SHAPE, parse_pattern("neuron"), [0.2, 0.4])
    assert found[0, "ffn_in"] == pytest.approx(0.2 / 0.6)
    assert found[1, "ffn_out"] == pytest.approx(0.4 / 0.6)
    assert found[1, "key"] == 0.0
    with pytest.raises(AebertError, match="3 per-layer ratios for 2 layers; give one ratio for each layer"):
        layer_ratios(SHAPE, parse_pattern("neuron"), [0.2, 0.4, 0.1])


def _ratios(**given: float) -> dict[MatrixKey, float]:
    return {(layer, name): given.get(name, given.get("every", 0.0)) for layer in range(2) for name in MATRIX_NAMES}


def test_coarse_units_are_settled_first_and_fine_ones_make_up_the_difference() -> None:
    ratios = _ratios(every=0.3)
    counts = zeroed_units(SHAPE, parse_pattern("head+neuron"), ratios)
    # 0.3 of 2 heads in each of 2 layers: 1.2 heads in all, rounded to 1, which the first layer gives.
    assert [counts[site] for site in list_sites(SHAPE, parse_pattern("head+neuron"))] == [1, 8, 0, 8]
    zeroed = sum(site.unit_weights * count for site, count in counts.items())
    assert abs(zeroed - 0.3 * TOTAL) <= 8


def test_half_a_unit_is_rounded_up() -> None:
    assert sum(zeroed_units(SHAPE, parse_pattern("head"), _ratios(
        query=0.125, key=0.125, value=0.125, attention_output=0.125
    )).values()) == 1  # fmt: skip


def test_all_and_nothing_are_met() -> None:
    pattern = parse_pattern("block:4x8")
    assert all(count == site.units for site, count in zeroed_units(SHAPE, pattern, _ratios(every=1.0)).items())
    assert not any(zeroed_units(SHAPE, pattern, _ratios()).values())


def test_ratios_that_a_pattern_cannot_give_are_refused() -> None:
    heads = parse_pattern("head")
    with pytest.raises(AebertError, match="prunes query, key, value, attention_output together; give them the same"):
        zeroed_units(SHAPE, heads, _ratios(query=0.5))
    with pytest.raises(
        AebertError, match=r"layer 0 ffn_in: ratio 0\.25, but pattern 'head' leaves it dense; make it 0"
    ):
        zeroed_units(SHAPE, heads, _ratios(ffn_in=0.25))
    for value in (-0.1, 1.1):
        with pytest.raises(AebertError, match=rf"layer 0 query: ratio {value} does not lie in \[0, 1\]"):
            zeroed_units(SHAPE, parse_pattern("unstructured"), _ratios(every=value))


def test_matrix_ratios_are_read_layer_by_layer(tmp_path: Path) -> None:
    path = tmp_path / "ratios.json"
    layers = [{name: (number + place) / 10 for place, name in enumerate(MATRIX_NAMES)} for number in range(2)]
    layers[0]["query"] = 0
    layers[1]["ffn_out"] = 1
    path.write_text(json.dumps(layers))
    assert read_matrix_ratios(path, SHAPE) == {
        (number, name): float(value) for number, layer in enumerate(layers) for name, value in layer.items()
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not valid JSON"),
        ("{}", "must be a list, not {}"),
        ("[]", "0 objects, expected a list of 2, one per layer"),
        ("[{}]", r"field \[0\]\.query: is missing"),
        ('[{"query": 1, "keys": 1}]', r"field \[0\]\.keys: is not known here; did you mean key\?"),
        ("[1, 2]", r"field \[0\]: must be a table, not 1"),
    ],
)
def test_a_malformed_ratio_file_is_refused_by_layer(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "ratios.json"
    path.write_text(content)
    with pytest.raises(AebertError, match=message):
        read_matrix_ratios(path, SHAPE)
    with pytest.raises(AebertError, match="cannot be read"):
        read_matrix_ratios(tmp_path / "absent.json", SHAPE)


@pytest.mark.parametrize("value", ["true", '"0.5"', "-0.1", "1.01", "null", "NaN"])
def test_a_ratio_that_is_none_is_refused_by_layer_and_matrix(tmp_path: Path, value: str) -> None:
    path = tmp_path / "ratios.json"
    good = ", ".join(f'"{name}": 0.5' for name in MATRIX_NAMES)
    wrong = good.replace('"value": 0.5', f'"value": {value}')
    path.write_text(f"[{{{good}}}, {{{wrong}}}]")
    with pytest.raises(AebertError, match=r"field \[1\]\.value: must (be a number|lie in 0\.\.1), not "):
        read_matrix_ratios(path, SHAPE)
