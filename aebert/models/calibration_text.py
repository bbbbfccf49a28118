"""Calibration text: one sentence per line, or a pair with a tab between its halves."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.models.text import Text
from aebert.support.errors import AebertError
from aebert.support.input_files import read_input

if TYPE_CHECKING:
    from aebert.models.host_model import HostModel
    from aebert.models.packed_sequences import PackedStates

MAX_TOKENS = 128
# Fewer tokens than this leave the second moments of even the smallest encoders mostly to the ridge term.
MIN_TOKENS = 256
# A million sentences; more would calibrate nothing better and take hours.
LARGEST_TEXT = 256 << 20
# 1000 times what an encoder's longest sequence takes: a tokenizer needs time and memory in proportion, and cuts it.
LONGEST_LINE = 1 << 20
# Every fourth sentence is kept back for verification.
_HELD_OUT_EVERY = 4
# How often the empty text stands among the short inputs, which are nearly all special tokens.
_EMPTY_TEXTS = 8


def read_texts(path: Path | None = None) -> list[Text]:
    """The sentences and pairs of a UTF-8 file, empty lines left out; without a file, the text this package ships.

    Raises AebertError for a file that cannot be read, is not UTF-8, is empty, or has a line of more than two parts.
    """
    if path is None:
        content = resources.files("aebert").joinpath("data/calibration.txt").read_text(encoding="utf-8")
        where = "calibration text"
    else:
        where = str(path)
        try:
            content = read_input(path, LARGEST_TEXT, "check the path").decode("utf-8")
        except UnicodeDecodeError:
            raise AebertError(f"{where}: not UTF-8 text; convert it") from None
    texts = [
        _parse_line(line, where, number) for number, line in enumerate(content.split("\n"), start=1) if line.strip()
    ]
    if not texts:
        raise AebertError(f"{where}: no sentences; give one sentence (or tab-separated pair) per line")
    return texts


def calibration_texts(path: Path | None = None) -> list[Text]:
    """What calibrates a project, from ``path`` or the text that ships, with short inputs: never what verifies it."""
    return with_short(calibration_sentences(path))


def calibration_sentences(path: Path | None = None) -> list[Text]:
    """The same without the short inputs."""
    return [text for number, text in enumerate(read_texts(path)) if number % _HELD_OUT_EVERY]


def verification_texts(path: Path | None = None) -> list[Text]:
    """All of ``path``, or what `calibration_texts` leaves out of the text that ships, with short inputs."""
    texts = read_texts(path)
    return texts if path is not None else with_short(texts[::_HELD_OUT_EVERY])


def with_short(texts: list[Text]) -> list[Text]:
    """``texts``, and short inputs made of them: each one's first and last word and the two after the first, and none.

    People send one word, or nothing, too. In such inputs the special tokens weigh most, and scales found on sentences
    alone fit them worst (docs/quantisation.md has figures, from benchmarks/short_inputs.py).
    """
    words = [(text if isinstance(text, str) else text[0]).split() for text in texts]
    short = dict.fromkeys(" ".join(part) for each in words for part in (each[:1], each[-1:], each[1:3]) if part)
    return [*texts, *[""] * _EMPTY_TEXTS, *short]


def _parse_line(line: str, where: str, number: int) -> Text:
    if len(line) > LONGEST_LINE:
        raise AebertError(f"{where}: line {number}: {len(line)} characters, more than {LONGEST_LINE}; split it")
    parts = [part.strip() for part in line.rstrip("\r").split("\t")]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2 and all(parts):
        return parts[0], parts[1]
    raise AebertError(f"{where}: line {number}: one sentence, or two with a tab between them; found {len(parts)} parts")


def calibration_states(model: HostModel, texts: list[Text], max_positions: int) -> PackedStates:
    """The encoder's inputs on ``texts``, each cut to 128 tokens or ``max_positions`` if that is less.

    Raises AebertError if there are too few tokens to estimate moments from.
    """
    tokenised = model.tokenise(texts, min(MAX_TOKENS, max_positions))
    tokens = sum(len(text) for text in tokenised)
    if tokens < MIN_TOKENS:
        raise AebertError(f"calibration text: only {tokens} tokens; give at least {MIN_TOKENS}")
    return model.embed_texts(tokenised)
