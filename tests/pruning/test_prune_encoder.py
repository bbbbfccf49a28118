"""The prune step on a tiny encoder: real zeros, saliency, least squares, refinement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, Linear, MatrixName
from aebert.models.fp32_forward import encoder_forward
from aebert.models.packed_sequences import PackedStates
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.compensation import (
    RIDGE,
    compensate_kept,
    reconstruction,
    regularised_covariance,
    solve_kept,
)
from aebert.pruning.input_moments import InputMoments, input_moments, iterate_moments
from aebert.pruning.refine import refine_encoder
from aebert.pruning.saliency import SALIENCIES, weight_scores
from aebert.pruning.subnet import zero_counts
from aebert.pruning.unit_counts import uniform_ratios
from aebert.support.errors import AebertError


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> Encoder:
    return load_encoder(tiny_bert)


def random_states(seed: int, sequences: int = 60, length: int = 12, hidden: int = 32) -> PackedStates:
    """Embeddings with strongly correlated channels, as real ones have."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(hidden, hidden, generator=torch.Generator().manual_seed(99)) / hidden**0.5
    values = torch.randn(sequences * length, hidden, generator=generator) @ mixing
    return PackedStates(values + 0.5, (length,) * sequences)


def output_error(encoder: Encoder, pruned: Encoder) -> float:
    states = random_states(seed=5)
    difference = encoder_forward(encoder, states).values - encoder_forward(pruned, states).values
    return float(difference.square().mean())


def real_ratio(encoder: Encoder) -> float:
    weights = sum(linear.weight.size for _, _, linear in encoder.matrices())
    return sum(sum(layer.values()) for layer in zero_counts(encoder)) / weights


@pytest.mark.parametrize("spelling", ["unstructured", "block:4x4", "column-block:8x4", "vector:4x1", "head+neuron"])
@pytest.mark.parametrize("compensate", [False, True])
def test_the_real_zeros_meet_the_ratio_and_lie_where_the_mask_says(
    encoder: Encoder, spelling: str, compensate: bool
) -> None:
    moments = iterate_moments(encoder, random_states(0))
    pruned = prune_encoder(encoder, parse_pattern(spelling), 0.5, "activation", moments, compensate)
    assert real_ratio(pruned.encoder) == 0.5
    for layer, name, linear in pruned.encoder.matrices():
        np.testing.assert_array_equal(linear.weight != 0, pruned.masks[layer, name])
        assert linear.weight.dtype == np.float32
        assert linear.weight.flags.c_contiguous
    assert pruned.source_digest == encoder.digest != pruned.encoder.digest


def test_a_ratio_of_zero_changes_nothing(encoder: Encoder) -> None:
    assert prune_encoder(encoder, parse_pattern("vector:4x1"), 0.0).encoder.digest == encoder.digest


def test_magnitude_keeps_the_largest_weights_of_each_matrix(encoder: Encoder) -> None:
    pruned = prune_encoder(encoder, parse_pattern("unstructured"), 0.75)
    for layer, name, linear in encoder.matrices():
        mask, size = pruned.masks[layer, name], np.abs(linear.weight)
        assert size[mask].min() >= size[~mask].max()
        np.testing.assert_array_equal(pruned.encoder.layers[layer].matrix(name).weight[mask], linear.weight[mask])


def test_activation_saliency_spares_the_inputs_that_are_large(encoder: Encoder) -> None:
    states = random_states(0)
    loud = states.with_values(states.values * torch.where(torch.arange(32) == 7, 50.0, 1.0))
    pruned = prune_encoder(encoder, parse_pattern("unstructured"), 0.75, "activation", iterate_moments(encoder, loud))
    query = pruned.masks[0, "query"]
    assert query[:, 7].mean() > 0.95
    assert query.mean() == 0.25


def test_removed_heads_and_neurons_are_zero_in_every_matrix_they_touch(encoder: Encoder) -> None:
    masks = prune_encoder(encoder, parse_pattern("head+neuron"), 0.5).masks
    for layer in range(2):
        heads = masks[layer, "value"].reshape(4, -1)
        assert {bool(value) for row in heads for value in np.unique(row)} == {True, False}
        assert all(len(np.unique(row)) == 1 for row in heads)
        for name in ("query", "key"):
            np.testing.assert_array_equal(masks[layer, name], masks[layer, "value"])
        np.testing.assert_array_equal(masks[layer, "attention_output"], masks[layer, "value"].T)
        np.testing.assert_array_equal(masks[layer, "ffn_out"], masks[layer, "ffn_in"].T)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.1, 0.9), st.integers(2, 24))
def test_the_correction_equals_a_direct_solve_of_the_normal_equations(seed: int, density: float, inputs: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.normal(size=(200, inputs)) @ random.normal(size=(inputs, inputs)) + random.normal(size=inputs)
    moments = input_moments(torch.from_numpy(samples.astype(np.float32)))
    linear = Linear(random.normal(size=(5, inputs)).astype(np.float32), random.normal(size=5).astype(np.float32))
    mask = random.random((5, inputs)) < density
    problem = reconstruction(linear, moments)
    solved = solve_kept(problem, torch.from_numpy(mask), problem.weight, tolerance=1e-6, max_iterations=500)
    weight = (solved.double() / problem.scale).numpy()
    hessian = moments.covariance + RIDGE * np.trace(moments.covariance) / inputs * np.eye(inputs)
    dense = linear.weight.astype(np.float64)
    for row in range(5):
        kept = np.flatnonzero(mask[row])
        exact = np.zeros(inputs)
        exact[kept] = np.linalg.solve(hessian[np.ix_(kept, kept)], (dense[row] @ hessian)[kept])
        loss = [float((v - dense[row]) @ hessian @ (v - dense[row])) for v in (weight[row], exact)]
        assert loss[0] <= loss[1] + 1e-4 * float(dense[row] @ hessian @ dense[row])


def test_the_correction_keeps_the_mean_output(encoder: Encoder) -> None:
    inputs = random_states(1).values
    linear = encoder.layers[0].query
    mask = np.random.default_rng(0).random(linear.weight.shape) < 0.5
    corrected = compensate_kept(linear, mask, input_moments(inputs))
    means = [inputs.numpy().mean(axis=0) @ part.weight.T + part.bias for part in (linear, corrected)]
    np.testing.assert_allclose(means[0], means[1], atol=1e-4)


def test_inputs_that_never_vary_do_not_break_the_correction() -> None:
    linear = Linear(np.ones((2, 4), np.float32), np.zeros(2, np.float32))
    still = InputMoments(10, np.full(4, 2.0), np.full((4, 4), 4.0))
    mask = np.array([[True, False, True, False]] * 2)
    corrected = compensate_kept(linear, mask, still)
    assert np.isfinite(corrected.weight).all()
    np.testing.assert_allclose(corrected.weight @ still.mean + corrected.bias, [8.0, 8.0], rtol=1e-5)


@pytest.mark.parametrize("spelling", ["unstructured", "vector:4x1", "block:4x4"])
def test_each_step_brings_the_output_nearer_to_the_dense_model(encoder: Encoder, spelling: str) -> None:
    pattern, states = parse_pattern(spelling), random_states(0, sequences=200)
    plain = prune_encoder(encoder, pattern, 0.5).encoder
    corrected = prune_encoder(encoder, pattern, 0.5, "activation", iterate_moments(encoder, states), True).encoder
    refined = refine_encoder(encoder, pattern, 0.5, states)
    assert output_error(encoder, corrected) < 0.8 * output_error(encoder, plain)
    assert output_error(encoder, refined.encoder) < output_error(encoder, corrected)
    assert real_ratio(refined.encoder) == 0.5
    for (layer, name), mask in refined.masks.items():
        np.testing.assert_array_equal(refined.encoder.layers[layer].matrix(name).weight != 0, mask)


@pytest.mark.parametrize("gone", ["value", "ffn_in", "ffn_out"])
def test_a_matrix_that_is_dropped_whole_leaves_constant_inputs_that_the_next_one_is_fitted_to(
    encoder: Encoder, gone: MatrixName
) -> None:
    ratios = {(layer, name): 0.5 for layer, name, _ in encoder.matrices()} | {(1, gone): 1.0}
    refined = refine_encoder(encoder, parse_pattern("unstructured"), ratios, random_states(0, sequences=200))
    assert not refined.encoder.layers[1].matrix(gone).weight.any()
    for _, _, linear in refined.encoder.matrices():
        assert np.isfinite(linear.weight).all()
        assert np.isfinite(linear.bias).all()


@pytest.mark.parametrize(("spelling", "ratio"), [("neuron", 0.25), ("head+neuron", 0.5)])
def test_refined_heads_and_neurons_are_nearer_to_the_dense_model_than_corrected_ones(
    encoder: Encoder, spelling: str, ratio: float
) -> None:
    pattern, states = parse_pattern(spelling), random_states(0, sequences=200)
    corrected = prune_encoder(encoder, pattern, ratio, "activation", iterate_moments(encoder, states), True)
    refined = refine_encoder(encoder, pattern, ratio, states)
    assert output_error(encoder, refined.encoder) < output_error(encoder, corrected.encoder)
    assert zero_counts(refined.encoder) == zero_counts(corrected.encoder)
    for (layer, name), mask in refined.masks.items():
        np.testing.assert_array_equal(refined.encoder.layers[layer].matrix(name).weight != 0, mask)


def test_moments_are_those_of_the_inputs() -> None:
    inputs = random_states(3, sequences=300).values  # more than one chunk
    moments = input_moments(inputs)
    exact = inputs.double().numpy()
    np.testing.assert_allclose(moments.second, exact.T @ exact / len(exact), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments.covariance, np.cov(exact.T, bias=True), rtol=1e-4, atol=1e-5)
    assert moments.tokens == len(exact)


def test_ratios_per_matrix_are_met_one_by_one(encoder: Encoder) -> None:
    ratios = dict.fromkeys(uniform_ratios(encoder.shape, parse_pattern("unstructured"), 0.5), 0.25)
    ratios[1, "ffn_out"] = 0.75
    zeros = zero_counts(prune_encoder(encoder, parse_pattern("unstructured"), ratios).encoder)
    assert zeros[1]["ffn_out"] == 0.75 * 32 * 64
    assert all(zeros[0][name] == 0.25 * encoder.layers[0].matrix(name).weight.size for name in MATRIX_NAMES)


def test_what_cannot_be_done_is_said(encoder: Encoder) -> None:
    with pytest.raises(AebertError, match="need moments"):
        prune_encoder(encoder, parse_pattern("unstructured"), 0.5, "activation")


def test_second_order_saliency_is_the_error_left_when_the_rest_of_the_row_makes_up_for_a_weight() -> None:
    random = np.random.default_rng(0)
    inputs = 8
    moments = input_moments(random_states(3, hidden=inputs).values)
    hessian = regularised_covariance(moments).numpy()
    weight = random.normal(size=(1, inputs)).astype(np.float32)
    scores = weight_scores(weight, "second-order", moments)
    for removed in range(inputs):
        kept = np.delete(np.arange(inputs), removed)
        change = np.zeros(inputs)
        change[removed] = -weight[0, removed]
        change[kept] = np.linalg.solve(hessian[np.ix_(kept, kept)], -hessian[kept, removed] * change[removed])
        assert scores[0, removed] == pytest.approx(change @ hessian @ change, rel=1e-6)


def test_second_order_saliency_leaves_less_error_than_magnitude_once_corrected(encoder: Encoder) -> None:
    pattern, states = parse_pattern("unstructured"), random_states(0, sequences=200)
    magnitude, second_order = (
        prune_encoder(encoder, pattern, 0.5, saliency, iterate_moments(encoder, states), compensate=True).encoder
        for saliency in SALIENCIES
        if saliency != "activation"
    )
    assert output_error(encoder, second_order) < output_error(encoder, magnitude)
