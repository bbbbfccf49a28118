"""A whole model from a Hugging Face directory, and into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from aebert.models.architectures import ARCHITECTURES
from aebert.models.encoder import FloatArray, LayerNorm, Linear
from aebert.models.host_model import check_model_directory
from aebert.models.load import load_encoder, model_weights
from aebert.models.model_type import read_config
from aebert.models.pretrained import check_loadable
from aebert.models.sentence_modules import MODULES_FILE, SentenceModules, read_modules
from aebert.models.weight_files import WEIGHTS_FILE, WeightFiles
from aebert.numerics.activation import FfnActivation
from aebert.onnx_exchange.transformer_model import Activation, ClassifierHead, Embeddings, Family, TransformerModel
from aebert.support.atomic_files import write_json, writing
from aebert.support.errors import AebertError

CONFIG_FILE = "config.json"
_FAMILY_OF: Mapping[str, Family] = {
    "bert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "distilbert": "distilbert",
    "electra": "electra",
}
_HEAD_ACTIVATION: Mapping[Family, Activation] = {
    "bert": "tanh",
    "roberta": "tanh",
    "distilbert": "relu",
    "electra": "gelu",
}
# As transformers calls them.
_ACTIVATION_NAME: Mapping[FfnActivation, str] = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
_WORDS = "embeddings.word_embeddings.weight"
_POSITIONS = "embeddings.position_embeddings.weight"
_TYPES = "embeddings.token_type_embeddings.weight"
_NORM = "embeddings.LayerNorm"
_PROJECTION = "embeddings_project"
_POOLER = "pooler.dense"
_DEFAULT_PADDING = 1  # of RoBERTa in transformers


def read_model(directory: Path) -> TransformerModel:
    """The encoder with embeddings, pooler and sequence-classification head. Raises AebertError as ``load_encoder``."""
    encoder = load_encoder(directory)
    config = read_config(directory)
    check_model_directory(directory, config)
    architecture, weights = model_weights(directory)
    check_loadable(directory, weights)
    family = _FAMILY_OF[architecture.model_type]
    checkpoint, prefix = weights.checkpoint, weights.prefix
    head = _read_head(checkpoint, family) if weights.has_classifier else None
    return TransformerModel(
        family=family,
        encoder=encoder,
        embeddings=_read_embeddings(checkpoint, prefix, family, config),
        pooler=None if head is not None else _read_linear(checkpoint, f"{prefix}{_POOLER}"),
        head=head,
        sentence=_read_sentence(directory, encoder.shape.hidden) if head is None else None,
    )


def _read_sentence(directory: Path, hidden: int) -> SentenceModules | None:
    return read_modules(directory, hidden) if (directory / MODULES_FILE).is_file() else None


def _read_embeddings(checkpoint: WeightFiles, prefix: str, family: Family, config: Mapping[str, object]) -> Embeddings:
    padding = config.get("pad_token_id", _DEFAULT_PADDING)
    types = f"{prefix}{_TYPES}"
    return Embeddings(
        words=_read(checkpoint, f"{prefix}{_WORDS}"),
        positions=_read(checkpoint, f"{prefix}{_POSITIONS}"),
        types=_read(checkpoint, types) if types in checkpoint else None,
        norm=_read_norm(checkpoint, f"{prefix}{_NORM}"),
        padding_id=(padding if isinstance(padding, int) else _DEFAULT_PADDING) if family == "roberta" else None,
        projection=_read_linear(checkpoint, f"{prefix}{_PROJECTION}"),
    )


def _read_head(checkpoint: WeightFiles, family: Family) -> ClassifierHead | None:
    dense, output = (_read_linear(checkpoint, name) for name in ARCHITECTURES[family].head_layers)
    return None if dense is None or output is None else ClassifierHead(dense, _HEAD_ACTIVATION[family], output)


def _read(checkpoint: WeightFiles, name: str) -> FloatArray:
    if name not in checkpoint:
        raise AebertError(f"{checkpoint.directory}: tensor {name!r} is missing; the checkpoint is not complete")
    return checkpoint.read_float(name, checkpoint.read(name).shape)


def _read_norm(checkpoint: WeightFiles, stem: str) -> LayerNorm:
    # Checkpoints converted from TensorFlow still say gamma and beta.
    gain, offset = ("gamma", "beta") if f"{stem}.gamma" in checkpoint else ("weight", "bias")
    return LayerNorm(_read(checkpoint, f"{stem}.{gain}"), _read(checkpoint, f"{stem}.{offset}"))


def _read_linear(checkpoint: WeightFiles, stem: str) -> Linear | None:
    if f"{stem}.weight" not in checkpoint:
        return None
    return Linear(_read(checkpoint, f"{stem}.weight"), _read(checkpoint, f"{stem}.bias"))


def write_model(model: TransformerModel, directory: Path, labels: Sequence[str] = ()) -> None:
    """config.json and model.safetensors of ``model`` into an existing ``directory``; embeddings must be there.

    ``labels`` name the head's classes; they are numbered where there are not as many as classes.
    """
    embeddings = model.embeddings
    if embeddings is None:
        raise AebertError(
            f"{directory}: no embeddings, which a Hugging Face directory needs; take them from a base model"
        )
    tensors = {name: np.ascontiguousarray(array, np.float32) for name, array in _tensors(model, embeddings)}
    with writing(directory / WEIGHTS_FILE):
        save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})
    write_json(directory / CONFIG_FILE, _config(model, embeddings, labels))


def _tensors(model: TransformerModel, embeddings: Embeddings) -> Iterator[tuple[str, FloatArray]]:
    architecture = ARCHITECTURES[model.family]
    prefix = "" if model.head is None else f"{architecture.root}."
    yield f"{prefix}{_WORDS}", embeddings.words
    yield f"{prefix}{_POSITIONS}", embeddings.positions
    if model.family != "distilbert":
        yield f"{prefix}{_TYPES}", _types(model.family, embeddings)
    yield from _norm_tensors(f"{prefix}{_NORM}", embeddings.norm)
    if embeddings.projection is not None:
        yield from _linear_tensors(f"{prefix}{_PROJECTION}", embeddings.projection)
    for number, layer in enumerate(model.encoder.layers):
        for name in architecture.matrices:
            yield from _linear_tensors(architecture.matrix_tensor(prefix, number, name), layer.matrix(name))
        attention_norm, ffn_norm = architecture.norm_tensors(prefix, number)
        yield from _norm_tensors(attention_norm, layer.attention_norm)
        yield from _norm_tensors(ffn_norm, layer.ffn_norm)
    if model.head is not None:
        dense, output = architecture.head_layers
        yield from _linear_tensors(dense, model.head.dense)
        yield from _linear_tensors(output, model.head.output)
    elif model.pooler is not None:
        yield from _linear_tensors(_POOLER, model.pooler)


def _types(family: Family, embeddings: Embeddings) -> FloatArray:
    """A table for every type that the family's tokenizer gives; a model without types ignores them."""
    usual = 1 if family == "roberta" else 2
    if embeddings.types is None:
        return np.zeros((usual, embeddings.words.shape[1]), np.float32)
    if embeddings.types.shape[0] == 1:
        return np.repeat(embeddings.types, usual, axis=0)
    return embeddings.types


def _linear_tensors(stem: str, linear: Linear) -> Iterator[tuple[str, FloatArray]]:
    yield f"{stem}.weight", linear.weight
    yield f"{stem}.bias", linear.bias


def _norm_tensors(stem: str, norm: LayerNorm) -> Iterator[tuple[str, FloatArray]]:
    yield f"{stem}.weight", norm.gamma
    yield f"{stem}.bias", norm.beta


def _config(model: TransformerModel, embeddings: Embeddings, labels: Sequence[str]) -> dict[str, object]:
    architecture, shape = ARCHITECTURES[model.family], model.encoder.shape
    sizes = architecture.sizes
    name = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert", "electra": "Electra"}[model.family]
    config: dict[str, object] = {
        "architectures": [f"{name}{'Model' if model.head is None else 'ForSequenceClassification'}"],
        "model_type": model.family,
        "dtype": "float32",
        "vocab_size": embeddings.words.shape[0],
        "max_position_embeddings": embeddings.positions.shape[0],
        "pad_token_id": embeddings.padding_id or 0,
        sizes.layers: shape.layers,
        sizes.hidden: shape.hidden,
        sizes.heads: shape.heads,
        sizes.ffn: shape.ffn,
        sizes.activation: _ACTIVATION_NAME[shape.activation],
    }
    if sizes.epsilon is not None:
        config[sizes.epsilon] = shape.epsilon
    if model.family != "distilbert":
        config["type_vocab_size"] = _types(model.family, embeddings).shape[0]
    if model.family == "electra":
        config["embedding_size"] = embeddings.words.shape[1]
    if model.head is not None:
        classes = model.head.output.bias.size
        names = labels if len(labels) == classes else [f"LABEL_{number}" for number in range(classes)]
        config["id2label"] = {str(number): name for number, name in enumerate(names)}
        config["label2id"] = {name: number for number, name in enumerate(names)}
    return config
