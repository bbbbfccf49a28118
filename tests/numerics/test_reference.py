"""The vectorised reference computes docs/numerics.md, number by number, at plausible and at extreme inputs."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aebert.models.encoder import EncoderShape
from aebert.numerics.integers import (
    NORM_FRACTION_BITS,
    activation_delta_table,
    exp_table,
    inverse_sqrt,
    inverse_sqrt_seed_table,
    requantise,
    rounding_shift,
)
from aebert.numerics.quantised import QuantisedEncoder, Requantiser
from aebert.numerics.reference import from_residual, run_batch, run_encoder, to_residual, trace_encoder
from aebert.numerics.reference.matmul import exact_matmul
from aebert.numerics.reference.passes import attention_context, layer_norm
from aebert.quantisation.contract_limits import check_contract
from aebert.support.errors import AebertError
from tests.support import scalar_oracle
from tests.support.random_quantised import (
    random_extreme_encoder,
    random_quantised_encoder,
    random_residual,
    random_shape,
)


def assert_equals_oracle(encoder: QuantisedEncoder, residual: npt.NDArray[np.int16]) -> None:
    expected = scalar_oracle.run_encoder(encoder, residual)
    for number, (ours, oracle) in enumerate(zip(trace_encoder(encoder, residual), expected, strict=True)):
        for field in fields(oracle):
            np.testing.assert_array_equal(
                getattr(ours, field.name), getattr(oracle, field.name), err_msg=f"layer {number}, {field.name}"
            )


@st.composite
def shapes(draw: st.DrawFn) -> EncoderShape:
    heads = draw(st.integers(1, 3))
    head_size = draw(st.integers(1, 5))
    return random_shape(draw(st.integers(1, 2)), heads * head_size, heads, draw(st.integers(1, 12)))


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 1.0]))
def test_equals_the_scalar_oracle_on_plausible_encoders(
    shape: EncoderShape, tokens: int, seed: int, density: float
) -> None:
    encoder = random_quantised_encoder(shape, seed, density)
    assert_equals_oracle(encoder, random_residual(shape, tokens, seed))


@settings(max_examples=40, deadline=None)
@given(shapes(), st.integers(1, 4), st.integers(0, 2**31), st.data())
def test_equals_the_scalar_oracle_on_saturating_inputs(
    shape: EncoderShape, tokens: int, seed: int, data: st.DataObject
) -> None:
    extremes = st.sampled_from([-32767, -1, 0, 1, 32767])
    values = data.draw(st.lists(extremes, min_size=tokens * shape.hidden, max_size=tokens * shape.hidden))
    residual = np.array(values, dtype=np.int16).reshape(tokens, shape.hidden)
    assert_equals_oracle(random_quantised_encoder(shape, seed), residual)


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([0.3, 1.0]))
def test_equals_the_scalar_oracle_at_the_ends_of_the_contract(
    shape: EncoderShape, tokens: int, seed: int, density: float
) -> None:
    encoder = random_extreme_encoder(shape, seed, density)
    check_contract(encoder)
    assert_equals_oracle(encoder, random_residual(shape, tokens, seed))


def test_random_encoders_reach_everything_that_the_contract_allows() -> None:
    shape = random_shape(1, 6, 2, 6)
    plain = [random_quantised_encoder(shape, seed).layers[0] for seed in range(300)]
    extreme = [random_extreme_encoder(shape, seed).layers[0] for seed in range(300)]
    for layers in (plain, extreme):
        norms = [norm for layer in layers for norm in (layer.attention_norm, layer.ffn_norm)]
        assert {layer.gelu_fraction_bits for layer in layers} == set(range(7, 15))
        assert {norm.shift for norm in norms} == set(range(1, 16))
        assert {int(shift) for layer in layers for shift in layer.query.requantiser.shift} >= {1, 2, 46, 47}
        assert max(norm.epsilon for norm in norms) > 2**48
        assert max(layer.gelu_zero_point for layer in layers) > 240
    assert {norm.epsilon for layer in extreme for norm in (layer.ffn_norm,)} >= {1, 2**32 - 1, 2**32, 2**50}


@given(st.integers(-(2**40), 2**40), st.integers(0, 16))
def test_a_rounding_shift_rounds_half_up_by_any_number_of_bits(value: int, shift: int) -> None:
    expected = scalar_oracle.rs(value, shift)
    assert int(rounding_shift(np.array([value]), shift)[0]) == expected
    assert int(rounding_shift(np.int64(value), shift)) == expected


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 65535), st.integers(1, 47))
@example(1, 1, 1)
@example(-1, 1, 1)
@example(-(2**31), 65535, 1)
def test_requantisation_is_exact_over_the_whole_of_int32(value: int, multiplier: int, shift: int) -> None:
    got = requantise(np.array([value]), np.array([multiplier], np.uint16), np.array([shift], np.uint8))
    assert int(got[0]) == scalar_oracle.rs(value * multiplier, shift)


@given(st.integers(0, 50).flatmap(lambda bits: st.integers(1 << bits, (2 << bits) - 1)))
@example(1)
@example(2**51 - 1)
def test_the_inverse_square_root_is_the_oracles_and_near_the_real_one(value: int) -> None:
    got, k = inverse_sqrt(np.array([value]))
    assert (int(got[0]), int(k[0])) == scalar_oracle.inverse_sqrt(value)
    assert int(got[0]) * math.sqrt(value) / 2.0 ** (32 + int(k[0])) == pytest.approx(1.0, abs=2**-15)


def test_the_reciprocal_of_a_sum_is_floored_before_it_weighs_the_values() -> None:
    """511 keys alike: 2^31 / 130305 has a fraction of 0.43, which would lift the average of 127 by a unit of 1/256."""
    probabilities = np.full((1, 1, 1, 511), 255, np.uint8)
    value = np.full((1, 1, 511, 1), 127, np.int8)
    # 127 * 256 = 32512 lies on the border between 63 and 64 of this requantiser.
    context = attention_context(probabilities, value, Requantiser(np.array([1], np.uint16), np.array([9], np.uint8)))
    assert context.tolist() == [[[[63]]]]


def test_a_normalised_value_has_the_fraction_bits_of_the_contract() -> None:
    """Two channels one apart from their mean: 1 in units of 2^-12."""
    norm = random_quantised_encoder(random_shape(1, 2, 1, 1), 0).layers[0].ffn_norm
    plain = replace(norm, gain=np.array([2, 2], np.int32), offset=np.zeros(2, np.int32), shift=1, epsilon=1)
    residual, _ = layer_norm(np.array([[1000, -1000]], np.int16), plain)
    np.testing.assert_allclose(residual, [[1 << NORM_FRACTION_BITS, -(1 << NORM_FRACTION_BITS)]], atol=1)
    assert 1 << NORM_FRACTION_BITS == 4096


def test_the_tables_are_those_of_the_contract() -> None:
    assert exp_table().tolist() == scalar_oracle.EXP
    assert activation_delta_table("gelu").tolist() == scalar_oracle.DELTA
    assert inverse_sqrt_seed_table().tolist() == scalar_oracle.SEED


@pytest.mark.parametrize("tokens", [1, 512])
def test_equals_the_scalar_oracle_at_the_shortest_and_longest_sequence(tokens: int) -> None:
    shape = random_shape(1, 4, 1, 4)
    assert_equals_oracle(random_quantised_encoder(shape, 5), random_residual(shape, tokens, 6))


def test_equals_the_scalar_oracle_where_every_channel_of_a_token_is_equal() -> None:
    shape = random_shape(2, 6, 2, 8)
    residual = np.repeat(np.array([[0], [-32767], [32767], [5]], dtype=np.int16), shape.hidden, axis=1)
    assert_equals_oracle(random_quantised_encoder(shape, 3), residual)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("terms", [1, 517, 518, 519, 520, 1036, 1040, 1041, 1557, 2081, 2100])
def test_the_largest_sums_are_exact(dtype: type[np.int8] | type[np.uint8], sign: int, terms: int) -> None:
    """All terms as large as their type allows, and all but one: the first bit that float32 would lose is in a sum."""
    largest = 255 if dtype is np.uint8 else 127
    inputs = np.full((2, terms), largest, dtype)
    inputs[1, -1] -= 1
    weight = np.full((2, terms), sign * 127, np.int8)
    weight[1, 0] = sign * 126
    np.testing.assert_array_equal(exact_matmul(inputs, weight), inputs.astype(np.int64) @ weight.astype(np.int64).T)


def test_a_product_of_many_matrices_has_their_leading_axes() -> None:
    random = np.random.default_rng(0)
    inputs = random.integers(-127, 128, (2, 3, 4, 1100)).astype(np.int8)
    weight = random.integers(-127, 128, (2, 3, 5, 1100)).astype(np.int8)
    expected = np.einsum("abij,abkj->abik", inputs.astype(np.int64), weight.astype(np.int64))
    np.testing.assert_array_equal(exact_matmul(inputs, weight), expected)


def test_many_sequences_at_once_equal_each_one_alone() -> None:
    shape = random_shape(2, 12, 3, 20)
    encoder = random_quantised_encoder(shape, 11, 0.5)
    residuals = [random_residual(shape, tokens, seed) for seed, tokens in enumerate([3, 1, 7, 3, 2, 7, 1])]
    seen: dict[int, list[npt.NDArray[np.int16]]] = {}
    together = run_batch(encoder, residuals, on_layer=lambda number, outputs: seen.update({number: outputs}))
    for number, residual in enumerate(residuals):
        alone = trace_encoder(encoder, residual)
        np.testing.assert_array_equal(together[number], alone[-1].ffn_out)
        np.testing.assert_array_equal(run_encoder(encoder, residual), alone[-1].ffn_out)
        for layer, trace in enumerate(alone):
            np.testing.assert_array_equal(seen[layer][number], trace.ffn_out)


def test_random_encoders_put_out_neither_constants_nor_saturated_values() -> None:
    shape = random_shape(3, 24, 3, 48)
    for density in (1.0, 0.25):
        encoder = random_quantised_encoder(shape, 21, density)
        for trace in trace_encoder(encoder, random_residual(shape, 16, 22)):
            limits = (
                (trace.query, 127), (trace.key, 127), (trace.value, 127), (trace.context, 127),
                (trace.attention_output, 32767), (trace.ffn_input, 127), (trace.ffn_in, 255), (trace.ffn_out, 32767),
            )  # fmt: skip
            for tensor, limit in limits:
                assert np.mean(np.abs(tensor.astype(np.int64)) >= limit) < 0.25
                assert np.std(tensor.astype(np.float64)) > limit / 50
            assert 0.02 < np.mean(trace.probabilities) / 255 < 0.8


def test_a_residual_of_the_wrong_type_width_or_length_is_refused() -> None:
    shape = random_shape(1, 4, 1, 4)
    encoder = random_quantised_encoder(shape, 0)
    with pytest.raises(AebertError, match="expected int16"):
        run_encoder(encoder, np.zeros((2, 4), dtype=np.int32))
    with pytest.raises(AebertError, match=r"\[tokens, 4\]"):
        run_encoder(encoder, np.zeros((2, 5), dtype=np.int16))
    with pytest.raises(AebertError, match="513 tokens"):
        run_batch(encoder, [np.zeros((513, 4), dtype=np.int16)])


def test_a_residual_ties_to_even_and_saturates_symmetrically() -> None:
    hidden = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 40000.0, -40000.0], np.float32)
    np.testing.assert_array_equal(to_residual(hidden, 1.0), [0, 2, 2, 0, -2, 32767, -32767])
    assert from_residual(np.array([3], np.int16), 0.25).tolist() == [0.75]
    assert from_residual(np.array([3], np.int16), 0.25).dtype == np.float32


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20), st.floats(1e-3, 1.0))
def test_a_residual_is_within_half_a_step_of_the_real_value_or_saturated(values: list[float], scale: float) -> None:
    hidden = np.array(values, dtype=np.float32)
    residual = to_residual(hidden, scale)
    inside = np.abs(hidden) <= 32767 * scale
    error = np.abs(from_residual(residual, scale) - hidden)
    assert np.all(error[inside] <= scale * 0.5 + 1e-5)
    assert np.all(np.abs(residual[~inside]) == 32767)
