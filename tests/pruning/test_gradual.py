"""Gradual removal: nested masks that keep to the pattern, and less error than ranking once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.models.encoder import EncoderShape, Linear
from aebert.pruning.compensation import compensate_kept, regularised_covariance
from aebert.pruning.gradual import GradualRemoval
from aebert.pruning.input_moments import InputMoments
from aebert.pruning.saliency import SALIENCIES, Saliency, sum_units, weight_scores
from aebert.pruning.unit_counts import Site, list_sites
from aebert.pruning.zero_patterns import Pattern, parse_pattern

SHAPE = EncoderShape(layers=1, hidden=48, heads=2, ffn=96, epsilon=1e-12, max_positions=32)
PATTERNS = ("unstructured", "block:4x4", "row-block:4x4", "column-block:4x4", "vector:4x1", "vector:4x1/32")


def _problem(seed: int) -> tuple[Linear, InputMoments]:
    random = np.random.default_rng(seed)
    samples = random.normal(size=(400, 48)) @ random.normal(size=(48, 48))
    moments = InputMoments(400, samples.mean(axis=0), samples.T @ samples / 400)
    return Linear(random.normal(size=(48, 48)).astype(np.float32), np.zeros(48, np.float32)), moments


def _removal(seed: int, spelling: str, saliency: Saliency) -> tuple[GradualRemoval, Site, Pattern]:
    linear, moments = _problem(seed)
    pattern = parse_pattern(spelling)
    site = list_sites(SHAPE, pattern)[0]
    return GradualRemoval(linear, site, SHAPE, pattern, saliency, moments), site, pattern


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**31),
    st.sampled_from(PATTERNS),
    st.sampled_from(SALIENCIES),
    st.sets(st.floats(0, 1), min_size=1, max_size=5),
    st.floats(0, 1),
)
def test_masks_are_nested_exact_and_keep_to_the_pattern(
    seed: int, spelling: str, saliency: Saliency, shares: set[float], between: float
) -> None:
    removal, site, pattern = _removal(seed, spelling, saliency)
    # Whole tiles, as grids have them; patterns without tiles take any count.
    tile = 16 if spelling == "vector:4x1" else 1
    counts = sorted({round(share * site.units / tile) * tile for share in shares}, reverse=True)
    before = np.ones((48, 48), bool)
    for level in removal.levels(counts):
        assert level.mask.sum() == level.kept * site.unit_weights
        assert not (level.mask & ~before).any()
        assert not level.linear.weight[~level.mask].any()
        before = level.mask
    assert sorted(removal.rank.ravel().tolist()) == list(range(site.units))
    kept = round(between * site.units)
    chosen = removal.rank < kept
    # A mask keeps to a pattern if the pattern, asked for so many of its units, gives it back.
    np.testing.assert_array_equal(pattern.select(chosen.astype(float), kept), chosen)


@pytest.mark.parametrize("spelling", ["unstructured", "vector:4x1"])
@pytest.mark.parametrize("saliency", ["activation", "second-order"])
def test_it_leaves_less_error_than_one_ranking_and_a_correction_of_each_level(
    spelling: str, saliency: Saliency
) -> None:
    ratio = []
    for seed in range(4):
        linear, moments = _problem(seed)
        removal, site, pattern = _removal(seed, spelling, saliency)
        order = pattern.rank(sum_units(weight_scores(linear.weight, saliency, moments), pattern.unit_shape))
        hessian = regularised_covariance(moments).numpy()

        def error(weight: np.ndarray, linear: Linear = linear, hessian: np.ndarray = hessian) -> float:
            lost = weight.astype(np.float64) - linear.weight
            return float(((lost @ hessian) * lost).sum())

        counts = [round(site.units * left / 160) * 10 for left in range(14, 2, -2)]
        counts = [count // 16 * 16 for count in counts]
        for level in list(removal.levels(counts))[1:]:
            mask = np.repeat(order < level.kept, pattern.unit_shape[0], axis=0)
            ratio.append(error(level.linear.weight) / error(compensate_kept(linear, mask, moments).weight))
    assert np.exp(np.mean(np.log(ratio))) < 0.97


def test_heads_have_no_levels_of_one_matrix() -> None:
    with pytest.raises(ValueError, match="no mask of one matrix alone"):
        _removal(0, "head", "activation")
