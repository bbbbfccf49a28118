"""Engines on the dies of a device: each lies on one, with the units behind it; what they share lies on one too."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.board import Resources
from aebert.design.size_arrays import Floats, Ints


@dataclass(frozen=True)
class DieRun:
    """Neighbouring dies from number ``first`` on, and what a copy of the kernel may take of each (ceilings applied)."""

    first: int
    limits: tuple[Resources, ...]


@dataclass(frozen=True)
class KernelBlocks:
    """What all engines share and what one engine takes with its units, [resources, designs] in the order of
    `Resources`; ``engines`` [designs]."""

    shared: Floats
    engine: Floats
    engines: Ints


@dataclass(frozen=True)
class EnginePlaces:
    """Numbers of dies: that of what the engines share, and that of each engine."""

    shared: int
    engines: tuple[int, ...]


# Engines of which a resource that they do not take leaves room.
_PLENTY = 1e9


def fits_dies(blocks: KernelBlocks, run: DieRun) -> npt.NDArray[np.bool_]:
    """Whether there is room for all of it [designs]."""
    fits: npt.NDArray[np.bool_] = (_room(blocks, run).sum(axis=1) >= blocks.engines).any(axis=0)
    return fits


def place_engines(blocks: KernelBlocks, run: DieRun) -> EnginePlaces | None:
    """Of one design: each engine on the die that has most room left; None where there is not enough."""
    engines = int(blocks.engines[0])
    room = _room(blocks, run)[:, :, 0]
    # What they share goes where most engines find room beside it.
    shared = int(np.argmax(room.sum(axis=1)))
    if room[shared].sum() < engines:
        return None
    left = room[shared].copy()
    places = []
    for _ in range(engines):
        die = int(np.argmax(left))
        left[die] -= 1
        places.append(run.first + die)
    return EnginePlaces(run.first + shared, tuple(sorted(places)))


def _room(blocks: KernelBlocks, run: DieRun) -> Floats:
    """Engines that each die has room for, [die of what is shared, dies, designs]; -inf where that overflows."""
    limits = np.array([astuple(limit) for limit in run.limits], np.float64)[None, :, :, None]
    left = limits - np.eye(len(run.limits))[:, :, None, None] * blocks.shared
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(blocks.engine > 0, np.floor(left / blocks.engine), _PLENTY)
    held: Floats = np.where(left < 0, -np.inf, room).min(axis=2)
    return held
