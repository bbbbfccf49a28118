"""The points of the design space on one board, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from aebert.design.board import Board
from aebert.design.board_fit import RESOURCES, achievable_clock_mhz, counts_of, placements, usage
from aebert.design.default_sizes import GivenSizes, legal_configs
from aebert.design.hardware_config import HardwareConfig
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class Axes:
    """What is varied besides tokens, lanes and the width of the memory ports.

    ``batches``: how many of the longest sequences the on-chip buffers of one compute unit hold. ``clock_steps``: evenly
    spaced clocks from half the board's to the board's.
    """

    batches: tuple[int, ...] = (1, 2, 4)
    tile_fifos: tuple[int, ...] = (64, 128, 512, 2048)
    sums_fifos: tuple[int, ...] = (16, 32)
    copies_per_die: int = 2
    clock_steps: int = 51


DEFAULT_AXES = Axes()


@dataclass(frozen=True)
class LegalKernels:
    """Every legal kernel [kernels], whether it fits or not; ``batch``: longest sequences that one launch holds."""

    configs: tuple[HardwareConfig, ...]
    sizes: Sizes
    batch: Ints


@dataclass(frozen=True)
class Points:
    """Points that fit [points]: which of `LegalKernels`, how many copies of it, at what clock.

    ``slrs``: dies that one copy spans. ``used`` [resources, points]: all copies together, in the order of
    aebert.design.board_fit.RESOURCES. ``examined`` counts the points looked at, fitting or not.
    """

    kernel: Ints
    compute_units: Ints
    clock_mhz: Floats
    slrs: Ints
    used: Floats
    examined: int


def enumerate_kernels(
    board: Board, shape: EncoderShape, max_length: int, *, vector_lanes: int = 64, axes: Axes = DEFAULT_AXES
) -> LegalKernels:
    """Every legal kernel for encoders of this shape. Raises AebertError when there is none for one sequence."""
    configs: list[HardwareConfig] = []
    batch: list[int] = []
    for sequences in sorted(axes.batches):
        given = GivenSizes(max_tokens=sequences * max_length)
        try:
            legal = legal_configs(board, shape, max_length, vector_lanes=vector_lanes, given=given)
        except AebertError:
            if not configs:
                raise
            break  # more sequences need still more addresses
        found = [
            replace(config, tile_fifo=tile_fifo, sums_fifo=sums_fifo)
            for config, tile_fifo, sums_fifo in product(legal, axes.tile_fifos, axes.sums_fifos)
        ]
        configs += found
        batch += [sequences] * len(found)
    sizes = Sizes.of_all(configs)
    return LegalKernels(tuple(configs), sizes, np.array(batch, np.int64))


def enumerate_points(board: Board, kernels: LegalKernels, axes: Axes = DEFAULT_AXES) -> Points:
    """All combinations of kernel, copies and clock that fit the board and are assumed to reach the clock."""
    clocks = board.clock_mhz * np.linspace(0.5, 1.0, axes.clock_steps)
    parts = []
    most = axes.copies_per_die * len(board.slrs)
    for compute_units in range(1, most + 1):
        reached, slrs, used = _best_placement(board, kernels, compute_units)
        kernel, step = np.nonzero(clocks[None, :] <= reached[:, None] * (1 + 1e-9))
        units = np.full(len(kernel), compute_units, np.int64)
        parts.append((kernel, units, clocks[step], slrs[kernel], compute_units * used[:, kernel]))
    examined = len(kernels.configs) * most * axes.clock_steps
    kernel, units, clock, slrs, used = (np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True))
    return Points(kernel, units, clock, slrs, used, examined)


def _best_placement(board: Board, kernels: LegalKernels, compute_units: int) -> tuple[Floats, Ints, Floats]:
    """For each kernel the placement with the highest clock, then the fewest dies: clock, dies, resources of a copy."""
    count = len(kernels.configs)
    reached = np.zeros(count)
    slrs = np.zeros(count, np.int64)
    used = np.zeros((len(RESOURCES), count))
    for placement in placements(board, compute_units):
        found = usage(kernels.sizes, placement)
        clock = achievable_clock_mhz(board, found)
        better = clock > reached
        reached = np.where(better, clock, reached)
        slrs = np.where(better, placement.slrs, slrs)
        used = np.where(better, counts_of(found.resources.total), used)
    return reached, slrs, used
