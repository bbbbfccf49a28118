"""config.json of a model directory with its family, inferred where it says none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from aebert.models.architectures import ARCHITECTURES
from aebert.models.config_json import read_description
from aebert.models.weight_files import open_checkpoint

_CLASS = re.compile(r"(?P<family>[A-Za-z]+?)(Model|PreTrainedModel|For[A-Z]\w*)")
# Before the encoder's names stands that of its family. All of "roberta." compute the same; which of them it is
# decides about the tokenizer alone, whose own files say what it is.
_LAYER = re.compile(r"(.*\.)?(?P<root>bert|roberta|electra|distilbert)\.(encoder|transformer)\.layer\.\d+\..*")
# BigBird's tensors have BERT's names, and so have the encoder of BertGeneration's, but for the token types.
_OTHER_THAN_BERT = ("attention_type", "block_size", "num_random_blocks")
_TYPES = "bert.embeddings.token_type_embeddings.weight"


def read_config(directory: Path) -> dict[str, object]:
    """The parsed config.json of a model directory; ``model_type`` is inferred where it is missing and only one can be.

    The class in `architectures` tells it, and the names of the tensors; where the two disagree, or neither tells, the
    field stays missing, and `find_architecture` names it.
    """
    config = read_description(directory)
    if config.get("model_type") is None:
        found = {_type_of_class(config), *_types_of_tensors(directory, config)} - {None}
        if len(found) == 1:
            return {**config, "model_type": found.pop()}
    return config


def _type_of_class(config: Mapping[str, object]) -> str | None:
    names = config.get("architectures")
    first = names[0] if isinstance(names, list) and names else None
    matched = _CLASS.fullmatch(first) if isinstance(first, str) else None
    if matched is None:
        return None
    plain = {model_type.replace("-", ""): model_type for model_type in ARCHITECTURES}
    return plain.get(matched["family"].lower())


def _types_of_tensors(directory: Path, config: Mapping[str, object]) -> set[str]:
    """The families whose names the tensors bear; none that the class above does not refine."""
    names = open_checkpoint(directory).files
    roots = {matched["root"] for name in names if (matched := _LAYER.fullmatch(name)) is not None}
    if any(name.endswith("transformer.layer.0.attention.q_lin.weight") for name in names):
        roots.add("distilbert")
    if any(name.endswith("embeddings_project.weight") for name in names):
        roots.add("electra")
    no_bert = any(field in config for field in _OTHER_THAN_BERT) or not any(name.endswith(_TYPES) for name in names)
    if "bert" in roots and no_bert:
        roots.discard("bert")
    named = _type_of_class(config)
    if named is not None and ARCHITECTURES[named].root in roots:
        roots = (roots - {ARCHITECTURES[named].root}) | {named}
    return roots
