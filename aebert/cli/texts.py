"""Which sentences calibrate a project and which ones verify it: never the same."""

from __future__ import annotations

from pathlib import Path

from aebert.calibration import Text, read_texts

# Every fourth sentence is kept back for verification.
_HELD_OUT_EVERY = 4


def calibration_texts(path: Path | None) -> list[Text]:
    """Sentences for calibration, from ``path`` or the text that ships."""
    return [text for number, text in enumerate(read_texts(path)) if number % _HELD_OUT_EVERY]


def verification_texts(path: Path | None) -> list[Text]:
    """All of ``path``, or of the text that ships the sentences that `calibration_texts` leaves out."""
    texts = read_texts(path)
    return texts if path is not None else texts[::_HELD_OUT_EVERY]
