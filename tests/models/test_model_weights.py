"""Weights as people have them: pickled, prefixed, with a head or without; nothing is drawn or dropped silently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.onnx_exchange.huggingface import read_model
from aebert.pruning.step import prune
from aebert.support.errors import AebertError

FAMILIES = ("bert", "roberta", "distilbert", "electra")
WEIGHTS = "model.safetensors"
Tensors = dict[str, torch.Tensor]


def changed_config(directory: Path, **changes: object) -> Path:
    """``directory`` with fields of its config.json changed; None takes a field out."""
    path = directory / "config.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return directory


def with_tensors(source: Path, directory: Path, change: Callable[[Tensors], Tensors]) -> Path:
    shutil.copytree(source, directory)
    save_file(change(load_file(directory / WEIGHTS)), directory / WEIGHTS, metadata={"format": "pt"})
    return directory


def same_model(first: Path, second: Path) -> bool:
    mine, theirs = load_host_model(first).module.state_dict(), load_host_model(second).module.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def pickled(source: Path, directory: Path, *, legacy: bool = False) -> Path:
    shutil.copytree(source, directory)
    tensors = load_file(directory / WEIGHTS)
    torch.save(tensors, directory / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    (directory / WEIGHTS).unlink()
    return directory


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_pickled_weights_are_the_same_model_and_become_safetensors(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str, legacy: bool
) -> None:
    source = tiny_classifiers[family]
    directory = pickled(source, tmp_path / "pickled", legacy=legacy)
    assert load_encoder(directory).digest == load_encoder(source).digest
    assert same_model(directory, source)
    prune(directory, tmp_path / "subnet", ratio=0.0, saliency="magnitude")
    assert not list((tmp_path / "subnet").glob("*.bin"))
    assert same_model(tmp_path / "subnet", source)


def test_pickled_shards_are_read(tiny_bert: Path, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(tiny_bert, directory)
    tensors = list(load_file(directory / WEIGHTS).items())
    parts = {"pytorch_model-1.bin": dict(tensors[:9]), "pytorch_model-2.bin": dict(tensors[9:])}
    for name, part in parts.items():
        torch.save(part, directory / name)
    weight_map = {tensor: name for name, part in parts.items() for tensor in part}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (directory / WEIGHTS).unlink()
    assert same_model(directory, tiny_bert)


class _Runs:
    """Pickles as a call of a function that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tiny_bert: Path, tmp_path: Path) -> None:
    directory = pickled(tiny_bert, tmp_path / "model")
    torch.save(
        {"encoder.layer.0.attention.self.query.weight": _Runs(tmp_path / "run")}, directory / "pytorch_model.bin"
    )
    with pytest.raises(AebertError, match="reading it would run code, which is refused"):
        load_encoder(directory)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "state": {}}, "entry 'epoch' is int, not a plain tensor"),
        ([1, 2], "holds list, not named tensors"),
    ],
)
def test_a_training_checkpoint_is_no_state_dict(tiny_bert: Path, tmp_path: Path, content: object, message: str) -> None:
    directory = pickled(tiny_bert, tmp_path / "model")
    torch.save(content, directory / "pytorch_model.bin")
    with pytest.raises(AebertError, match=message):
        load_encoder(directory)


@pytest.mark.parametrize("cut", [0, 20, 2000])
def test_a_truncated_pickle_is_one_line(tiny_bert: Path, tmp_path: Path, cut: int) -> None:
    directory = pickled(tiny_bert, tmp_path / "model")
    path = directory / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(AebertError, match=r"truncated or damaged|would run code") as caught:
        load_encoder(directory)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module."])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrappers_prefix_is_taken_off(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str, prefix: str
) -> None:
    source = tiny_classifiers[family]
    directory = with_tensors(
        source, tmp_path / "model", lambda tensors: {prefix + name: value for name, value in tensors.items()}
    )
    assert load_encoder(directory).digest == load_encoder(source).digest
    assert same_model(directory, source)
    prune(directory, tmp_path / "subnet", ratio=0.0, saliency="magnitude")
    assert same_model(tmp_path / "subnet", source)


def test_another_prefix_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    directory = with_tensors(
        tiny_bert, tmp_path / "model", lambda tensors: {f"question_encoder.{name}": t for name, t in tensors.items()}
    )
    with pytest.raises(AebertError, match=r"begin with 'question_encoder\.'"):
        load_encoder(directory)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_that_config_names_and_no_file_holds_is_refused_by_every_command(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str
) -> None:
    output = {"bert": "classifier", "distilbert": "classifier"}.get(family, "classifier.out_proj")
    directory = with_tensors(
        tiny_classifiers[family],
        tmp_path / "model",
        lambda tensors: {name: t for name, t in tensors.items() if not name.startswith(output)},
    )
    for load in (load_encoder, load_host_model, read_model):
        with pytest.raises(AebertError, match=rf"tensor '{output}.weight' is not in the weights"):
            load(directory)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_without_the_architectures_key_is_found_by_its_weights(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str
) -> None:
    shutil.copytree(tiny_classifiers[family], tmp_path / "model")
    directory = changed_config(tmp_path / "model", architectures=None)
    assert load_host_model(directory).has_classifier
    assert read_model(directory).head is not None
    assert same_model(directory, tiny_classifiers[family])


def test_evaluate_export_and_prune_agree_about_a_head_of_another_kind(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_classifiers["bert"], tmp_path / "model")
    directory = changed_config(tmp_path / "model", architectures=["BertForMultipleChoice"])
    assert not load_host_model(directory).has_classifier
    assert read_model(directory).head is None


@pytest.mark.parametrize("name", ["embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias"])
def test_missing_embeddings_are_not_drawn_at_random(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    directory = with_tensors(
        tiny_bert, tmp_path / "model", lambda tensors: {each: t for each, t in tensors.items() if each != name}
    )
    with pytest.raises(AebertError, match=f"tensor '{name}' is missing"):
        load_host_model(directory)


def test_a_missing_pooler_is_no_fault_of_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    directory = with_tensors(
        tiny_bert,
        tmp_path / "model",
        lambda tensors: {name: t for name, t in tensors.items() if not name.startswith("pooler.")},
    )
    assert load_encoder(directory).digest == load_encoder(tiny_bert).digest
    load_host_model(directory)


def test_an_adapter_inside_the_layers_is_not_left_out_in_silence(tiny_bert: Path, tmp_path: Path) -> None:
    name = "encoder.layer.0.attention.self.query.lora_A.weight"
    directory = with_tensors(tiny_bert, tmp_path / "model", lambda tensors: {**tensors, name: torch.ones(2, 2)})
    with pytest.raises(AebertError, match=r"lora_A\.weight are no part of the 2 layers.*merge adapters"):
        load_encoder(directory)


def test_a_lora_folder_is_told_how_to_merge(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "bert-base-uncased"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(AebertError, match=r"an adapter to 'bert-base-uncased'.*merge_and_unload"):
        load_encoder(tmp_path)


def test_an_absent_hidden_act_is_gelu(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "model")
    encoder = load_encoder(changed_config(tmp_path / "model", hidden_act=None))
    assert encoder.digest == load_encoder(tiny_bert).digest


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_model_of_one_token_type_takes_pairs(tiny_models: dict[str, Path], tmp_path: Path, family: str) -> None:
    directory = with_tensors(
        tiny_models[family],
        tmp_path / "model",
        lambda tensors: {name: t[:1].clone() if "token_type" in name else t for name, t in tensors.items()},
    )
    changed_config(directory, type_vocab_size=1)
    host = load_host_model(directory)
    (text,) = host.tokenise([("the cat", "a dog ran")])
    assert set(text.types) == {0}
    states = host.embed(torch.tensor([text.ids]), torch.ones(1, len(text), dtype=torch.long))
    assert np.isfinite(states.numpy()).all()
    prune(directory, tmp_path / "subnet", ratio=0.5, texts=[("the cat sat", "a dog ran to the mat")] * 40)
