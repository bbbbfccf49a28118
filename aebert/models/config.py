"""config.json of a Hugging Face directory, checked against what the accelerator can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aebert.encoder import EncoderShape
from aebert.errors import AebertError
from aebert.models.architectures import ARCHITECTURES, PRE_LAYER_NORM_TYPES, Architecture
from aebert.numerics import MAX_HIDDEN

DEFAULT_EPSILON = 1e-12  # of BERT, RoBERTa and ELECTRA in transformers; DistilBERT has it fixed in its code


def read_json_object(path: Path) -> dict[str, object]:
    """The object in a JSON file. Raises AebertError if it is missing, not JSON, or not an object."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AebertError(f"{path}: no such file; give a Hugging Face model directory") from None
    except OSError as error:
        raise AebertError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise AebertError(f"{path}: not valid JSON ({str(error).splitlines()[0]}); save the model again") from None
    if not isinstance(value, dict):
        raise AebertError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_config(directory: Path) -> dict[str, object]:
    """The parsed config.json of a model directory."""
    if directory.suffix == ".onnx" and directory.is_file():
        raise AebertError(f"{directory}: a file, not a model directory; make one of it with 'aebert import'")
    if not directory.is_dir():
        raise AebertError(f"{directory}: no such directory; give a Hugging Face model directory (with config.json)")
    return read_json_object(directory / "config.json")


def _positive_int(config: Mapping[str, object], field: str, where: Path) -> int:
    value = config.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise AebertError(f"{where}: field {field!r} must be a positive integer, found {value!r}")
    return value


def find_architecture(config: Mapping[str, object], where: Path) -> Architecture:
    """The family that config.json names, or AebertError with the reason why its encoder cannot be run."""
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type in PRE_LAYER_NORM_TYPES:
        raise AebertError(
            f"{where}: {model_type!r} is a pre-LayerNorm encoder; only post-LayerNorm encoders can be accelerated"
        )
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise AebertError(f"{where}: unknown architecture {model_type!r} in field 'model_type'; supported: {known}")
    architecture = ARCHITECTURES[model_type]
    for flag in ("is_decoder", "add_cross_attention", "is_encoder_decoder"):
        if config.get(flag):
            raise AebertError(f"{where}: field {flag!r} is set; decoders and cross attention are not supported")
    position = config.get("position_embedding_type", "absolute")
    if position not in ("absolute", None):
        raise AebertError(
            f"{where}: field 'position_embedding_type' is {position!r}; only absolute positions are supported"
        )
    activation = config.get(architecture.sizes.activation)
    if activation != "gelu":
        raise AebertError(
            f"{where}: field {architecture.sizes.activation!r} is {activation!r}; "
            "the hardware computes exact 'gelu' only"
        )
    return architecture


def encoder_shape(config: Mapping[str, object], architecture: Architecture, where: Path) -> EncoderShape:
    """The encoder's sizes. Raises AebertError for sizes that contradict each other or that no design can hold."""
    sizes = architecture.sizes
    hidden = _positive_int(config, sizes.hidden, where)
    heads = _positive_int(config, sizes.heads, where)
    if hidden % heads:
        raise AebertError(f"{where}: {sizes.hidden} {hidden} is not a multiple of {sizes.heads} {heads}")
    if hidden > MAX_HIDDEN:
        raise AebertError(f"{where}: {sizes.hidden} {hidden} exceeds {MAX_HIDDEN}, the largest the LayerNorm can hold")
    epsilon = config.get(sizes.epsilon, DEFAULT_EPSILON) if sizes.epsilon else DEFAULT_EPSILON
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
        raise AebertError(f"{where}: field {sizes.epsilon!r} must be a number between 0 and 1, found {epsilon!r}")
    return EncoderShape(
        layers=_positive_int(config, sizes.layers, where),
        hidden=hidden,
        heads=heads,
        ffn=_positive_int(config, sizes.ffn, where),
        epsilon=float(epsilon),
        max_positions=_usable_positions(config, architecture, where),
    )


def _usable_positions(config: Mapping[str, object], architecture: Architecture, where: Path) -> int:
    """The longest sequence; RoBERTa numbers positions from padding_idx + 1, so its table holds fewer tokens."""
    positions = _positive_int(config, "max_position_embeddings", where)
    if architecture.root == "roberta":
        padding = config.get("pad_token_id", 1)
        positions -= (padding if isinstance(padding, int) else 1) + 1
    if positions < 1:
        raise AebertError(f"{where}: field 'max_position_embeddings' leaves no room for a token")
    return positions
