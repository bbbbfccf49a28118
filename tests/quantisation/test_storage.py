"""A stored quantised encoder comes back as it was, or is refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from aebert.numerics.quantised import QuantisedEncoder
from aebert.quantisation.flat_tensors import assemble, header_of, sealed, tensors_of
from aebert.quantisation.storage import HEADER_FILE, TENSORS_FILE, load_quantised, save_quantised
from aebert.support.errors import AebertError
from tests.support.random_quantised import random_quantised_encoder, random_shape


@pytest.fixture
def encoder() -> QuantisedEncoder:
    return random_quantised_encoder(random_shape(2, 8, 2, 12), seed=4, density=0.5)


@pytest.fixture
def stored(encoder: QuantisedEncoder, tmp_path: Path) -> Path:
    save_quantised(encoder, tmp_path / "stored")
    return tmp_path / "stored"


def edit_header(directory: Path, field: str, value: object) -> None:
    path = directory / HEADER_FILE
    header = json.loads(path.read_text())
    header[field] = value
    path.write_text(json.dumps(header))


def test_every_integer_and_scale_comes_back(encoder: QuantisedEncoder, stored: Path) -> None:
    loaded = load_quantised(stored)
    assert loaded.digest == encoder.digest
    assert header_of(loaded) == header_of(encoder)
    for name, tensor in tensors_of(encoder).items():
        again = tensors_of(loaded)[name]
        assert again.dtype == tensor.dtype
        np.testing.assert_array_equal(again, tensor, err_msg=name)
    assert sorted(path.name for path in stored.parent.iterdir()) == ["stored"], "a temporary folder was left behind"


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_digest_notices_any_single_changed_integer(data: st.DataObject) -> None:
    encoder = random_quantised_encoder(random_shape(1, 4, 2, 6), seed=9)
    tensors = {name: tensor.copy() for name, tensor in tensors_of(encoder).items()}
    name = data.draw(st.sampled_from(sorted(tensors)))
    position = data.draw(st.integers(0, tensors[name].size - 1))
    tensors[name].flat[position] ^= 1
    assert assemble(header_of(encoder), tensors).digest != encoder.digest


def test_the_digest_of_an_encoder_is_the_same_for_ever() -> None:
    """Projects and run records name encoders by it. A new field of the header may not change it while it is absent."""
    encoder = random_quantised_encoder(random_shape(1, 32, 4, 64), seed=7)
    assert encoder.digest == "13c45ac59292c08d8779a27893784cd84f1ed6e16c0ae1d8c2523fe3a715a16e"


def _resealed(encoder: QuantisedEncoder, name: str, tensor: np.ndarray) -> str:
    """The digest with one array in another's place, whatever its type and shape."""
    layer = encoder.layers[0]
    other = replace(layer, scores=replace(layer.scores, **{name: tensor}))
    return sealed(replace(encoder, layers=(other, *encoder.layers[1:]))).digest


def test_the_digest_is_over_name_type_and_shape_of_each_array_too(encoder: QuantisedEncoder) -> None:
    """The same bytes under another type, in another shape, or under another name are another encoder."""
    shift = encoder.layers[0].scores.shift
    digests = {
        encoder.digest,
        _resealed(encoder, "shift", shift.view(np.int8)),
        _resealed(encoder, "shift", shift.reshape(1, -1)),
        _resealed(encoder, "shift", shift[::-1].copy() if shift[0] != shift[-1] else shift + 1),
    }
    assert len(digests) == 4
    assert _resealed(encoder, "shift", np.asfortranarray(shift)) == encoder.digest
    first, second = encoder.layers[0].query, encoder.layers[0].key
    swapped = replace(encoder.layers[0], query=second, key=first)
    same = replace(encoder.layers[0], key=first)
    assert sealed(replace(encoder, layers=(swapped, encoder.layers[1]))).digest != encoder.digest
    assert sealed(replace(encoder, layers=(same, encoder.layers[1]))).digest != encoder.digest


@pytest.mark.parametrize("field", ["input_scale", "subnet_digest"])
def test_the_digest_is_over_the_scalars_too(encoder: QuantisedEncoder, field: str) -> None:
    changed = replace(encoder, input_scale=0.5) if field == "input_scale" else replace(encoder, subnet_digest="other")
    assert sealed(changed).digest != encoder.digest
    layer = encoder.layers[1]
    for other in (
        replace(layer, gelu_zero_point=layer.gelu_zero_point ^ 1),
        replace(layer, gelu_fraction_bits=7 + (layer.gelu_fraction_bits == 7)),
        replace(layer, ffn_norm=replace(layer.ffn_norm, epsilon=layer.ffn_norm.epsilon + 1)),
        replace(layer, attention_norm=replace(layer.attention_norm, shift=layer.attention_norm.shift % 15 + 1)),
        replace(layer, attention_norm=replace(layer.attention_norm, scale=layer.attention_norm.scale * 2)),
    ):
        assert sealed(replace(encoder, layers=(encoder.layers[0], other))).digest != encoder.digest


def test_a_changed_weight_is_refused(stored: Path) -> None:
    tensors = load_file(stored / TENSORS_FILE)
    tensors["layers.1.ffn_out.weight"][0, 0] ^= 1
    save_file(tensors, stored / TENSORS_FILE)
    with pytest.raises(AebertError, match="digest"):
        load_quantised(stored)


def test_an_absent_tensor_is_named(stored: Path) -> None:
    tensors = load_file(stored / TENSORS_FILE)
    del tensors["layers.0.scores.shift"]
    save_file(tensors, stored / TENSORS_FILE)
    with pytest.raises(AebertError, match=r"layers\.0\.scores\.shift"):
        load_quantised(stored)


def test_an_added_tensor_is_refused(stored: Path) -> None:
    tensors = load_file(stored / TENSORS_FILE)
    tensors["extra"] = np.zeros(1, dtype=np.int8)
    save_file(tensors, stored / TENSORS_FILE)
    with pytest.raises(AebertError, match="digest"):
        load_quantised(stored)


@pytest.mark.parametrize("keep", [0, 5, 200])
def test_truncated_tensors_are_refused_in_one_line(stored: Path, keep: int) -> None:
    path = stored / TENSORS_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(AebertError, match="damaged") as caught:
        load_quantised(stored)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("schema_version", 99, "schema 99"),
        ("digest", "0" * 64, "digest"),
        ("digest", 7, "digest"),
        ("schema_version", "3", "schema_version"),
        ("surplus", 1, "surplus"),
    ],
)
def test_an_edited_header_is_refused_with_its_field(stored: Path, field: str, value: object, message: str) -> None:
    edit_header(stored, field, value)
    with pytest.raises(AebertError, match=message) as caught:
        load_quantised(stored)
    assert "\n" not in str(caught.value)


def test_a_header_that_is_no_json_is_refused(stored: Path) -> None:
    (stored / HEADER_FILE).write_text("{")
    with pytest.raises(AebertError, match=HEADER_FILE):
        load_quantised(stored)


def test_an_absent_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="cannot be read"):
        load_quantised(tmp_path / "nowhere")


def test_a_place_that_cannot_be_written_is_reported(encoder: QuantisedEncoder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AebertError, match="cannot be written"):
        save_quantised(encoder, tmp_path / "file" / "stored")


def test_an_existing_directory_is_not_overwritten(encoder: QuantisedEncoder, stored: Path) -> None:
    before = (stored / TENSORS_FILE).read_bytes()
    with pytest.raises(AebertError, match="already"):
        save_quantised(encoder, stored)
    assert (stored / TENSORS_FILE).read_bytes() == before
