"""The quantiser keeps the encoder's meaning and the contract's ranges, and says where its error comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aebert.models import load_encoder
from aebert.models.calibration_text import calibration_texts, read_texts
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderShape, LayerNorm
from aebert.models.fp32_forward import layer_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.integers import NORM_SHIFT_MAX
from aebert.numerics.quantised import QuantisedLayerNorm
from aebert.numerics.reference.matmul import exact_matmul
from aebert.quantisation.contract_limits import check_contract
from aebert.quantisation.error_report import attribute_error, measure_error
from aebert.quantisation.input_scales import InputScale
from aebert.quantisation.integer_layer import NextInput, quantise_linear, quantise_norm
from aebert.quantisation.quantise import QuantisationResult, quantise, quantise_with_scales, take_tokens
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.quantisation.requantiser import ratio_of, requantiser_for
from aebert.quantisation.simulate import SimulatedLayer, real_linear, simulate_layer
from aebert.quantisation.tolerance import check_tolerance
from aebert.quantisation.weight_rounding import row_scales
from aebert.support.errors import AebertError
from tests.support.float_encoders import random_embeddings, random_encoder

SHAPE = EncoderShape(layers=2, hidden=32, heads=4, ffn=64, epsilon=1e-12, max_positions=512)
PLAIN = QuantisationConfig(smoothing_strengths=(), zero_point=False, balance_query_key=False, correct_bias=False)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return random_encoder(SHAPE, seed=1, density=0.5)


@pytest.fixture(scope="module")
def calibration() -> PackedStates:
    return random_embeddings(SHAPE, (3, 9, *[40] * 20), seed=2)


@pytest.fixture(scope="module")
def unseen() -> PackedStates:
    return random_embeddings(SHAPE, (1, 7, 25, 25), seed=3)


@pytest.fixture(scope="module")
def result(encoder: Encoder, calibration: PackedStates) -> QuantisationResult:
    return quantise_with_scales(encoder, calibration)


def test_unseen_inputs_stay_within_the_tolerance(
    encoder: Encoder, result: QuantisationResult, unseen: PackedStates
) -> None:
    verdict = check_tolerance(measure_error(encoder, result.encoder, unseen))
    assert verdict.passed, [check for check in verdict.checks if not check.passed]


def test_a_wrong_scale_is_outside_the_tolerance(
    encoder: Encoder, result: QuantisationResult, unseen: PackedStates
) -> None:
    first = result.encoder.layers[0]
    wrong = replace(first, gelu=replace(first.gelu, shift=first.gelu.shift + np.uint8(2)))
    damaged = replace(result.encoder, layers=(wrong, *result.encoder.layers[1:]))
    assert not check_tolerance(measure_error(encoder, damaged, unseen)).passed


def test_smoothing_zero_point_and_bias_correction_lower_the_error(
    encoder: Encoder, calibration: PackedStates, unseen: PackedStates, result: QuantisationResult
) -> None:
    plain = measure_error(encoder, quantise(encoder, calibration, PLAIN), unseen)
    full = measure_error(encoder, result.encoder, unseen)
    assert full.layers[-1].relative_error < 0.6 * plain.layers[-1].relative_error


def test_bias_correction_removes_the_mean_error(encoder: Encoder) -> None:
    linear = encoder.layers[0].ffn_out
    values = np.random.default_rng(5).exponential(1.0, (200, SHAPE.ffn)).astype(np.float32)
    target = values @ linear.weight.T + linear.bias
    scale = InputScale(np.full(SHAPE.ffn, 0.01, dtype=np.float32), zero_point=10)
    inputs = np.clip(np.rint(values / 0.01) + 10, 0, 255).astype(np.uint8)  # clipped at 2.45: the means shift

    def mean_error(correct: bool) -> float:
        unit = 2.0**-10
        made = quantise_linear("test", linear, scale, unit, inputs, target, QuantisationConfig(correct_bias=correct))
        products = exact_matmul(inputs, made.weight) + made.bias
        return float(np.abs((products * ratio_of(made.requantiser) * unit - target).mean(axis=0)).max())

    assert mean_error(True) < 1e-3 < 0.1 < mean_error(False)


def test_balance_keeps_scores_where_one_side_of_a_product_has_an_outlier(
    encoder: Encoder, calibration: PackedStates
) -> None:
    first = encoder.layers[0]
    factors = np.ones((SHAPE.hidden, 1), dtype=np.float32)
    factors[:: SHAPE.head_size] = 50.0
    query = replace(first.query, weight=first.query.weight * factors, bias=first.query.bias * factors[:, 0])
    key = replace(first.key, weight=first.key.weight / factors, bias=first.key.bias / factors[:, 0])
    lopsided = replace(encoder, layers=(replace(first, query=query, key=key), encoder.layers[1]))

    def query_error(balance: bool) -> float:
        config = replace(QuantisationConfig(), balance_query_key=balance)
        made = quantise_with_scales(lopsided, calibration, config)
        alone = dict(attribute_error(lopsided, made, calibration)[0].alone)
        return alone["query"] + alone["key"]

    assert query_error(True) < 0.2 * query_error(False)


def test_pruned_weights_stay_exactly_zero(encoder: Encoder, result: QuantisationResult) -> None:
    for exact, quantised in zip(encoder.layers, result.encoder.layers, strict=True):
        for name in MATRIX_NAMES:
            assert not quantised.matrix(name).weight[exact.matrix(name).weight == 0].any()
            assert quantised.matrix(name).weight.any()


def test_wholly_pruned_matrices_and_heads_are_held(encoder: Encoder, calibration: PackedStates) -> None:
    first = encoder.layers[0]
    empty = replace(
        first,
        query=replace(first.query, weight=np.zeros_like(first.query.weight), bias=np.zeros_like(first.query.bias)),
        value=replace(first.value, weight=np.zeros_like(first.value.weight)),
        ffn_in=replace(first.ffn_in, weight=np.zeros_like(first.ffn_in.weight), bias=np.zeros_like(first.ffn_in.bias)),
        ffn_out=replace(first.ffn_out, weight=np.zeros_like(first.ffn_out.weight)),
    )
    pruned = replace(encoder, layers=(empty, encoder.layers[1]))
    quantised = quantise(pruned, calibration)
    assert not quantised.layers[0].query.weight.any()
    assert check_tolerance(measure_error(pruned, quantised, calibration)).passed


def test_the_same_input_gives_the_same_digest_and_another_input_another(
    encoder: Encoder, calibration: PackedStates, result: QuantisationResult
) -> None:
    assert quantise(encoder, calibration).digest == result.encoder.digest
    assert quantise(encoder, calibration, PLAIN).digest != result.encoder.digest
    assert result.encoder.subnet_digest == encoder.digest


def test_integers_stand_for_the_real_weights(encoder: Encoder, result: QuantisationResult) -> None:
    for number, exact in enumerate(encoder.layers):
        simulated = SimulatedLayer(exact, result.encoder.layers[number], result.scales[number], SHAPE)
        for name in MATRIX_NAMES:
            got, wanted = real_linear(simulated, name).weight, exact.matrix(name).weight
            assert np.linalg.norm(got - wanted) < 0.03 * np.linalg.norm(wanted), (number, name)


def test_every_requantiser_is_the_ratio_of_the_steps_on_its_two_sides(
    encoder: Encoder, result: QuantisationResult
) -> None:
    """Of a product whose operands have steps a and b and whose result has step c: a * b / c (docs/numerics.md)."""
    for layer, quantised, scales in zip(encoder.layers, result.encoder.layers, result.scales, strict=True):
        sides = {
            "query": (scales.attention_input, scales.query),
            "key": (scales.attention_input, scales.key),
            "value": (scales.attention_input, scales.value),
            "attention_output": (scales.context, scales.residual),
            "ffn_in": (scales.ffn_input, 2.0**-scales.gelu_fraction_bits),
            "ffn_out": (scales.ffn_active, scales.middle),
        }
        for name in MATRIX_NAMES:
            step, output = sides[name]
            linear, requantiser = layer.matrix(name), quantised.matrix(name).requantiser
            row = row_scales(linear.weight * step.scale, linear.bias).astype(np.float64)
            assert ratio_of(requantiser) == pytest.approx(row / output, rel=2e-5), name
        nats = scales.score.astype(np.float64) / np.sqrt(SHAPE.head_size)
        # Exponents have steps of 1/64 nat, attention's averages of 1/256.
        assert ratio_of(quantised.scores) == pytest.approx(nats * 64, rel=2e-5)
        assert ratio_of(quantised.context) == pytest.approx(scales.value / (256 * scales.context.scale), rel=2e-5)
        gelu = 2.0**-scales.gelu_fraction_bits / scales.ffn_active.scale
        assert ratio_of(quantised.gelu) == pytest.approx(gelu, rel=2e-5)
        norm = quantised.attention_norm.requantiser
        assert ratio_of(norm) == pytest.approx(scales.middle / scales.ffn_input.scale, rel=2e-5)


def test_the_simulation_with_no_quantiser_on_is_fp32(
    encoder: Encoder, result: QuantisationResult, unseen: PackedStates
) -> None:
    simulated = SimulatedLayer(encoder.layers[0], result.encoder.layers[0], result.scales[0], SHAPE)
    exact = layer_forward(encoder.layers[0], SHAPE, unseen)
    torch.testing.assert_close(simulate_layer(simulated, unseen, frozenset()).values, exact.values)


def test_blame_of_all_quantisers_together_equals_the_integer_reference(
    encoder: Encoder, result: QuantisationResult, unseen: PackedStates
) -> None:
    together = attribute_error(encoder, result, unseen)[0].together
    measured = measure_error(encoder, result.encoder, unseen).layers[0].relative_error
    assert together == pytest.approx(measured, rel=0.25)


def test_blame_falls_on_the_quantiser_that_is_made_worse(
    encoder: Encoder, result: QuantisationResult, unseen: PackedStates
) -> None:
    def alone(scaled: QuantisationResult) -> dict[str, float]:
        return dict(attribute_error(encoder, scaled, unseen)[0].alone)

    scales = result.scales[0]
    coarse = replace(scales, context=replace(scales.context, scale=scales.context.scale * 64))
    worse = alone(QuantisationResult(result.encoder, (coarse, *result.scales[1:])))
    before = alone(result)
    assert worse["context"] > 4 * before["context"]
    assert worse["ffn_input"] == pytest.approx(before["ffn_input"])


def test_progress_is_told_layer_by_layer(encoder: Encoder, calibration: PackedStates) -> None:
    seen: list[tuple[int, int]] = []
    quantise(encoder, calibration, PLAIN, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_sequences_are_chosen_whole_short_and_long(calibration: PackedStates) -> None:
    taken = take_tokens(calibration, 300)
    assert taken.values.shape[0] == sum(taken.lengths) < sum(calibration.lengths)
    assert min(taken.lengths) == 3
    assert set(taken.lengths) <= set(calibration.lengths)
    torch.testing.assert_close(taken.values[:3], calibration.values[:3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 1028, "heads": 4}, "at most 1024"),
        ({"hidden": 30, "heads": 4}, "not a multiple"),
    ],
)
def test_sizes_outside_the_contract_are_refused(
    encoder: Encoder, calibration: PackedStates, change: dict[str, int], message: str
) -> None:
    with pytest.raises(AebertError, match=message):
        quantise(replace(encoder, shape=replace(SHAPE, **change)), calibration)


def test_unusable_calibration_is_refused(encoder: Encoder) -> None:
    with pytest.raises(AebertError, match="513 tokens"):
        quantise(encoder, random_embeddings(SHAPE, (513,), seed=0))
    with pytest.raises(AebertError, match="no sentences"):
        quantise(encoder, PackedStates(torch.zeros(0, 32), ()))
    with pytest.raises(AebertError, match="NaN"):
        quantise(encoder, PackedStates(torch.full((2, 32), float("nan")), (2,)))
    with pytest.raises(AebertError, match="16 channels"):
        quantise(encoder, PackedStates(torch.zeros(2, 16), (2,)))


def test_a_sum_that_overflows_the_accumulator_is_refused(result: QuantisationResult) -> None:
    first = result.encoder.layers[0]
    bias = np.full_like(first.ffn_out.bias, 2**31 - 1)
    full = replace(first, ffn_out=replace(first.ffn_out, bias=bias))
    with pytest.raises(AebertError, match=r"layers\.0\.ffn_out.*accumulator"):
        check_contract(replace(result.encoder, layers=(full, *result.encoder.layers[1:])))


@given(st.lists(st.floats(2.0**-31, 32000.0), min_size=1, max_size=8))
def test_a_requantiser_is_within_one_part_in_65536_of_its_ratio(ratios: list[float]) -> None:
    wanted = np.array(ratios)
    made = requantiser_for(wanted, "test")
    assert np.all(np.abs(ratio_of(made) - wanted) <= wanted * 2.0**-16)
    assert made.shift.min() >= 1
    assert made.shift.max() <= 47


def test_a_multiplier_that_would_round_to_17_bits_is_carried() -> None:
    """A ratio just below a power of two rounds to 2^16, which uint16 does not hold: half of it, one shift less."""
    ratio = np.array([1.0 - 2.0**-20, 0.5 - 2.0**-20, 1.0 - 2.0**-16, 0.25])
    made = requantiser_for(ratio, "test")
    assert made.multiplier.tolist() == [32768, 32768, 65535, 32768]
    assert made.shift.tolist() == [15, 16, 16, 17]


def test_a_multiplier_is_the_nearest_not_the_next_lower() -> None:
    made = requantiser_for(np.array([(40000 + 0.4) / 2**20, (40000 + 0.6) / 2**20]), "test")
    assert made.multiplier.tolist() == [40000, 40001]
    assert made.shift.tolist() == [20, 20]
    assert ratio_of(made).tolist() == [40000 / 2**20, 40001 / 2**20]


def test_the_smallest_and_largest_ratios_that_can_be_held() -> None:
    made = requantiser_for(np.array([0.0, 2.0**-48, 2.0**-47, 2.0**-32, 65535 / 2]), "test")
    assert made.multiplier.tolist() == [0, 0, 1, 32768, 65535]
    assert made.shift.tolist() == [16, 47, 47, 47, 1]
    for ratio in (65535.6 / 2, 32768.0):
        with pytest.raises(AebertError, match=r"test: requantisation ratio .*, at most 32767\.5; rescale the model"):
            requantiser_for(np.array([1.0, ratio]), "test")
    with pytest.raises(AebertError, match="not finite"):
        requantiser_for(np.array([1.0, -1e-9]), "test")
    with pytest.raises(AebertError, match="not finite"):
        requantiser_for(np.array([1.0, np.inf]), "test")


def test_a_ratio_that_no_multiplier_holds_is_refused() -> None:
    with pytest.raises(AebertError, match="rescale"):
        requantiser_for(np.array([1e6]), "test")
    with pytest.raises(AebertError, match="not finite"):
        requantiser_for(np.array([np.nan]), "test")


def test_minilm_embeddings_keep_their_direction_through_the_integers(minilm_directory: Path) -> None:
    texts = read_texts()
    calibration, unseen_texts = texts[:-12], texts[-12:]
    host = load_host_model(minilm_directory)
    encoder = load_encoder(minilm_directory)
    quantised = quantise(encoder, host.embed_texts(host.tokenise(calibration)))
    unseen = measure_error(encoder, quantised, host.embed_texts(host.tokenise(unseen_texts)))
    assert unseen.embedding_cosine >= 0.995
    assert check_tolerance(unseen).passed


def test_short_inputs_of_a_real_model_keep_their_embeddings(minilm_directory: Path) -> None:
    host, encoder = load_host_model(minilm_directory), load_encoder(minilm_directory)
    quantised = quantise(encoder, host.embed_texts(host.tokenise(calibration_texts())))
    texts = ["", "hello", "42", "x", "paris", "transformers", "two words", "yes"]
    error = measure_error(encoder, quantised, host.embed_texts(host.tokenise(texts)), host.sentence)
    # On sentences alone 0.87 and 0.48.
    assert error.lowest_embedding_cosine > 0.96
    assert error.by_length[0].longest == 2
    assert error.by_length[0].relative_error < 0.15
    assert sum(each.sequences for each in error.by_length) == len(texts)


def _norm(beta: float, gamma: float = 1.0) -> QuantisedLayerNorm:
    """Of four channels; the input's integer step is 0.25, that of the residual behind it 0.5."""
    norm = LayerNorm(np.full(4, gamma, np.float32), np.array([beta, 0.0, -beta, 0.0], np.float32))
    following = NextInput(0.5, InputScale(np.full(4, 0.125, np.float32)))
    return quantise_norm("layer 0, LayerNorm", norm, 1e-2, 0.25, following)


@pytest.mark.parametrize(("steps", "shift"), [(2.0**17 - 1, 14), (2.0**17, 13), (2.0**21, 9)])
def test_the_offsets_shift_leaves_room_for_its_largest_value(steps: float, shift: int) -> None:
    """An offset is an int32: 2^31 / offset is where the next shift would overflow."""
    found = _norm(beta=steps * 0.5)
    assert found.shift == shift
    assert found.offset.tolist() == [steps * 2**shift, 0, -steps * 2**shift, 0]


@pytest.mark.parametrize(("beta", "gamma"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_gains_and_offsets_of_nothing_but_zeros_bound_no_shift(beta: float, gamma: float) -> None:
    found = _norm(beta, gamma)
    assert found.shift == NORM_SHIFT_MAX
    assert (found.gain != 0).any() == (gamma != 0)
    assert (found.offset != 0).any() == (beta != 0)


def test_epsilon_is_in_the_units_of_the_summed_squares() -> None:
    """channels^2 x variance is what is summed, in steps of the input squared."""
    assert _norm(beta=1.0).epsilon == round(1e-2 * 4**2 / 0.25**2)
