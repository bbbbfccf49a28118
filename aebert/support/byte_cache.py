"""Values kept as long as there is room for their bytes: the least recently used go first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache


class Sized(Protocol):
    """What says how many bytes it takes."""

    @property
    def bytes(self) -> int: ...


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Sized)


class ByteCache(Generic[Key, Value]):
    """At most ``limit`` bytes, or the latest value alone if it is larger."""

    def __init__(self, limit: int) -> None:
        # cachetools refuses what is larger than the whole cache; counted as the whole cache it is kept, alone.
        room = max(limit, 1)
        self._kept: LRUCache[Key, Value] = LRUCache(room, getsizeof=lambda value: min(value.bytes, room))

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is kept under ``key``, or else what ``make`` gives, from now on."""
        if key in self._kept:
            return self._kept[key]
        made = self._kept[key] = make()
        return made
