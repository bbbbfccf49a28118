"""A subnet's tokenizer is the source's, whatever files it is made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from transformers import AutoTokenizer

from aebert.models.companions import copy_companions, tokenizer_files
from aebert.models.host_model import load_tokenizer

TEXT = "the cat sat"


def save_bertweet(directory: Path) -> Path:
    """BERTweet's kind: a dictionary with counts and byte-pair codes in a file called bpe.codes."""
    directory.mkdir()
    (directory / "vocab.txt").write_text("th@@ 9\nthe 8\ncat 7\ns@@ 6\nsa@@ 5\nsat 4\n")
    (directory / "bpe.codes").write_text("t h 9\nth e</w> 8\nc a 7\nca t</w> 6\ns a 5\nsa t</w> 4\n")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertweetTokenizer"}))
    (directory / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    return directory


def test_byte_pair_codes_are_copied_because_the_tokenizer_names_them(tmp_path: Path) -> None:
    source = save_bertweet(tmp_path / "source")
    assert {"vocab.txt", "bpe.codes", "tokenizer_config.json"} <= set(tokenizer_files(source))
    (tmp_path / "copy").mkdir()
    copy_companions(source, tmp_path / "copy")
    shutil.copyfile(source / "config.json", tmp_path / "copy" / "config.json")
    original, copied = load_tokenizer(source), load_tokenizer(tmp_path / "copy")
    assert type(copied) is type(original)
    assert copied(TEXT)["input_ids"] == original(TEXT)["input_ids"]
    assert original.unk_token_id not in original(TEXT)["input_ids"]


def test_nothing_but_the_models_own_files_is_copied(tiny_bert: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny_bert, source)
    for name in ("README.md", "notes.txt", "results.json", "modeling_custom.py", "optimizer.bin"):
        (source / name).write_text("{}")
    (tmp_path / "copy").mkdir()
    copy_companions(source, tmp_path / "copy")
    names = {path.name for path in (tmp_path / "copy").iterdir()}
    assert names == {"tokenizer.json", "tokenizer_config.json"}
    assert AutoTokenizer.from_pretrained(tmp_path / "copy")(TEXT) == AutoTokenizer.from_pretrained(tiny_bert)(TEXT)
