"""A config.json without model_type: inferred where only one family can be meant, named where several can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.models.model_type import read_config
from aebert.support.errors import AebertError
from tests.support.command_line import aebert


def without_type(source: Path, folder: Path, **changes: object) -> Path:
    """A copy whose config.json does not name its family, with ``changes``; None takes a field out."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config = {name: value for name, value in {**config, "model_type": None, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_a_model_with_a_head_is_told_by_its_tensors_and_computes_the_same(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str
) -> None:
    folder = without_type(tiny_classifiers[family], tmp_path / "model", architectures=None)
    assert read_config(folder)["model_type"] == family
    host, original = load_host_model(folder), load_host_model(tiny_classifiers[family])
    (tokens,) = host.tokenise([("the cat sat", "a dog ran")])
    assert (tokens,) == tuple(original.tokenise([("the cat sat", "a dog ran")]))
    states = host.embed_texts([tokens]).values.unsqueeze(0)
    assert (states == original.embed_texts([tokens]).values).all()
    assert (host.logits(states) == original.logits(states)).all()


def test_what_is_written_names_the_family(tiny_classifiers: dict[str, Path], tmp_path: Path) -> None:
    folder = without_type(tiny_classifiers["roberta"], tmp_path / "model", architectures=None)
    done = aebert("prune", folder, "--ratio", "0.5", "--saliency", "magnitude", "-o", tmp_path / "subnet")
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "subnet" / "config.json").read_text())["model_type"] == "roberta"


@pytest.mark.parametrize(
    ("architectures", "expected"),
    [(["BertModel"], "bert"), (["XLMRobertaForMaskedLM"], "xlm-roberta"), (["CamembertModel"], "camembert")],
)
def test_a_class_that_is_named_tells_the_family_of_tensors_without_a_prefix(
    tiny_models: dict[str, Path], tmp_path: Path, architectures: list[str], expected: str
) -> None:
    source = tiny_models["bert" if expected == "bert" else "roberta"]
    assert read_config(without_type(source, tmp_path / "model", architectures=architectures))["model_type"] == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": None},  # BERT's tensors without a prefix are RoBERTa's too, whose positions begin elsewhere
        {"architectures": ["BertGenerationEncoder"]},
        {"architectures": ["AlbertModel"]},
        {"architectures": "BertModel"},
        {"architectures": [["BertModel"]]},
    ],
)
def test_what_could_be_several_families_is_not_guessed(
    tiny_bert: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = without_type(tiny_bert, tmp_path / "model", **changes)
    with pytest.raises(AebertError, match="field 'model_type' is missing; add it: one of bert, roberta"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["RobertaForSequenceClassification"]},  # the tensors say otherwise
        {"architectures": None, "attention_type": "original_full"},  # BigBird
    ],
)
def test_tensors_that_contradict_the_configuration_decide_nothing(
    tiny_classifiers: dict[str, Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = without_type(tiny_classifiers["bert"], tmp_path / "model", **changes)
    with pytest.raises(AebertError, match="field 'model_type' is missing"):
        load_encoder(folder)


def test_an_encoder_without_token_types_is_not_taken_for_bert(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    folder = without_type(tiny_classifiers["bert"], tmp_path / "model", architectures=None)
    path = folder / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if "token_type" not in name}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(AebertError, match="field 'model_type' is missing"):
        load_encoder(folder)
