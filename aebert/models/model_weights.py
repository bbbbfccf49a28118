"""The weights of a model directory under the names of its family, and whether they are complete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.models.architectures import Architecture
from aebert.models.weight_files import WeightFiles, open_checkpoint
from aebert.support.errors import AebertError

# What training wrappers put before every name: DataParallel, Lightning and the like, torch.compile, sentence encoders.
_WRAPPERS = re.compile(r"((module|model|_orig_mod|auto_model)\.)+")
# Of the embeddings and the stack of layers these are buffers, not weights.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_SHOWN = 3


@dataclass(frozen=True)
class ModelWeights:
    """``prefix`` stands before the encoder's names: nothing, or ``bert.`` and the like in a model with a head."""

    checkpoint: WeightFiles
    prefix: str
    has_classifier: bool


def open_weights(
    directory: Path, config: Mapping[str, object], architecture: Architecture, layers: int
) -> ModelWeights:
    """Open the weights of a model whose config.json is ``config``.

    Raises AebertError for weights that are not there, not of the family, of more layers than ``layers``, with parts in
    the encoder that nothing here computes, and for a classification head that config.json names and no file holds.
    """
    checkpoint, prefix = _unwrapped(open_checkpoint(directory), architecture)
    _refuse_unknown(checkpoint, architecture, prefix, layers)
    return ModelWeights(checkpoint, prefix, _has_classifier(config, checkpoint, architecture))


def _unwrapped(checkpoint: WeightFiles, architecture: Architecture) -> tuple[WeightFiles, str]:
    """The checkpoint without the wrapper's prefix, and the family's own prefix."""
    first = f"{architecture.matrix_tensor('', 0, 'query')}.weight"
    found = sorted(name.removesuffix(first) for name in checkpoint.files if name.endswith(first))
    whole = [prefix for prefix in found if not prefix or prefix.endswith(".")]
    if not whole:
        raise AebertError(
            f"{checkpoint.directory}: tensor '{first}' is missing; "
            f"the weights are not those of the {architecture.model_type!r} model that config.json describes"
        )
    if len(whole) > 1:
        raise AebertError(
            f"{checkpoint.directory}: holds {len(whole)} encoders, {whole[0]!r} and {whole[1]!r}; save the one to use"
        )
    own = f"{architecture.root}." if f".{whole[0]}".endswith(f".{architecture.root}.") else ""
    wrapper = whole[0].removesuffix(own)
    if not wrapper:
        return checkpoint, own
    if not _WRAPPERS.fullmatch(wrapper):
        raise AebertError(
            f"{checkpoint.directory}: the encoder's tensors begin with {wrapper!r}, so it is part of another model; "
            "save the encoder by itself"
        )
    return checkpoint.without_prefix(wrapper), own


def _refuse_unknown(checkpoint: WeightFiles, architecture: Architecture, prefix: str, layers: int) -> None:
    """Tensors in the stack of layers that are none of its matrices and norms would be left out in silence."""
    stack = prefix + architecture.layer_prefix.partition("{layer}")[0]
    known = {
        f"{stem}.{part}"
        for layer in range(layers)
        for stem, parts in (
            *((architecture.matrix_tensor(prefix, layer, name), ("weight", "bias")) for name in architecture.matrices),
            *((norm, ("weight", "bias", "gamma", "beta")) for norm in architecture.norm_tensors(prefix, layer)),
        )
        for part in parts
    }
    unknown = sorted(name for name in checkpoint.files if name.startswith(stack) and name not in known)
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise AebertError(
            f"{checkpoint.directory}: tensors {', '.join(unknown[:_SHOWN])}{more} are no part of the {layers} layers "
            "that config.json describes and would be left out; merge adapters, or mend the number of layers"
        )


def _has_classifier(config: Mapping[str, object], checkpoint: WeightFiles, architecture: Architecture) -> bool:
    """Whether there is a sequence-classification head; without 'architectures' in config.json the weights decide."""
    names = config.get("architectures")
    missing = [name for name in architecture.head_layers if f"{name}.weight" not in checkpoint]
    if not isinstance(names, list) or not names:
        return not missing
    named = next((str(name) for name in names if str(name).endswith("ForSequenceClassification")), None)
    if named is not None and missing:
        raise AebertError(
            f"{checkpoint.directory}: config.json names {named!r} in 'architectures', but tensor "
            f"'{missing[0]}.weight' is not in the weights; give the fine-tuned weights, or take the name out"
        )
    return named is not None


def unread_parts(missing: list[str], architecture: Architecture, has_classifier: bool) -> list[str]:
    """Of the parameters that transformers found no weights for, those that something here reads.

    A pooler is read by BERT's classification head alone; buffers are made anew.
    """
    pooler = has_classifier and architecture.head_layers[0].endswith("pooler.dense")
    return [
        name
        for name in missing
        if not name.endswith(_BUFFERS) and (pooler or not re.match(rf"({architecture.root}\.)?pooler\.", name))
    ]
