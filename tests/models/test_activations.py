"""Every activation function that config.json may name: in PyTorch, in integers, in the generated C++, in ONNX."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from aebert.design.hardware_config import HardwareConfig
from aebert.models import load_encoder
from aebert.models.architectures import ACTIVATION_NAMES
from aebert.models.fp32_forward import activate, encoder_forward
from aebert.models.host_model import load_host_model
from aebert.numerics.activation import FFN_ACTIVATIONS, FfnActivation
from aebert.numerics.integers import activation_delta_table
from aebert.numerics.reference import passes
from aebert.onnx_exchange.export_model import export_float, export_int8
from aebert.onnx_exchange.huggingface import read_model, write_model
from aebert.onnx_exchange.recognise import recognise
from aebert.onnx_exchange.save import save_model
from aebert.quantisation.error_report import measure_error
from aebert.quantisation.flat_tensors import assemble, header_of, tensors_of
from aebert.quantisation.quantise import quantise_with_scales
from aebert.support.errors import AebertError
from host.verify.compare import compare_sequence
from tests.models.test_model_weights import changed_config
from tests.onnx_exchange.test_import import LastHiddenState
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

CONFIG = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=6)
TEXTS = ["the cat sat on the mat", "a dog ran to the cat", "the mat", "cat", ""] * 4


def model_with(source: Path, directory: Path, name: str) -> Path:
    shutil.copytree(source, directory)
    return changed_config(directory, hidden_act=name)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_the_encoder_computes_what_transformers_does(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    directory = model_with(tiny_bert, tmp_path / "model", name)
    encoder, host = load_encoder(directory), load_host_model(directory)
    assert encoder.shape.activation == ACTIVATION_NAMES[name]
    (text,) = host.tokenise(["the cat sat on the mat"])
    with torch.inference_mode():
        expected = host.base(input_ids=torch.tensor([text.ids])).last_hidden_state[0]
    got = encoder_forward(encoder, host.embed_texts([text])).values
    torch.testing.assert_close(got, expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("activation", FFN_ACTIVATIONS)
@pytest.mark.parametrize("bits", [7, 11, 14])
def test_the_table_is_within_a_step_of_the_function(activation: FfnActivation, bits: int) -> None:
    hidden = np.arange(-32767, 32768, dtype=np.int16)
    exact = activate(activation, torch.from_numpy(hidden / 2.0**bits)).numpy()
    error = np.abs(passes.activate(activation, hidden, bits) / 2.0**bits - exact).max()
    # Half an interval of the table, 1/256, times the slope of the even part, at most 1/2; half a step of rounding.
    assert error <= 0.5 / 256 + 2.0**-bits
    if activation == "relu":
        assert not activation_delta_table("relu").any()
        assert error == 0


@pytest.mark.parametrize("activation", [name for name in FFN_ACTIVATIONS if name != "gelu"])
def test_the_generated_kernel_equals_the_reference_bit_for_bit(tmp_path: Path, activation: FfnActivation) -> None:
    config = dataclasses.replace(CONFIG, activation=activation)
    directory = write_kernel(config, tmp_path)
    plain = random_quantised_encoder(random_shape(2, 64, 4, 128), seed=3, density=0.5)
    quantised = dataclasses.replace(plain, shape=dataclasses.replace(plain.shape, activation=activation))
    residual = random_residual(quantised.shape, 33, seed=1)
    ours = accelerator(directory, config, quantised)
    assert compare_sequence(ours, quantised, residual).mismatch is None
    # The comparison sees the table: the same integers with exact GELU are another encoder.
    assert compare_sequence(ours, plain, residual).mismatch is not None


def test_an_encoder_of_another_activation_does_not_fit_the_design() -> None:
    shape = dataclasses.replace(random_shape(2, 64, 4, 128), activation="relu")
    with pytest.raises(AebertError, match="its activation is relu, the design's kernel holds the table of gelu"):
        CONFIG.check_fits(shape)


@pytest.mark.parametrize("name", ["gelu_new", "relu"])
def test_quantisation_and_onnx_follow_the_activation(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    directory = model_with(tiny_bert, tmp_path / "model", name)
    model, host = read_model(directory), load_host_model(directory)
    states = host.embed_texts(host.tokenise(TEXTS))
    made = quantise_with_scales(model.encoder, states)
    error = measure_error(model.encoder, made.encoder, states)
    assert max(layer.relative_error for layer in error.layers) < 0.05
    assert assemble(header_of(made.encoder), tensors_of(made.encoder)).digest == made.encoder.digest
    save_model(export_int8(model, made), tmp_path / "int8.onnx")
    save_model(export_float(model), tmp_path / "model.onnx")
    found = recognise(tmp_path / "model.onnx").model
    assert found.encoder.digest == model.encoder.digest
    (tmp_path / "back").mkdir()
    write_model(found, tmp_path / "back")
    assert load_encoder(tmp_path / "back").digest == model.encoder.digest


@pytest.mark.parametrize("name", ["gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu"])
def test_exporters_forms_of_the_activation_are_recognised(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    import warnings

    directory = model_with(tiny_bert, tmp_path / "model", name)
    host = load_host_model(directory)
    ids = torch.randint(5, 14, (2, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LastHiddenState(host.base, ("input_ids", "attention_mask")).eval(),
            (ids, torch.ones_like(ids)),
            tmp_path / "model.onnx",
            dynamo=False,
            input_names=["input_ids", "attention_mask"],
            dynamic_axes={each: {0: "batch", 1: "tokens"} for each in ("input_ids", "attention_mask")},
            opset_version=17,
        )
    assert recognise(tmp_path / "model.onnx").model.encoder.digest == load_encoder(directory).digest


def test_a_graph_in_half_precision_is_the_same_encoder_rounded(tiny_bert: Path, tmp_path: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = read_model(tiny_bert)
    half = convert_float_to_float16(export_float(model), keep_io_types=False)
    onnx.save(half, tmp_path / "half.onnx")
    found = recognise(tmp_path / "half.onnx").model.encoder
    for (_, name, mine), (_, _, theirs) in zip(found.matrices(), model.encoder.matrices(), strict=True):
        # The scores' factor is rounded as well; what it then lacks to 1/sqrt(size) goes into the query.
        tolerance = 2e-4 if name == "query" else 0
        rounded = theirs.weight.astype(np.float16).astype(np.float32)
        np.testing.assert_allclose(mine.weight, rounded, rtol=tolerance)


def test_a_quantised_graph_is_called_quantised(tiny_bert: Path, tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    model, host = read_model(tiny_bert), load_host_model(tiny_bert)
    save_model(export_float(model), tmp_path / "model.onnx")
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "dynamic.onnx")
    made = quantise_with_scales(model.encoder, host.embed_texts(host.tokenise(TEXTS)))
    save_model(export_int8(model, made), tmp_path / "ours.onnx")
    for name in ("dynamic.onnx", "ours.onnx"):
        with pytest.raises(AebertError, match=r"a quantised graph .*import the float32 model"):
            recognise(tmp_path / name)
