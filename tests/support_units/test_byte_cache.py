"""A cache bounded in bytes: the latest values that fit are kept, the others are made again."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from aebert.support.byte_cache import ByteCache


@dataclass(frozen=True)
class Block:
    bytes: int


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 400))
@example([3, 3, 9, 3], 0)
@example([0, 9, 0], 100)
def test_a_cache_keeps_the_latest_that_fit_and_makes_the_others_again(asked: list[int], limit: int) -> None:
    cache: ByteCache[int, Block] = ByteCache(limit)
    made: list[int] = []

    def make(number: int) -> Block:
        made.append(number)
        return Block(20 * (number + 1))

    recent: list[int] = []
    for number in asked:
        was_kept, before = number in recent, len(made)
        found = cache.get(number, lambda number=number: make(number))  # type: ignore[misc]
        assert found.bytes == 20 * (number + 1)
        assert (len(made) == before) == was_kept
        recent = [*(other for other in recent if other != number), number]
        while sum(20 * (other + 1) for other in recent) > limit and len(recent) > 1:
            recent.pop(0)
        assert len(cache) == len(recent)
