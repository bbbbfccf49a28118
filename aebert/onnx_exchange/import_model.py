"""From an ONNX file to a Hugging Face directory on which every command works."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from aebert.models import make_encoder
from aebert.models.companions import tokenizer_files
from aebert.models.config_json import read_json_object
from aebert.onnx_exchange.huggingface import CONFIG_FILE, read_model, write_model
from aebert.onnx_exchange.recognise import RecognisedModel, recognise
from aebert.onnx_exchange.transformer_model import TransformerModel
from aebert.support.atomic_files import write_json
from aebert.support.errors import AebertError
from aebert.support.input_files import foreign
from aebert.support.output_directory import check_replaceable, replaced_directory

KIND = "imported model"
IMPORT_FILE = "import.json"
SCHEMA_VERSION = 1
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


@dataclass(frozen=True)
class ImportedModel:
    """What was written: the model, what of the graph is not part of it, and whether it has a tokenizer."""

    recognised: RecognisedModel
    model: TransformerModel
    has_tokenizer: bool


def import_model(
    path: Path, directory: Path, tokenizer: Path | None = None, base: Path | None = None, force: bool = False
) -> ImportedModel:
    """Write the model in ``path`` as ``directory``, complete or not at all.

    ``tokenizer`` is a folder whose tokenizer files are copied (default: the file's own folder, where Optimum puts them,
    or ``base``). ``base`` is a model directory that gives embeddings, pooler and head to an encoder exported without.
    Raises AebertError for a graph that is no encoder, embeddings that are missing or do not fit, or a ``directory``
    that is in use.
    """
    check_replaceable(directory, IMPORT_FILE, KIND, force)
    source = _tokenizer_folder(path, tokenizer, base)
    with foreign(path, "its graph cannot be read", "export the model again"):
        recognised = recognise(path)
    model = recognised.model
    if base is not None:
        model = _with_surroundings(model, base)
    if model.embeddings is None:
        raise AebertError(
            f"{path}: an encoder without embeddings; give the model directory that it was exported from with --base"
        )
    labels = _labels((base or path.parent) / CONFIG_FILE)
    record = {"schema_version": SCHEMA_VERSION, "file": path.name, "digest": model.encoder.digest}
    with replaced_directory(directory, IMPORT_FILE, KIND, force) as folder:
        write_model(model, folder, labels)
        write_json(folder / IMPORT_FILE, record)
        if source is not None:
            for name in tokenizer_files(source):
                shutil.copyfile(source / name, folder / name)
    return ImportedModel(recognised, model, source is not None)


def _tokenizer_folder(path: Path, tokenizer: Path | None, base: Path | None) -> Path | None:
    if tokenizer is not None:
        if not _has_tokenizer(tokenizer):
            raise AebertError(f"{tokenizer}: no tokenizer ({', '.join(_VOCABULARIES)}); give the folder that holds it")
        return tokenizer
    return next((folder for folder in (base, path.parent) if folder is not None and _has_tokenizer(folder)), None)


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _VOCABULARIES)


def _labels(config: Path) -> tuple[str, ...]:
    """The names of the classes, where a config.json beside the file (Optimum writes one) has them; else none."""
    if not config.is_file():
        return ()
    names = read_json_object(config).get("id2label")
    if not isinstance(names, dict):
        return ()
    ordered = [names.get(str(number)) for number in range(len(names))]
    return tuple(name for name in ordered if isinstance(name, str))


def _with_surroundings(model: TransformerModel, base: Path) -> TransformerModel:
    """The encoder of ``model`` between the embeddings and the head of the model directory ``base``."""
    if model.embeddings is not None:
        raise AebertError(f"{base}: the ONNX file holds embeddings of its own; leave --base out")
    around = read_model(base)
    ours, theirs = model.encoder.shape, around.encoder.shape
    if (ours.hidden, ours.heads, ours.epsilon) != (theirs.hidden, theirs.heads, theirs.epsilon):
        raise AebertError(
            f"{base}: hidden size {theirs.hidden}, {theirs.heads} heads and epsilon {theirs.epsilon:g}, the encoder "
            f"has {ours.hidden}, {ours.heads} and {ours.epsilon:g}; give the model that it was exported from"
        )
    encoder = make_encoder(replace(ours, max_positions=theirs.max_positions), model.encoder.layers)
    return replace(around, encoder=encoder)
