"""A Hugging Face directory into one typed encoder."""

from __future__ import annotations

from pathlib import Path

from aebert.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, LayerNorm, Linear, MatrixName
from aebert.errors import AebertError
from aebert.models.architectures import Architecture
from aebert.models.checkpoint import Checkpoint, open_checkpoint
from aebert.models.config import encoder_shape, find_architecture, read_config
from aebert.models.digest import make_encoder


def load_encoder(directory: Path | str) -> Encoder:
    """The encoder of a BERT, RoBERTa, DistilBERT or ELECTRA directory, with or without a head; float32 weights.

    Raises AebertError, in one line, for an encoder that the accelerator cannot run (pre-LayerNorm, activation other
    than exact GELU, relative positions, decoder, sizes) and for missing, pickled, damaged or non-finite weights.
    """
    directory = Path(directory)
    config = read_config(directory)
    where = directory / "config.json"
    architecture = find_architecture(config, where)
    shape = encoder_shape(config, architecture, where)
    checkpoint = open_checkpoint(directory)
    prefix = tensor_prefix(checkpoint, architecture)
    return make_encoder(shape, [_load_layer(checkpoint, architecture, prefix, shape, i) for i in range(shape.layers)])


def tensor_prefix(checkpoint: Checkpoint, architecture: Architecture) -> str:
    """``""`` for a bare encoder, ``"bert."`` and the like for one with a head."""
    for prefix in ("", f"{architecture.root}."):
        if f"{architecture.matrix_tensor(prefix, 0, 'query')}.weight" in checkpoint:
            return prefix
    expected = architecture.matrix_tensor("", 0, "query")
    raise AebertError(
        f"{checkpoint.directory}: tensor '{expected}.weight' is missing; "
        f"the weights are not those of the {architecture.model_type!r} model that config.json describes"
    )


def matrix_shape(shape: EncoderShape, name: MatrixName) -> tuple[int, int]:
    """[outputs, inputs] of a prunable matrix."""
    if name == "ffn_in":
        return shape.ffn, shape.hidden
    if name == "ffn_out":
        return shape.hidden, shape.ffn
    return shape.hidden, shape.hidden


def _load_layer(
    checkpoint: Checkpoint, architecture: Architecture, prefix: str, shape: EncoderShape, layer: int
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


def _load_norm(checkpoint: Checkpoint, stem: str, hidden: int) -> LayerNorm:
    # Checkpoints converted from TensorFlow (bert-base-uncased among them) still say gamma and beta.
    gain, offset = ("gamma", "beta") if f"{stem}.gamma" in checkpoint else ("weight", "bias")
    return LayerNorm(
        gamma=checkpoint.read_float(f"{stem}.{gain}", (hidden,)),
        beta=checkpoint.read_float(f"{stem}.{offset}", (hidden,)),
    )
