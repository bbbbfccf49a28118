"""Calibration text: one sentence per line, or a pair with a tab between its halves."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.models.host import HostModel
    from aebert.models.packed import PackedStates

Text = str | tuple[str, str]

MAX_TOKENS = 128
# Fewer tokens than this leave the second moments of even the smallest encoders mostly to the ridge term.
MIN_TOKENS = 256
# Every fourth sentence is kept back for verification.
_HELD_OUT_EVERY = 4


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
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise AebertError(f"{where}: not UTF-8 text; convert it") from None
        except OSError as error:
            raise AebertError(f"{where}: cannot be read ({error.strerror}); check the path") from None
    texts = [
        _parse_line(line, where, number) for number, line in enumerate(content.split("\n"), start=1) if line.strip()
    ]
    if not texts:
        raise AebertError(f"{where}: no sentences; give one sentence (or tab-separated pair) per line")
    return texts


def calibration_texts(path: Path | None = None) -> list[Text]:
    """Sentences that calibrate a project, from ``path`` or the text that ships: never those that verify it."""
    return [text for number, text in enumerate(read_texts(path)) if number % _HELD_OUT_EVERY]


def verification_texts(path: Path | None = None) -> list[Text]:
    """All of ``path``, or of the text that ships the sentences that `calibration_texts` leaves out."""
    texts = read_texts(path)
    return texts if path is not None else texts[::_HELD_OUT_EVERY]


def _parse_line(line: str, where: str, number: int) -> Text:
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
