"""How far a long step is, told to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

# (step, done, of how many)
Progress = Callable[[str, int, int], None]


def no_progress(step: str, done: int, total: int) -> None:
    """For callers that show nothing."""


def count_through(items: Iterable[Item], step: str, total: int, progress: Progress) -> Iterator[Item]:
    """``items``, telling ``progress`` before the first and after each."""
    progress(step, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(step, done, total)
