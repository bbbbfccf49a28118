"""Sentence embeddings are those of sentence-transformers on the same folder, and so are its subnet's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from aebert.models import load_encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import pack
from aebert.models.sentence_modules import DEFAULT_MODULES, POOLING_MODES, Normalisation, read_modules
from aebert.pruning.step import prune
from aebert.support.errors import AebertError
from tests.support.sentence_folders import original_embeddings, save_sentence_folder

TEXTS = ("the cat sat on the mat", "dog", "", "a dog ran to the cat " * 12)


def our_embeddings(directory: Path, texts: tuple[str, ...] = TEXTS) -> torch.Tensor:
    host, encoder = load_host_model(directory), load_encoder(directory)
    rows = []
    for text in host.tokenise(texts, host.sentence_tokens(encoder.shape.max_positions)):
        states = encoder_forward(encoder, host.embed_texts([text]))
        rows.append(host.sentence.embed_packed(states)[0])
    return torch.stack(rows)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_every_pooling_mode_gives_the_originals_vectors(tiny_bert: Path, tmp_path: Path, mode: str) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", [mode])
    torch.testing.assert_close(our_embeddings(folder), original_embeddings(folder, TEXTS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("modes", "activation", "normalise"),
    [
        (["max", "cls"], torch.nn.Tanh(), True),
        (["mean"], torch.nn.Identity(), False),
        (["cls"], torch.nn.GELU(), True),
        (["lasttoken"], torch.nn.ReLU(), False),
        (["mean"], torch.nn.Sigmoid(), False),
    ],
)
def test_dense_layers_and_normalisation_follow_the_pooling(
    tiny_bert: Path, tmp_path: Path, modes: list[str], activation: torch.nn.Module, normalise: bool
) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", modes, activation, normalise)
    torch.testing.assert_close(our_embeddings(folder), original_embeddings(folder, TEXTS), atol=1e-5, rtol=1e-5)


def test_a_subnet_loads_in_sentence_transformers_and_gives_the_same_vectors(tiny_bert: Path, tmp_path: Path) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", ["cls"], torch.nn.Tanh(), True)
    prune(folder, tmp_path / "same", ratio=0.0, saliency="magnitude")
    expected = original_embeddings(folder, TEXTS)
    torch.testing.assert_close(original_embeddings(tmp_path / "same", TEXTS), expected, atol=1e-6, rtol=1e-5)
    prune(folder, tmp_path / "half", ratio=0.5, saliency="magnitude")
    halved = original_embeddings(tmp_path / "half", TEXTS)
    torch.testing.assert_close(our_embeddings(tmp_path / "half"), halved, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(halved, expected, atol=1e-2)


def test_pickled_dense_weights_become_safetensors_in_the_subnet(tiny_bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = save_sentence_folder(tiny_bert, tmp_path / "model", ["mean"], torch.nn.Tanh())
    dense = folder / "2_Dense"
    torch.save(load_file(dense / "model.safetensors"), dense / "pytorch_model.bin")
    (dense / "model.safetensors").unlink()
    prune(folder, tmp_path / "subnet", ratio=0.0, saliency="magnitude")
    assert sorted(path.name for path in (tmp_path / "subnet" / "2_Dense").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    torch.testing.assert_close(
        original_embeddings(tmp_path / "subnet", TEXTS), our_embeddings(folder), atol=1e-5, rtol=1e-5
    )


def test_minilm_embeds_as_the_original_with_real_weights(minilm_directory: Path, tmp_path: Path) -> None:
    texts = ("The ferry leaves at half past six.", "Ferry", "Copper conducts electricity better than iron. " * 5)
    expected = original_embeddings(minilm_directory, texts)
    torch.testing.assert_close(our_embeddings(minilm_directory, texts), expected, atol=2e-5, rtol=1e-4)
    # As the bge family pools.
    shutil.copytree(minilm_directory, tmp_path / "cls")
    pooling = tmp_path / "cls" / "1_Pooling" / "config.json"
    changed = {**json.loads(pooling.read_text()), "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    pooling.write_text(json.dumps(changed))
    first = our_embeddings(tmp_path / "cls", texts)
    torch.testing.assert_close(first, original_embeddings(tmp_path / "cls", texts), atol=2e-5, rtol=1e-4)
    assert torch.nn.functional.cosine_similarity(first, expected).max() < 0.95


def test_a_folder_that_says_nothing_has_means_of_length_one(tiny_bert: Path) -> None:
    host = load_host_model(tiny_bert)
    assert host.sentence == DEFAULT_MODULES
    assert DEFAULT_MODULES.steps == (Normalisation(),)
    states = pack([torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[5.0, 0.0]])])
    torch.testing.assert_close(DEFAULT_MODULES.embed_packed(states), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))


def test_a_default_prompt_and_lower_case_are_applied(tiny_bert: Path, tmp_path: Path) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", ["mean"])
    prompts = folder / "config_sentence_transformers.json"
    content = {**json.loads(prompts.read_text()), "prompts": {"query": "the dog "}, "default_prompt_name": "query"}
    prompts.write_text(json.dumps(content))
    torch.testing.assert_close(our_embeddings(folder), original_embeddings(folder, TEXTS), atol=1e-5, rtol=1e-5)
    assert load_host_model(folder).sentence.prepare("cat") == "the dog cat"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "sum"}, "pooling 'sum' is not supported; supported: cls"),
        ("1_Pooling/config.json", {"embedding_dimension": 7}, "pools 7 channels, the encoder has 32"),
        ("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.ELU"}, "ELU' is not supported"),
        ("2_Dense/config.json", {"activation_function": "my.code.Tanh"}, r"'my\.code\.Tanh' is not supported"),
        ("2_Dense/config.json", {"use_residual": True}, "'use_residual' is not supported"),
        ("2_Dense/config.json", {"in_features": 31}, "from 31 to 12 features; 32 come in"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "module_input_name 'token_embeddings'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    tiny_bert: Path, tmp_path: Path, file: str, change: dict[str, object], message: str
) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", ["mean"], torch.nn.Tanh())
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(AebertError, match=message):
        load_host_model(folder)


def test_a_foreign_module_is_refused_by_name(tiny_bert: Path, tmp_path: Path) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", ["mean"], torch.nn.Tanh())
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    entries[2]["type"] = "sentence_transformers.models.LSTM"
    path.write_text(json.dumps(entries))
    with pytest.raises(AebertError, match="module 'LSTM' is not supported"):
        load_host_model(folder)
    entries[2]["path"] = "../../elsewhere"
    path.write_text(json.dumps(entries))
    with pytest.raises(AebertError, match="not a plain name"):
        load_host_model(folder)


@pytest.mark.parametrize("name", [{}, [], 3, True, "absent"])
def test_a_default_prompt_of_another_kind_is_refused(tiny_bert: Path, tmp_path: Path, name: object) -> None:
    directory = save_sentence_folder(tiny_bert, tmp_path / "model", ["cls"])
    prompts = directory / "config_sentence_transformers.json"
    content = {**json.loads(prompts.read_text()), "prompts": {"query": "the dog "}, "default_prompt_name": name}
    prompts.write_text(json.dumps(content))
    with pytest.raises(AebertError, match=r"'default_prompt_name' is .* not among the prompts"):
        read_modules(directory, 32)
