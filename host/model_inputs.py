"""What a program hands to a model, looked at before anything is sent to a device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from aebert.models.text import Text
from aebert.support.errors import AebertError


def check_texts(texts: Sequence[Text]) -> None:
    """Raises AebertError for anything but a list of at least one sentence or pair of sentences."""
    if isinstance(texts, str):
        raise AebertError(f"texts: one string, {texts[:40]!r}; give a list of them: [text]")
    if not isinstance(texts, (list, tuple)):
        raise AebertError(f"texts: {type(texts).__name__}; give a list of strings")
    if not texts:
        raise AebertError("texts: an empty list; give at least one text")
    for number, text in enumerate(texts):
        halves: Sequence[object] = (text,) if isinstance(text, str) else tuple(text) if _is_pair(text) else (None,)
        if not all(isinstance(half, str) for half in halves):
            raise AebertError(f"texts: number {number} is {str(text)[:40]!r}; give a string or a pair (string, string)")


def _is_pair(text: object) -> bool:
    return isinstance(text, tuple) and len(text) == 2


def check_ids(name: str, ids: torch.Tensor, rows: int, like: torch.Tensor | None = None) -> None:
    """Raises AebertError unless ``ids`` are whole numbers [sequences, tokens] below ``rows``, shaped as ``like``."""
    if not isinstance(ids, torch.Tensor):
        raise AebertError(f"{name}: {type(ids).__name__}; give an int64 tensor [sequences, tokens]")
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise AebertError(f"{name}: {ids.dtype}; give whole numbers, int64")
    if like is not None and ids.shape != like.shape:
        raise AebertError(f"{name}: shape {tuple(ids.shape)}, input_ids has {tuple(like.shape)}")
    if ids.dim() != 2 or not ids.numel():
        raise AebertError(f"{name}: shape {tuple(ids.shape)}; give [sequences, tokens], for one sequence ids[None]")
    wrong = ((ids < 0) | (ids >= rows)).nonzero()
    if len(wrong):
        row, token = (int(at) for at in wrong[0])
        raise AebertError(
            f"{name}: {int(ids[row, token])} at sequence {row}, token {token}; the model has 0 to {rows - 1}"
        )
