"""What lies beside the weights of a model and belongs to it: its tokenizer, and the modules behind the encoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from aebert.models.pretrained import pretrained_tokenizer
from aebert.models.sentence_modules import (
    MODULES_FILE,
    PROMPTS_FILE,
    SENTENCE_CONFIG_FILE,
    module_entries,
)
from aebert.models.weight_files import WEIGHTS_FILE, open_checkpoint
from aebert.support.errors import AebertError
from aebert.support.input_files import files_inside

# Written by every tokenizer of transformers, beside the files that its class names itself.
_TOKENIZER_FILES = (
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
# Where no tokenizer can be asked: the vocabularies of the supported families.
_VOCABULARY_FILES = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spiece.model",
    "sentencepiece.bpe.model",
    "dict.txt",
)
_SENTENCE_FILES = (MODULES_FILE, PROMPTS_FILE, SENTENCE_CONFIG_FILE)


def tokenizer_files(directory: Path) -> tuple[str, ...]:
    """The names of the files in ``directory`` that its tokenizer is made of, as the tokenizer's class tells them.

    A folder without a tokenizer that loads gives the files that tokenizers of the supported families have.
    """
    try:
        own = tuple(str(name) for name in pretrained_tokenizer(directory).vocab_files_names.values())
    except AebertError:
        own = ()
    names = dict.fromkeys((*_TOKENIZER_FILES, *_VOCABULARY_FILES, *own))
    return tuple(name for name in names if Path(name).name == name and (directory / name).is_file())


def copy_companions(source: Path, folder: Path) -> None:
    """Copy the tokenizer of ``source``, and what sentence-transformers puts behind its encoder; nothing executable.

    Weights of dense layers become safetensors. Raises AebertError for a modules.json that cannot be read, and for a
    link that leads out of ``source``.
    """
    files_inside(source)
    for name in (*tokenizer_files(source), *(name for name in _SENTENCE_FILES if (source / name).is_file())):
        shutil.copyfile(source / name, folder / name)
    for entry in module_entries(source):
        if entry.folder and (source / entry.folder).is_dir():
            _copy_module(source / entry.folder, folder / entry.folder)


def _copy_module(source: Path, target: Path) -> None:
    target.mkdir()
    if (source / "config.json").is_file():
        shutil.copyfile(source / "config.json", target / "config.json")
    if any(source.glob("*.safetensors")) or any(source.glob("*.bin")):
        tensors = {name: np.ascontiguousarray(array) for name, array in open_checkpoint(source).read_all()}
        save_file(tensors, target / WEIGHTS_FILE, metadata={"format": "pt"})
