"""Subnet directories and ``aebert prune``: loadable by transformers, checked when read, careful when written."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from aebert.cli.prune import command
from aebert.models import load_encoder
from aebert.models.calibration_text import read_texts
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.subnet import make_record, read_subnet, write_subnet
from aebert.pruning.unit_counts import check_ratio
from aebert.support.errors import AebertError


def make_subnet(source: Path, directory: Path, force: bool = False, ratio: float = 0.5) -> Path:
    encoder = load_encoder(source)
    pruned = prune_encoder(encoder, parse_pattern("vector:4x1"), ratio).encoder
    record = make_record(pruned, encoder.digest, "vector:4x1", "magnitude", "none", 3, {"cosine": 0.5})
    write_subnet(source, directory, pruned, record, force)
    return directory


def prune(*arguments: str | Path) -> None:
    CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
@pytest.mark.parametrize("headed", [False, True])
def test_transformers_loads_a_subnet_and_computes_the_pruned_encoder(
    tiny_models: dict[str, Path], tiny_classifiers: dict[str, Path], tmp_path: Path, family: str, headed: bool
) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    source = (tiny_classifiers if headed else tiny_models)[family]
    directory = make_subnet(source, tmp_path / "subnet")
    subnet, host = read_subnet(directory), load_host_model(directory)
    (text,) = host.tokenise(["the cat ran to the dog"])
    states = encoder_forward(subnet.encoder, host.embed_texts([text])).values[None]
    auto = AutoModelForSequenceClassification if headed else AutoModel
    model = auto.from_pretrained(directory).eval()
    ids = AutoTokenizer.from_pretrained(directory)("the cat ran to the dog", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        output = model(input_ids=ids)
    result, expected = (host.logits(states), output.logits) if headed else (states, output.last_hidden_state)
    torch.testing.assert_close(result, expected, atol=2e-6, rtol=1e-5)
    dense = encoder_forward(load_encoder(source), host.embed_texts([text])).values[None]
    assert (dense - states).abs().max() > 0.01


def test_the_record_survives_writing_and_reading(tiny_bert: Path, tmp_path: Path) -> None:
    subnet = read_subnet(make_subnet(tiny_bert, tmp_path / "subnet"))
    assert subnet.record.overall_ratio == 0.5
    assert subnet.record.source_digest == load_encoder(tiny_bert).digest
    assert (subnet.record.seed, subnet.record.scores, subnet.record.pattern) == (3, {"cosine": 0.5}, "vector:4x1")
    assert [set(layer.values()) for layer in subnet.record.matrix_ratios] == [{0.5}, {0.5}]


def test_weights_changed_afterwards_are_noticed(tiny_bert: Path, tmp_path: Path) -> None:
    directory = make_subnet(tiny_bert, tmp_path / "subnet")
    tensors = load_file(directory / "model.safetensors")
    tensors["encoder.layer.0.intermediate.dense.weight"][0, 0] += np.float32(1)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AebertError, match="weights changed"):
        read_subnet(directory)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("schema_version", 99, "'schema_version' is 99"),
        ("pattern", "zigzag", "'zigzag' is not known"),
        ("overall_ratio", 0.9, "'overall_ratio' is 0.9, but 0.5"),
        ("overall_ratio", "half", "field overall_ratio: must be a number, not 'half'"),
        ("digest", 7, "field digest: must be a string, not 7"),
        ("matrix_ratios", None, "field matrix_ratios: must be a list, not None"),
        ("matrix_ratios", [3], r"field matrix_ratios\[0\]: must be a table, not 3"),
        ("seed", 1.5, "field seed: must be a whole number, not 1.5"),
    ],
)
def test_a_malformed_record_is_refused_by_field(
    tiny_bert: Path, tmp_path: Path, field: str, value: object, message: str
) -> None:
    directory = make_subnet(tiny_bert, tmp_path / "subnet")
    path = directory / "subnet.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(AebertError, match=message):
        read_subnet(directory)


def test_a_model_that_is_no_subnet_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(AebertError, match=r"no subnet\.json"):
        read_subnet(tiny_bert)


def test_only_a_subnet_is_replaced_and_only_by_force(tiny_bert: Path, tmp_path: Path) -> None:
    directory = make_subnet(tiny_bert, tmp_path / "subnet")
    first = read_subnet(directory).record.digest
    with pytest.raises(AebertError, match="--force"):
        make_subnet(tiny_bert, directory, ratio=0.25)
    assert read_subnet(directory).record.digest == first
    make_subnet(tiny_bert, directory, force=True, ratio=0.25)
    assert read_subnet(directory).record.overall_ratio == 0.25
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(AebertError, match="not a subnet"):
        make_subnet(tiny_bert, foreign, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "subnet"]


def test_a_failure_while_writing_leaves_nothing(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aebert.pruning.subnet.save_file", full_disk)
    with pytest.raises(AebertError, match=r"model\.safetensors: .*No space left"):
        make_subnet(tiny_bert, tmp_path / "subnet")
    assert list(tmp_path.iterdir()) == []


def test_half_precision_models_become_float32_subnets(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    source = tmp_path / "half"
    shutil.copytree(tiny_bert, source)
    AutoModel.from_pretrained(tiny_bert).bfloat16().save_pretrained(source)
    directory = make_subnet(source, tmp_path / "subnet")
    assert AutoModel.from_pretrained(directory).dtype == torch.float32
    read_subnet(directory)


def test_the_command_writes_a_subnet_with_per_layer_ratios(tiny_bert: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\na dog ran\tthe dog ran to the cat\n" * 40)
    out = tmp_path / "subnet"
    prune(tiny_bert, "-o", out, "--per-layer", "0.25,0.75", "--pattern", "unstructured", "--compensate", "--text", text)
    record = read_subnet(out).record
    assert [set(layer.values()) for layer in record.matrix_ratios] == [{0.25}, {0.75}]
    assert (record.overall_ratio, record.compensation, record.saliency) == (0.5, "least-squares", "activation")


def test_the_command_takes_ratios_per_matrix_and_refines(tiny_bert: Path, tmp_path: Path) -> None:
    names = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    ratios = tmp_path / "ratios.json"
    ratios.write_text(json.dumps([dict.fromkeys(names, 0.25) | {"ffn_in": 0.5}] * 2))
    out = tmp_path / "subnet"
    prune(tiny_bert, "-o", out, "--per-matrix", ratios, "--refine")
    record = read_subnet(out).record
    assert record.compensation == "refined"
    assert [layer["ffn_in"] for layer in record.matrix_ratios] == [0.5, 0.5]
    assert [layer["query"] for layer in record.matrix_ratios] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ratio", "0.5", "--per-layer", "0.5,0.5"], "exactly one"),
        ([], "exactly one"),
        (["--ratio", "1.5"], "lies in"),
        (["--per-layer", "a,b"], "numbers with commas"),
        (["--ratio", "0.5", "--pattern", "diagonal"], "not known"),
        (["--ratio", "0.5", "--text", "/nonexistent/text"], "cannot be read"),
    ],
)
def test_the_command_refuses_bad_requests_and_writes_nothing(
    tiny_bert: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(AebertError, match=message):
        prune(tiny_bert, "-o", tmp_path / "subnet", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ratio", [-0.01, 1.0, math.nan, math.inf])
def test_a_ratio_lies_in_zero_to_one(ratio: float) -> None:
    with pytest.raises(AebertError, match="lies in"):
        check_ratio(ratio, "the ratio")
    check_ratio(0.0, "the ratio")


def test_the_shipped_calibration_text_has_distinct_sentences_and_pairs() -> None:
    texts = read_texts()
    assert len(set(texts)) == len(texts) >= 200
    assert sum(isinstance(text, tuple) for text in texts) >= 40


def test_calibration_text_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for content, message in ((b"\n \n", "no sentences"), (b"\xff\xfe", "not UTF-8"), (b"a\tb\tc\n", "line 1")):
        path.write_bytes(content)
        with pytest.raises(AebertError, match=message):
            read_texts(path)
