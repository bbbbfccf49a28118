"""Addresses as sums of loop variables: by how many iterations two accesses of one array are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Affine:
    """``constant`` + the sum of coefficient * value; ``terms`` by the name of a value."""

    constant: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def plus(self, other: Affine, sign: int = 1) -> Affine:
        total = dict(self.terms)
        for name, coefficient in other.terms:
            total[name] = total.get(name, 0) + sign * coefficient
        kept = tuple(sorted((name, c) for name, c in total.items() if c))
        return Affine(self.constant + sign * other.constant, kept)

    def times(self, factor: int) -> Affine:
        return Affine(self.constant * factor, tuple((name, c * factor) for name, c in self.terms) if factor else ())


@dataclass(frozen=True)
class Motion:
    """How values change from one iteration to the next.

    ``varying``: what the loop computes. Of these, ``steps`` are values that grow by a constant, ``irregular`` come from
    a memory or stream, and may repeat, and ``resting`` may be what they were an iteration before; the others vary with
    the iteration in some other way.
    """

    steps: Mapping[str, int]
    varying: frozenset[str]
    irregular: frozenset[str]
    resting: frozenset[str] = frozenset()


def carried_distance(store: Affine, load: Affine, motion: Motion) -> int | None:
    """Iterations from a store to the load that may read what it wrote; None: never in different iterations."""
    difference = store.plus(load, -1)
    moving = [name for name, _ in store.terms if name in motion.varying]
    if difference.terms:
        # Apart by what the loop does not change: two arguments are taken to be different places.
        return 1 if any(name in motion.varying for name, _ in difference.terms) else None
    if any(name in motion.irregular for name in moving):
        return 1
    if moving and all(name in motion.resting for name in moving):
        return 1
    if any(name not in motion.steps for name in moving):
        return None if difference.constant == 0 else 1
    advance = sum(coefficient * motion.steps.get(name, 0) for name, coefficient in store.terms)
    if advance == 0:
        return 1 if difference.constant == 0 else None
    distance, rest = divmod(difference.constant, advance)
    return distance if rest == 0 and distance >= 1 else None


def may_meet(first: Affine, second: Affine) -> bool:
    """Whether two accesses of one iteration may touch the same address."""
    difference = first.plus(second, -1)
    return bool(difference.terms) or difference.constant == 0
