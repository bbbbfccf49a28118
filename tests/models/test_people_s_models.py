"""Models of the kinds that people have, through more than one command: odd tokenizers, one token type with pairs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from aebert.models import load_encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model, load_tokenizer
from aebert.onnx_exchange.export_model import export_float
from aebert.onnx_exchange.huggingface import read_model
from aebert.onnx_exchange.save import save_model
from aebert.pruning.step import prune
from aebert.support.errors import AebertError
from codegen.project import load_project
from tests.models.test_companions import save_bertweet
from tests.support.command_line import aebert
from tests.support.glue_files import write_tsv
from tests.support.projects import write_tiny_project
from tests.support.tiny_run import write_tiny_run

PAIRS = [("the cat sat", "a dog ran to the mat"), ("a dog", "the cat ran")] * 32


@pytest.mark.parametrize("kind", ["BertweetTokenizer", "PhobertTokenizer"])
def test_byte_pair_codes_come_through_prune_and_generate(
    tiny_models: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    model = Path(shutil.copytree(tiny_models["roberta"], tmp_path / "model"))
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (model / name).unlink(missing_ok=True)
    for file in save_bertweet(tmp_path / "tokenizer").iterdir():
        if file.name != "config.json":
            shutil.copy(file, model)
    (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    prune(model, tmp_path / "subnet", ratio=0.5, texts=["the cat sat the cat"] * 60)
    project = load_project(write_tiny_project(tmp_path / "subnet", tmp_path / "project"))
    original, kept = load_tokenizer(model), load_tokenizer(project.model_directory)
    assert type(kept).__name__ == type(original).__name__ == kind
    assert kept("the cat sat")["input_ids"] == original("the cat sat")["input_ids"]
    assert kept.unk_token_id not in kept("the cat sat")["input_ids"]


@pytest.fixture(params=["bert", "roberta"])
def one_type(tiny_models: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """One token type, with a tokenizer that tells the halves of a pair apart."""
    folder = Path(shutil.copytree(tiny_models[request.param], tmp_path / "model"))
    path = folder / "model.safetensors"
    tensors = {name: t[:1].clone() if "token_type" in name else t for name, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "type_vocab_size": 1}))
    return folder


def test_pairs_of_a_model_with_one_token_type_score_a_search(one_type: Path, tmp_path: Path) -> None:
    run = write_tiny_run(one_type, tmp_path / "run", measured=False, texts=PAIRS)
    assert (run / "best" / "model.safetensors").is_file()


def test_pairs_of_a_model_with_one_token_type_go_through_the_export(one_type: Path, tmp_path: Path) -> None:
    save_model(export_float(read_model(one_type)), tmp_path / "model.onnx")
    host = load_host_model(one_type)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    encoded = host.tokenizer(*PAIRS[0], return_tensors="np")
    ids = encoded["input_ids"].astype(np.int64)
    feeds = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        # What a tokenizer of pairs gives, whether or not this one does.
        "token_type_ids": (np.arange(ids.shape[1]) > ids.shape[1] // 2).astype(np.int64)[None],
    }
    taken = {each.name: feeds[each.name] for each in session.get_inputs()}
    (got,) = session.run(["last_hidden_state"], taken)
    expected = encoder_forward(load_encoder(one_type), host.embed_texts(host.tokenise(PAIRS[:1]))).values
    torch.testing.assert_close(torch.from_numpy(got[0]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 3}, r"word_embeddings.weight' has shape \(\d+, 32\), config.json asks for \(3, 32\)"),
        ({"vocab_size": -1}, "cannot make a model of config.json"),
        ({"type_vocab_size": 0}, "token_type_embeddings.weight' has shape"),
        ({"max_position_embeddings": 2}, "position_embeddings.weight' has shape"),
        ({"pad_token_id": 99999}, "cannot make a model of config.json"),
        ({"pad_token_id": "x"}, "cannot load the model"),
        ({"hidden_dropout_prob": "x"}, "cannot load the model"),
        ({"id2label": {"0": "a", "1": "b"}}, r"classifier.weight' has shape \(3, 32\), config.json asks for \(2, 32\)"),
        ({"quantization_config": {"load_in_8bit": True}}, "field 'quantization_config' is set"),
    ],
)
def test_prune_export_and_evaluate_agree_about_what_cannot_be_loaded(
    tiny_classifiers: dict[str, Path], tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """No folder is left that transformers cannot load, whether or not the command needs transformers."""
    model = Path(shutil.copytree(tiny_classifiers["bert"], tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **changes}))
    write_tsv(tmp_path / "dev.tsv", ("sentence", "label"), ("a cat", 0), ("a dog", 1))
    out = tmp_path / "out"
    for words in (
        ("prune", model, "--ratio", "0.5", "--saliency", "magnitude", "-o", out),
        ("export", model, "-o", out),
        ("evaluate", model, "--task", "sst2", "--data", tmp_path),
    ):
        done = aebert(*words)
        assert done.exit_code == 2, f"{words[0]}: {done.stderr}"
        assert re.search(message, done.stderr), f"{words[0]}: {done.stderr}"
        assert not out.exists()


def test_weights_in_eight_bits_are_called_that_and_not_damaged(tiny_bert: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    path = model / "model.safetensors"
    small = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(path).items()}
    save_file(small, path, metadata={"format": "pt"})
    with pytest.raises(AebertError, match=r"is F8_E4M3; give a checkpoint with floating-point weights"):
        load_encoder(model)


@pytest.mark.parametrize(
    ("single", "said"),
    [
        ([], "makes no token of"),
        ([{"Sequence": {"id": "A", "type_id": 7}}], "says kind 7 of a token, but the model tells 2 kinds apart"),
        ([{"Sequence": {"id": "A", "type_id": 0}}], "makes no token of ''"),
    ],
    ids=["nothing", "another kind", "no special tokens"],
)
def test_a_post_processor_of_another_model_is_one_line(
    tiny_bert: Path, tmp_path: Path, single: list[object], said: str
) -> None:
    model = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    template = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {}}
    (model / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": template}))
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    done = aebert("prune", model, "--ratio", "0.5", "-o", tmp_path / "subnet")
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_tokenizer_with_more_words_than_embeddings_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(tiny_bert, directory)
    tokenizer = load_tokenizer(directory)
    tokenizer.add_tokens(["elephant"])
    tokenizer.save_pretrained(directory)
    host = load_host_model(directory)
    assert max(host.tokenise(["the mat"])[0].ids) < host.vocabulary
    with pytest.raises(AebertError, match=r"makes token number 14 of 'an elephant', but the model has 14 word embed"):
        host.tokenise(["the cat", "an elephant"])
