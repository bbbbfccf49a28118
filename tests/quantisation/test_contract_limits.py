"""Every limit of docs/numerics.md is held to exactly: its last value passes, the next is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aebert.models.encoder import EncoderShape
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer
from aebert.quantisation.contract_limits import check_contract, check_shape
from aebert.support.errors import AebertError
from tests.support.random_quantised import random_quantised_encoder, random_shape

SHAPE = random_shape(2, 8, 2, 12)
ENCODER = random_quantised_encoder(SHAPE, seed=2)
AGAIN = "quantise the subnet again"


def _changed(path: str, value: Any) -> QuantisedEncoder:
    """The encoder with the field at ``path`` of its second layer replaced."""
    *parents, last = path.split(".")
    chain: list[Any] = [ENCODER.layers[1]]
    for parent in parents:
        chain.append(getattr(chain[-1], parent))
    made = replace(chain[-1], **{last: value})
    for owner, name in zip(reversed(chain[:-1]), reversed(parents), strict=True):
        made = replace(owner, **{name: made})
    assert isinstance(made, QuantisedLayer)
    return replace(ENCODER, layers=(ENCODER.layers[0], made))


def _filled(path: str, value: int) -> np.ndarray:
    """The array at ``path`` with one entry of ``value``."""
    found: Any = ENCODER.layers[1]
    for part in path.split("."):
        found = getattr(found, part)
    array: np.ndarray = found.copy()
    array.flat[-1] = value
    return array


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        ("query.requantiser.shift", 1, 47),
        ("scores.shift", 1, 47),
        ("context.shift", 1, 47),
        ("gelu.shift", 1, 47),
        ("ffn_norm.requantiser.shift", 1, 47),
        ("attention_norm.gain", 1 - (1 << 26), (1 << 26) - 1),
        ("ffn_out.weight", -127, 127),
    ],
)
def test_arrays_keep_to_their_range(path: str, low: int, high: int) -> None:
    for value in (low, high):
        check_contract(_changed(path, _filled(path, value)))
    for value in (low - 1, high + 1):
        if path == "ffn_out.weight" and value > 127:
            continue  # int8 does not hold it
        with pytest.raises(AebertError, match=rf"layers.1.{path}: values outside \[{low}, {high}\]; {AGAIN}"):
            check_contract(_changed(path, _filled(path, value)))


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        ("gelu_fraction_bits", 7, 14),
        ("gelu_zero_point", 0, 255),
        ("attention_norm.shift", 1, 15),
        ("ffn_norm.epsilon", 1, 1 << 50),
    ],
)
def test_numbers_keep_to_their_range(path: str, low: int, high: int) -> None:
    for value in (low, high):
        check_contract(_changed(path, value))
    for value in (low - 1, high + 1):
        with pytest.raises(AebertError, match=rf"layers.1.{path}: values outside \[{low}, {high}\]; {AGAIN}"):
            check_contract(_changed(path, value))


@pytest.mark.parametrize("path", ["ffn_norm.scale", "attention_norm.scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_is_a_positive_number(path: str, value: float) -> None:
    with pytest.raises(AebertError, match=rf"layers.1.{path}: {value} is no positive number; {AGAIN}"):
        check_contract(_changed(path, value))
    with pytest.raises(AebertError, match=rf"input_scale: {value} is no positive number; {AGAIN}"):
        check_contract(replace(ENCODER, input_scale=value))


def test_a_sum_may_reach_the_last_value_of_the_accumulator() -> None:
    layer = ENCODER.layers[1]
    magnitude = int(np.abs(layer.ffn_in.weight.astype(int)).sum(axis=1).max())
    row = int(np.abs(layer.ffn_in.weight.astype(int)).sum(axis=1).argmax())
    for bias, accepted in (((1 << 31) - 1 - 255 * magnitude, True), ((1 << 31) - 255 * magnitude, False)):
        for sign in (1, -1):
            array = np.zeros(12, np.int32)
            array[row] = sign * bias
            if accepted:
                check_contract(_changed("ffn_in.bias", array))
            else:
                with pytest.raises(AebertError, match=f"layers.1.ffn_in: a sum may reach {1 << 31}, over the int32"):
                    check_contract(_changed("ffn_in.bias", array))


ARRAYS = (
    "query.weight", "key.bias", "value.requantiser.multiplier", "attention_output.requantiser.shift", "ffn_in.weight",
    "ffn_out.bias", "attention_norm.gain", "ffn_norm.offset", "scores.multiplier", "context.shift", "gelu.multiplier",
    "attention_norm.requantiser.shift",
)  # fmt: skip


@pytest.mark.parametrize("path", ARRAYS)
def test_an_array_of_another_type_or_shape_is_refused_by_name(path: str) -> None:
    right = _filled(path, 1)
    for wrong in (right.astype(np.int64), right[:-1], right[..., None]):
        words = rf"layers.1.{path}: {wrong.dtype} .*, expected {right.dtype} .*; {AGAIN}"
        with pytest.raises(AebertError, match=words):
            check_contract(_changed(path, wrong))


def test_the_first_requantiser_and_the_number_of_layers_are_checked() -> None:
    check_contract(ENCODER)
    short = replace(ENCODER.input_requantiser, shift=ENCODER.input_requantiser.shift[:-1])
    with pytest.raises(AebertError, match=r"input_requantiser\.shift: uint8 \[7\], expected uint8 \[8\]"):
        check_contract(replace(ENCODER, input_requantiser=short))
    with pytest.raises(AebertError, match=f"layers: 1, expected 2; {AGAIN}"):
        check_contract(replace(ENCODER, layers=ENCODER.layers[:1]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (random_shape(0, 8, 2, 12), "must be at least 1"),
        (random_shape(1, 8, 2, 0), "must be at least 1"),
        (random_shape(1, 1025, 1, 12), "hidden size 1025: LayerNorm sums hold at most 1024"),
        (random_shape(1, 8, 3, 12), "hidden size 8: not a multiple of 3 heads"),
    ],
)
def test_a_shape_that_the_contract_does_not_cover_is_refused(shape: EncoderShape, message: str) -> None:
    with pytest.raises(AebertError, match=message):
        check_shape(shape)
    check_shape(random_shape(1, 1024, 1, 1))
    check_shape(random_shape(1, 1, 1, 1))
