"""Loading encoders: every family gives the outputs of transformers; what cannot be run is refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file, save_file

from aebert.models import encoder_digest, load_encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import pack
from aebert.models.pooling import pool_packed
from aebert.models.text import Text
from aebert.support.errors import AebertError
from tests.support.command_line import aebert

FAMILIES = ("bert", "roberta", "distilbert", "electra")
SENTENCES: list[Text] = ["the cat sat on the mat", "a dog ran", ("the dog", "the cat ran to the mat")]


def copy_of(directory: Path, target: Path) -> Path:
    return Path(shutil.copytree(directory, target / "model"))


def change_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_tensors(directory: Path, change: Callable[[dict[str, npt.NDArray[np.float32]]], None]) -> None:
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("family", FAMILIES)
def test_last_hidden_states_equal_those_of_transformers(tiny_models: dict[str, Path], family: str) -> None:
    encoder, host = load_encoder(tiny_models[family]), load_host_model(tiny_models[family])
    for text in host.tokenise(SENTENCES):
        types = {} if family == "distilbert" else {"token_type_ids": torch.tensor([text.types])}
        with torch.inference_mode():
            expected = host.module(input_ids=torch.tensor([text.ids]), **types).last_hidden_state[0]
        states = encoder_forward(encoder, host.embed_texts([text])).values
        torch.testing.assert_close(states, expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_a_classifier_equal_those_of_transformers(tiny_classifiers: dict[str, Path], family: str) -> None:
    encoder, host = load_encoder(tiny_classifiers[family]), load_host_model(tiny_classifiers[family])
    (text,) = host.tokenise(["the cat sat on the dog"])
    with torch.inference_mode():
        expected = host.module(input_ids=torch.tensor([text.ids])).logits
    states = encoder_forward(encoder, host.embed_texts([text])).values
    torch.testing.assert_close(host.logits(states[None]), expected, atol=2e-6, rtol=1e-5)


def test_sequences_packed_together_do_not_see_each_other(tiny_bert: Path) -> None:
    encoder, host = load_encoder(tiny_bert), load_host_model(tiny_bert)
    texts = host.tokenise(["a cat", "the dog ran", "the cat ran", "a dog sat on the mat"])
    together = encoder_forward(encoder, host.embed_texts(texts)).values
    alone = torch.cat([encoder_forward(encoder, host.embed_texts([text])).values for text in sorted(texts, key=len)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_packing_sorts_by_length_and_pools_each_sequence() -> None:
    packed = pack([torch.full((3, 2), 5.0), torch.full((1, 2), 1.0), torch.full((3, 2), 7.0)])
    assert packed.lengths == (1, 3, 3)
    assert pool_packed(packed, ("mean",))[:, 0].tolist() == [1.0, 5.0, 7.0]


def test_shards_give_the_same_encoder_as_one_file(tiny_bert: Path, tmp_path: Path) -> None:
    directory = copy_of(tiny_bert, tmp_path)
    tensors = load_file(directory / "model.safetensors")
    names = sorted(tensors)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in halves.items():
        save_file({name: tensors[name] for name in held}, directory / file)
    weight_map = {name: file for file, held in halves.items() for name in held}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (directory / "model.safetensors").unlink()
    assert load_encoder(directory).digest == load_encoder(tiny_bert).digest


def test_a_shard_name_with_a_path_in_it_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    directory = copy_of(tiny_bert, tmp_path)
    (directory / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"embeddings.LayerNorm.weight": "../outside.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(AebertError, match="not a plain file name"):
        load_encoder(directory)


def test_tensorflow_names_of_layernorm_are_understood(tiny_bert: Path, tmp_path: Path) -> None:
    directory = copy_of(tiny_bert, tmp_path)

    def rename(tensors: dict[str, npt.NDArray[np.float32]]) -> None:
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)

    change_tensors(directory, rename)
    assert load_encoder(directory).digest == load_encoder(tiny_bert).digest


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_become_float32(tiny_bert: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    directory = copy_of(tiny_bert, tmp_path)
    tensors = {name: value.to(dtype) for name, value in load_torch(directory / "model.safetensors").items()}
    save_torch(tensors, directory / "model.safetensors")
    weight = load_encoder(directory).layers[0].query.weight
    assert weight.dtype == np.float32
    expected = tensors["encoder.layer.0.attention.self.query.weight"].float().numpy()
    np.testing.assert_array_equal(weight, expected)


def test_the_digest_changes_with_any_weight_and_with_the_epsilon(tiny_bert: Path, tmp_path: Path) -> None:
    encoder = load_encoder(tiny_bert)
    directory = copy_of(tiny_bert, tmp_path)
    change_config(directory, layer_norm_eps=1e-6)
    assert load_encoder(directory).digest != encoder.digest
    encoder.layers[1].ffn_norm.beta[3] += 1e-3
    assert encoder_digest(encoder.shape, encoder.layers) != encoder.digest


def test_roberta_positions_start_after_the_padding_index(tiny_models: dict[str, Path]) -> None:
    config = json.loads((tiny_models["roberta"] / "config.json").read_text())
    shape = load_encoder(tiny_models["roberta"]).shape
    assert shape.max_positions == config["max_position_embeddings"] - config["pad_token_id"] - 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "megatron-bert"}, "pre-LayerNorm"),
        ({"model_type": "gpt2"}, "unknown architecture 'gpt2'"),
        ({"model_type": ["bert"]}, "unknown architecture"),
        ({"hidden_act": "silu"}, "'hidden_act' is 'silu'; the hardware computes gelu, "),
        ({"model_type": None, "architectures": None}, "'model_type' is missing; add it: one of bert, "),
        ({"position_embedding_type": "relative_key"}, "absolute positions"),
        ({"is_decoder": True}, "'is_decoder'"),
        ({"add_cross_attention": True}, "'add_cross_attention'"),
        ({"num_attention_heads": 5}, "not a multiple"),
        ({"num_hidden_layers": "two"}, "'num_hidden_layers' must be a positive integer"),
        ({"num_hidden_layers": 3}, "encoder.layer.2"),
        ({"num_hidden_layers": 1}, r"tensors encoder\.layer\.1.* no part of the 1 layers"),
        ({"hidden_size": 2048}, "exceeds 1024"),
        ({"intermediate_size": 32}, "config.json asks for"),
        ({"layer_norm_eps": -1}, "'layer_norm_eps'"),
    ],
)
def test_an_encoder_that_cannot_run_is_refused_with_the_reason(
    tiny_bert: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    directory = copy_of(tiny_bert, tmp_path)
    change_config(directory, **changes)
    with pytest.raises(AebertError, match=message) as caught:
        load_encoder(directory)
    assert "\n" not in str(caught.value)


def test_weights_too_large_to_compute_with_are_one_line(tiny_bert: Path, tmp_path: Path) -> None:
    """As a flipped bit of an exponent makes one."""
    directory = copy_of(tiny_bert, tmp_path)

    def spoil(tensors: dict[str, npt.NDArray[np.float32]]) -> None:
        tensors["encoder.layer.1.output.dense.weight"][2] = 3e38

    change_tensors(directory, spoil)
    done = aebert("prune", directory, "--ratio", "0.5", "--saliency", "magnitude", "-o", tmp_path / "subnet")
    assert (done.exit_code, "embeddings are not finite" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "subnet").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tiny_bert: Path, tmp_path: Path, value: float) -> None:
    directory = copy_of(tiny_bert, tmp_path)
    name = "encoder.layer.1.output.dense.weight"

    def spoil(tensors: dict[str, npt.NDArray[np.float32]]) -> None:
        tensors[name][2, 3] = value

    change_tensors(directory, spoil)
    with pytest.raises(AebertError, match=f"{name}.*NaN or infinite"):
        load_encoder(directory)


@pytest.mark.parametrize("size", [0, 4, 100, 5000])
def test_a_truncated_checkpoint_is_refused(tiny_bert: Path, tmp_path: Path, size: int) -> None:
    directory = copy_of(tiny_bert, tmp_path)
    with (directory / "model.safetensors").open("r+b") as file:
        file.truncate(size)
    with pytest.raises(AebertError, match="truncated or damaged") as caught:
        load_encoder(directory)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="no such directory"):
        load_encoder(tmp_path / "nowhere")
    directory = copy_of(tiny_bert, tmp_path)
    (directory / "model.safetensors").unlink()
    with pytest.raises(AebertError, match=r"model\.safetensors is missing"):
        load_encoder(directory)
    (directory / "config.json").write_text("{")
    with pytest.raises(AebertError, match="not valid JSON"):
        load_encoder(directory)
