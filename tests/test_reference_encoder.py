"""The vectorised reference computes docs/numerics.md, number by number, at plausible and at extreme inputs."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.encoder import EncoderShape
from aebert.errors import AebertError
from aebert.quantised import QuantisedEncoder
from aebert.reference import from_residual, run_batch, run_encoder, to_residual, trace_encoder
from aebert.reference.matmul import exact_matmul
from tests.support import scalar_oracle
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape


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


@pytest.mark.parametrize("tokens", [1, 512])
def test_equals_the_scalar_oracle_at_the_shortest_and_longest_sequence(tokens: int) -> None:
    shape = random_shape(1, 4, 1, 4)
    assert_equals_oracle(random_quantised_encoder(shape, 5), random_residual(shape, tokens, 6))


def test_equals_the_scalar_oracle_where_every_channel_of_a_token_is_equal() -> None:
    shape = random_shape(2, 6, 2, 8)
    residual = np.repeat(np.array([[0], [-32767], [32767], [5]], dtype=np.int16), shape.hidden, axis=1)
    assert_equals_oracle(random_quantised_encoder(shape, 3), residual)


@given(st.sampled_from([np.int8, np.uint8]), st.sampled_from([1, 512, 518, 519, 1040, 1041, 3072]), st.integers(0, 99))
def test_the_largest_products_are_summed_exactly(dtype: type[np.int8] | type[np.uint8], terms: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    largest = 255 if dtype is np.uint8 else 127
    # Odd and all of one sign: the first bit that float32 would lose is in every sum.
    inputs = (largest - 2 * random.integers(0, 2, (3, terms))).astype(dtype)
    weight = (127 - 2 * random.integers(0, 2, (2, terms))).astype(np.int8)
    np.testing.assert_array_equal(exact_matmul(inputs, weight), inputs.astype(np.int64) @ weight.astype(np.int64).T)


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


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20), st.floats(1e-3, 1.0))
def test_a_residual_is_within_half_a_step_of_the_real_value_or_saturated(values: list[float], scale: float) -> None:
    hidden = np.array(values, dtype=np.float32)
    residual = to_residual(hidden, scale)
    inside = np.abs(hidden) <= 32767 * scale
    error = np.abs(from_residual(residual, scale) - hidden)
    assert np.all(error[inside] <= scale * 0.5 + 1e-5)
    assert np.all(np.abs(residual[~inside]) == 32767)
