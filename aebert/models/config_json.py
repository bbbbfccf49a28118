"""config.json of a Hugging Face directory, checked against what the accelerator can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aebert.models.architectures import ACTIVATION_NAMES, ARCHITECTURES, PRE_LAYER_NORM_TYPES, Architecture
from aebert.models.encoder import EncoderShape
from aebert.numerics.activation import FfnActivation
from aebert.numerics.integers import MAX_HIDDEN
from aebert.support.errors import AebertError
from aebert.support.input_files import foreign, quoted, read_input

# The largest such file of a real model is the index of a checkpoint with hundreds of thousands of tensors: some MB.
LARGEST_JSON = 64 << 20
# 256 times what the largest BERT has; far below what makes transformers take the machine's memory for a random table.
LARGEST_SIZE = 1 << 20
DEFAULT_EPSILON = 1e-12  # of BERT, RoBERTa and ELECTRA in transformers; DistilBERT has it fixed in its code


ADAPTER_FILE = "adapter_config.json"


def read_json_object(path: Path) -> dict[str, object]:
    """The object in a JSON file. Raises AebertError if it is missing, not JSON, or not an object."""
    if not path.exists():
        raise AebertError(f"{path}: no such file; give a Hugging Face model directory")
    content = read_input(path, LARGEST_JSON, "save the model again")
    with foreign(path, "not valid JSON", "save the model again"):
        value: object = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    if not isinstance(value, dict):
        raise AebertError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def read_description(directory: Path) -> dict[str, object]:
    """The parsed config.json of a model directory, as it stands there."""
    if directory.suffix == ".onnx" and directory.is_file():
        raise AebertError(f"{directory}: a file, not a model directory; make one of it with 'aebert import'")
    if not directory.is_dir():
        raise AebertError(f"{directory}: no such directory; give a Hugging Face model directory (with config.json)")
    if (directory / ADAPTER_FILE).is_file() and not (directory / "config.json").is_file():
        raise AebertError(adapter_message(directory))
    return read_json_object(directory / "config.json")


def adapter_message(directory: Path) -> str:
    """What to do with a folder that holds an adapter (LoRA and its kind) and no model."""
    base = read_json_object(directory / ADAPTER_FILE).get("base_model_name_or_path")
    return (
        f"{directory}: an adapter to {base!r}, not a model; merge the two with peft: "
        "PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(folder), and give that folder"
    )


def _positive_int(config: Mapping[str, object], field: str, where: Path) -> int:
    value = config.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise AebertError(f"{where}: field {field!r} must be a positive integer, found {quoted(value)}")
    if value > LARGEST_SIZE:
        raise AebertError(
            f"{where}: field {field!r} is {quoted(value)}, more than {LARGEST_SIZE}; no encoder is so large"
        )
    return value


def find_architecture(config: Mapping[str, object], where: Path) -> Architecture:
    """The family that config.json names, or AebertError with the reason why its encoder cannot be run."""
    model_type = config.get("model_type")
    if model_type is None:
        known = ", ".join(ARCHITECTURES)
        raise AebertError(f"{where}: field 'model_type' is missing; add it: one of {known}")
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
    if config.get("quantization_config"):
        raise AebertError(
            f"{where}: field 'quantization_config' is set, so the weights are quantised already; give the model in "
            "floating point, this toolkit quantises it itself"
        )
    position = config.get("position_embedding_type", "absolute")
    if position not in ("absolute", None):
        raise AebertError(
            f"{where}: field 'position_embedding_type' is {position!r}; only absolute positions are supported"
        )
    find_activation(config, architecture, where)
    return architecture


def find_activation(config: Mapping[str, object], architecture: Architecture, where: Path) -> FfnActivation:
    """The FFN's activation function; 'gelu' where config.json does not say, as in transformers."""
    field = architecture.sizes.activation
    name = config.get(field, "gelu")
    if not isinstance(name, str) or name not in ACTIVATION_NAMES:
        known = ", ".join(ACTIVATION_NAMES)
        raise AebertError(f"{where}: field {field!r} is {name!r}; the hardware computes {known}")
    return ACTIVATION_NAMES[name]


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
        activation=find_activation(config, architecture, where),
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


def other_head(config: Mapping[str, object]) -> str | None:
    """The class that config.json names with a head which nothing here computes; None for none and for sequence classes.

    Such a head is kept in subnets as it is; `evaluate` and `export` do without it.
    """
    names = config.get("architectures")
    named = [str(name) for name in names if "For" in str(name)] if isinstance(names, list) else []
    return next((name for name in named if not name.endswith("ForSequenceClassification")), None)
