"""Models written as ONNX compute what PyTorch and the integer reference compute, and come back bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from aebert.models import make_encoder
from aebert.models.encoder import Encoder, EncoderLayer, EncoderShape, FloatArray, LayerNorm, Linear
from aebert.models.host_model import HostModel, load_host_model
from aebert.numerics.reference import from_residual, run_batch, to_residual
from aebert.onnx_exchange.export_model import export_float, export_int8
from aebert.onnx_exchange.huggingface import read_model
from aebert.onnx_exchange.qdq_layers import ZERO_POINT
from aebert.onnx_exchange.recognise import load_onnx_encoder, recognise
from aebert.onnx_exchange.save import save_model
from aebert.onnx_exchange.transformer_model import Embeddings, TransformerModel
from aebert.quantisation.error_report import relative_error
from aebert.quantisation.quantise import QuantisationResult, quantise_with_scales
from aebert.support.errors import AebertError

FAMILIES = ("bert", "roberta", "distilbert", "electra")
PADDED = 2


def _inputs(model: TransformerModel, host: HostModel) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Token numbers of two sentences, the second padded, and which tokens count."""
    random = np.random.default_rng(3)
    ids = random.integers(5, 14, (2, 9))
    mask = np.ones_like(ids)
    mask[1, -PADDED:] = 0
    ids[1, -PADDED:] = host.tokenizer.pad_token_id
    feeds = {"input_ids": ids, "attention_mask": mask}
    if model.family in ("bert", "electra"):
        feeds["token_type_ids"] = random.integers(0, 2, ids.shape)
    return feeds, mask.astype(bool)


def _run(path: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_float_export_computes_what_transformers_computes(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str
) -> None:
    directory = tiny_classifiers[family]
    model, host = read_model(directory), load_host_model(directory)
    feeds, counts = _inputs(model, host)
    save_model(export_float(model), tmp_path / "model.onnx")
    got = _run(tmp_path / "model.onnx", feeds)
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
        expected = host.module(**tensors, output_hidden_states=True)
    np.testing.assert_allclose(got["last_hidden_state"][counts], expected.hidden_states[-1].numpy()[counts], atol=1e-5)
    np.testing.assert_allclose(got["logits"], expected.logits.numpy(), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_float_export_is_recognised_bit_for_bit(tiny_models: dict[str, Path], tmp_path: Path, family: str) -> None:
    model = read_model(tiny_models[family])
    save_model(export_float(model), tmp_path / "model.onnx")
    found = recognise(tmp_path / "model.onnx")
    assert found.left_out == ()
    assert found.model.family == model.family
    assert found.model.encoder.digest == model.encoder.digest
    assert found.model.embeddings is not None
    assert model.embeddings is not None
    for mine, theirs in zip(_arrays(found.model.embeddings), _arrays(model.embeddings), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _arrays(embeddings: Embeddings) -> list[FloatArray]:
    parts = [embeddings.words, embeddings.positions, embeddings.norm.gamma, embeddings.norm.beta]
    return parts + [each for each in (embeddings.types,) if each is not None]


def _random_encoder(layers: int, heads: int, size: int, ffn: int, epsilon: float, seed: int) -> Encoder:
    random = np.random.default_rng(seed)
    hidden = heads * size

    def array(*shape: int) -> FloatArray:
        values: FloatArray = random.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(shape[-1]))
        return values * (random.random(shape) < 0.6)

    def linear(outputs: int, inputs: int) -> Linear:
        return Linear(array(outputs, inputs), array(outputs))

    def norm() -> LayerNorm:
        return LayerNorm(1 + array(hidden), array(hidden))

    def layer() -> EncoderLayer:
        square = [linear(hidden, hidden) for _ in range(4)]
        return EncoderLayer(*square, linear(ffn, hidden), linear(hidden, ffn), norm(), norm())

    shape = EncoderShape(layers, hidden, heads, ffn, epsilon, 16)
    return make_encoder(shape, [layer() for _ in range(layers)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layers=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 3, 5]),
    size=st.integers(1, 6),
    ffn=st.integers(1, 17),
    epsilon=st.sampled_from([1e-12, 1e-7, 1e-5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_encoder_of_any_size_comes_back_bit_for_bit(
    tmp_path: Path, layers: int, heads: int, size: int, ffn: int, epsilon: float, seed: int
) -> None:
    encoder = _random_encoder(layers, heads, size, ffn, epsilon, seed)
    random = np.random.default_rng(seed)
    tables = [random.standard_normal((rows, heads * size)).astype(np.float32) for rows in (20, 16, 2)]
    norm = LayerNorm(np.ones(heads * size, np.float32), np.zeros(heads * size, np.float32))
    model = TransformerModel("bert", encoder, Embeddings(tables[0], tables[1], tables[2], norm))
    save_model(export_float(model), tmp_path / "model.onnx")
    assert load_onnx_encoder(tmp_path / "model.onnx").digest == encoder.digest


@pytest.fixture(scope="module")
def quantised_bert(tiny_bert: Path) -> tuple[TransformerModel, HostModel, QuantisationResult]:
    model, host = read_model(tiny_bert), load_host_model(tiny_bert)
    texts = host.tokenise(["the cat sat on the mat", "a dog ran to the cat", "the mat", "cat ran"] * 4)
    return model, host, quantise_with_scales(model.encoder, host.embed_texts(texts))


def test_an_int8_export_stays_close_to_the_integer_reference(
    quantised_bert: tuple[TransformerModel, HostModel, QuantisationResult], tmp_path: Path
) -> None:
    model, host, quantised = quantised_bert
    save_model(export_int8(model, quantised), tmp_path / "int8.onnx")
    feeds, counts = _inputs(model, host)
    got = _run(tmp_path / "int8.onnx", feeds)["last_hidden_state"]
    embedded = host.embed(torch.from_numpy(feeds["input_ids"]), torch.from_numpy(feeds["token_type_ids"])).numpy()
    integers = quantised.encoder
    rows = run_batch(integers, [to_residual(embedded[row][counts[row]], integers.input_scale) for row in range(2)])
    reference = np.concatenate([from_residual(row, integers.output_scale) for row in rows])
    exact = _run_float(model, tmp_path, feeds)[counts]
    to_reference = relative_error(got[counts], reference)
    # Closer to the integers than they are to fp32, by far: the same roundings at the same places.
    assert to_reference < 0.02
    assert to_reference < 0.5 * relative_error(reference, exact)


def _run_float(model: TransformerModel, folder: Path, feeds: dict[str, np.ndarray]) -> np.ndarray:
    save_model(export_float(model), folder / "float.onnx")
    return _run(folder / "float.onnx", feeds)["last_hidden_state"]


def test_an_int8_export_holds_the_integers_of_the_contract(
    quantised_bert: tuple[TransformerModel, HostModel, QuantisationResult],
) -> None:
    model, _, quantised = quantised_bert
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in export_int8(model, quantised).graph.initializer}
    for number, layer in enumerate(quantised.encoder.layers):
        for name in ("query", "key", "value", "attention_output", "ffn_in", "ffn_out"):
            weight = held[f"encoder.{number}.{name}.weight.quantised"]
            # Unsigned about 128: exact on CPUs whose kernels for signed weights saturate.
            assert weight.dtype == np.uint8
            np.testing.assert_array_equal(weight.T.astype(np.int16) - ZERO_POINT, layer.matrix(name).weight)


def test_pruned_weights_are_zero_in_both_formats(tiny_bert: Path) -> None:
    model, host = read_model(tiny_bert), load_host_model(tiny_bert)
    first = model.encoder.layers[0]
    keep = np.arange(first.query.weight.size).reshape(first.query.weight.shape) % 3 == 0
    pruned = dataclasses.replace(first, query=Linear(first.query.weight * keep, first.query.bias))
    encoder = make_encoder(model.encoder.shape, [pruned, *model.encoder.layers[1:]])
    model = dataclasses.replace(model, encoder=encoder)
    states = host.embed_texts(host.tokenise(["the cat sat on the mat"] * 4))
    for exported in (export_float(model), export_int8(model, quantise_with_scales(encoder, states))):
        weights = [tensor for tensor in exported.graph.initializer if tensor.name.startswith("encoder.0.query.weight")]
        largest = max(weights, key=lambda tensor: len(tensor.raw_data))
        weight = numpy_helper.to_array(largest).T
        assert (weight[~keep] == (ZERO_POINT if weight.dtype == np.uint8 else 0)).all()


def test_integers_of_another_encoder_are_refused(
    quantised_bert: tuple[TransformerModel, HostModel, QuantisationResult], tiny_models: dict[str, Path]
) -> None:
    with pytest.raises(AebertError, match="another encoder"):
        export_int8(read_model(tiny_models["electra"]), quantised_bert[2])


def test_large_weights_go_to_a_file_beside_the_model(tiny_bert: Path, tmp_path: Path) -> None:
    model = read_model(tiny_bert)
    path = tmp_path / "model.onnx"
    files = save_model(export_float(model), path, inline_limit=1000)
    assert files == (path, tmp_path / "model.onnx.data")
    assert path.stat().st_size < files[1].stat().st_size
    onnx.checker.check_model(path, full_check=True)
    assert load_onnx_encoder(path).digest == model.encoder.digest


def test_batch_and_length_are_free(tiny_bert: Path, tmp_path: Path) -> None:
    save_model(export_float(read_model(tiny_bert)), tmp_path / "model.onnx")
    for batch, tokens in ((1, 1), (3, 17)):
        ids = np.full((batch, tokens), 5)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        assert _run(tmp_path / "model.onnx", feeds)["last_hidden_state"].shape == (batch, tokens, 32)
