"""A Hugging Face directory into one typed encoder."""

from __future__ import annotations

from pathlib import Path

from aebert.models.architectures import Architecture
from aebert.models.config_json import encoder_shape, find_architecture
from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, LayerNorm, Linear, MatrixName
from aebert.models.model_type import read_config
from aebert.models.model_weights import ModelWeights, open_weights
from aebert.models.weight_files import WeightFiles
from aebert.support.input_files import files_inside


def load_encoder(directory: Path | str) -> Encoder:
    """The encoder of a BERT, RoBERTa, DistilBERT or ELECTRA directory, with or without a head; float32 weights.

    Raises AebertError, in one line, for an encoder that the accelerator cannot run (pre-LayerNorm, activation other
    than GELU and ReLU, relative positions, decoder, sizes) and for missing, unused, damaged or non-finite weights.
    """
    directory = Path(directory)
    config = read_config(directory)
    files_inside(directory)  # no link leads out of it
    where = directory / "config.json"
    architecture = find_architecture(config, where)
    shape = encoder_shape(config, architecture, where)
    weights = open_weights(directory, config, architecture, shape.layers)
    layers = [_load_layer(weights.checkpoint, architecture, weights.prefix, shape, i) for i in range(shape.layers)]
    return make_encoder(shape, layers)


def model_weights(directory: Path) -> tuple[Architecture, ModelWeights]:
    """The family of a model directory and its weights, checked. Raises AebertError as ``load_encoder``."""
    config = read_config(directory)
    where = directory / "config.json"
    architecture = find_architecture(config, where)
    layers = encoder_shape(config, architecture, where).layers
    return architecture, open_weights(directory, config, architecture, layers)


def matrix_shape(shape: EncoderShape, name: MatrixName) -> tuple[int, int]:
    """[outputs, inputs] of a prunable matrix."""
    if name == "ffn_in":
        return shape.ffn, shape.hidden
    if name == "ffn_out":
        return shape.hidden, shape.ffn
    return shape.hidden, shape.hidden


def _load_layer(
    checkpoint: WeightFiles, architecture: Architecture, prefix: str, shape: EncoderShape, layer: int
) -> EncoderLayer:
    def linear(name: MatrixName) -> Linear:
        stem = architecture.matrix_tensor(prefix, layer, name)
        outputs, inputs = matrix_shape(shape, name)
        return Linear(
            weight=checkpoint.read_float(f"{stem}.weight", (outputs, inputs)),
            bias=checkpoint.read_float(f"{stem}.bias", (outputs,)),
        )

    matrices = {name: linear(name) for name in MATRIX_NAMES}
    attention_norm, ffn_norm = architecture.norm_tensors(prefix, layer)
    return EncoderLayer(
        query=matrices["query"],
        key=matrices["key"],
        value=matrices["value"],
        attention_output=matrices["attention_output"],
        ffn_in=matrices["ffn_in"],
        ffn_out=matrices["ffn_out"],
        attention_norm=_load_norm(checkpoint, attention_norm, shape.hidden),
        ffn_norm=_load_norm(checkpoint, ffn_norm, shape.hidden),
    )


def _load_norm(checkpoint: WeightFiles, stem: str, hidden: int) -> LayerNorm:
    # Checkpoints converted from TensorFlow (bert-base-uncased among them) still say gamma and beta.
    gain, offset = ("gamma", "beta") if f"{stem}.gamma" in checkpoint else ("weight", "bias")
    return LayerNorm(
        gamma=checkpoint.read_float(f"{stem}.{gain}", (hidden,)),
        beta=checkpoint.read_float(f"{stem}.{offset}", (hidden,)),
    )
