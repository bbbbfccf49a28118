"""Engines on the dies of a device: each lies on one, with the units behind it; what they share lies on one too."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.board import Resources
from aebert.design.size_arrays import Floats, Ints


@dataclass(frozen=True)
class DieRun:
    """Neighbouring dies from number ``first`` on, and what a copy of the kernel may take of each (ceilings applied);
    ``wires``: from each of them to the next that it may take, None where their number is not known."""

    first: int
    limits: tuple[Resources, ...]
    wires: int | None = None


@dataclass(frozen=True)
class KernelBlocks:
    """What all engines share and what one engine takes with its units, [resources, designs] in the order of
    `Resources`; ``engines`` [designs], and ``wires`` [designs] between an engine and what they share."""

    shared: Floats
    engine: Floats
    engines: Ints
    wires: Ints


@dataclass(frozen=True)
class EnginePlaces:
    """Numbers of dies: that of what the engines share, and that of each engine."""

    shared: int
    engines: tuple[int, ...]

    @property
    def across(self) -> int:
        """Engines whose wires go over the boundary between two dies that most of them have to cross."""
        dies = (self.shared, *self.engines)
        return max((self._beyond(die) for die in range(min(dies), max(dies))), default=0)

    def _beyond(self, die: int) -> int:
        return sum((engine > die) != (self.shared > die) for engine in self.engines)


# Engines of which a resource that they do not take leaves room.
_PLENTY = 1e9


def fits_dies(blocks: KernelBlocks, run: DieRun) -> npt.NDArray[np.bool_]:
    """Whether there is room for all of it, and enough wires [designs]."""
    room, across = _room(blocks, run), _most_across(blocks, run)
    held = [
        room[shared, shared] + _side(room[shared, :shared], across) + _side(room[shared, :shared:-1], across)
        for shared in range(len(run.limits))
    ]
    fits: npt.NDArray[np.bool_] = (np.array(held) >= blocks.engines).any(axis=0)
    return fits


def place_engines(blocks: KernelBlocks, run: DieRun) -> EnginePlaces | None:
    """Of one design: each engine on the die that has most room left, what they share where the fewest wires cross a
    boundary. None where there is not enough of either."""
    room, across = _room(blocks, run)[:, :, 0], float(_most_across(blocks, run)[0])
    found = [_placed(room[shared], across, shared, run.first, int(blocks.engines[0])) for shared in range(len(room))]
    return min((places for places in found if places is not None), key=lambda places: places.across, default=None)


def _placed(room: Floats, across: float, shared: int, first: int, engines: int) -> EnginePlaces | None:
    if room[shared] < 0:
        return None
    left = room.copy()
    beyond = np.zeros(max(len(room) - 1, 0))  # engines across each boundary
    placed: list[int] = []
    for _ in range(engines):
        for die in np.argsort(-left, kind="stable"):
            crossed = slice(min(die, shared), max(die, shared))
            if left[die] >= 1 and (beyond[crossed] + 1 <= across).all():
                break
        else:
            return None
        left[die] -= 1
        beyond[crossed] += 1
        placed.append(first + int(die))
    return EnginePlaces(first + shared, tuple(sorted(placed)))


def _side(room: Floats, across: Floats) -> Floats:
    """Engines on the dies to one side of what they share, ``room`` [dies, designs] from the outermost one inwards."""
    held = np.zeros_like(across)
    for die in room:
        held = np.minimum(held + die, across)
    return held


def _most_across(blocks: KernelBlocks, run: DieRun) -> Floats:
    """Engines whose wires a boundary has room for [designs]."""
    if run.wires is None:
        return np.full(blocks.wires.shape, _PLENTY)
    most: Floats = np.floor(run.wires / blocks.wires)
    return most


def _room(blocks: KernelBlocks, run: DieRun) -> Floats:
    """Engines that each die has room for, [die of what is shared, dies, designs]; -inf where that overflows."""
    limits = np.array([astuple(limit) for limit in run.limits], np.float64)[None, :, :, None]
    left = limits - np.eye(len(run.limits))[:, :, None, None] * blocks.shared
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(blocks.engine > 0, np.floor(left / blocks.engine), _PLENTY)
    held: Floats = np.where(left < 0, -np.inf, room).min(axis=2)
    return held
