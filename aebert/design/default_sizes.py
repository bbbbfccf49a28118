"""Sizes for a board where the user gives none: the fastest design that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from aebert.design.bandwidth import memory_rates
from aebert.design.board import Board
from aebert.design.board_fit import achievable_clock_mhz, check_fit, placements, usage
from aebert.design.hardware_config import HardwareConfig, IllegalSizes
from aebert.design.head_places import attention_width
from aebert.design.launch_cycles import count_cycles
from aebert.design.size_arrays import Floats, Sizes
from aebert.design.workload import Workload, pattern_tiles
from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError

POWERS = tuple(2**n for n in range(8))
WORD_BYTES = (16, 32, 64)
# A row of tokens takes the units behind the engine so many cycles; they are as much narrower than the array.
ROW_SLICES = (1, 2, 4)
DEFAULT_LENGTHS = (128, 64, 32)
# Engines that a design is cut into on a device of several dies. An engine whose array takes less than this share of the
# largest die is not cut further: every cut has control, FIFOs and a divider of its own.
ENGINES = (1, 2, 4, 8)
SMALL_ENGINE = 0.35
# None, every eighth or every fourth input lane multiplies in LUTs, of arrays that take this share of the DSP slices.
LUT_SHARES = (8, 4)
LARGE_ARRAY = 0.5
# Designs this close to the fastest count as equally fast. Of those the one with most output lanes is chosen (fewer
# indices to fetch, fewer banks), then the one that takes least of the board.
EQUALLY_FAST = 1.05


@dataclass(frozen=True)
class GivenSizes:
    """What the user fixed; None leaves it open. ``max_tokens``: tokens of one launch, all its sequences together."""

    tokens: int | None = None
    out_lanes: int | None = None
    in_lanes: int | None = None
    row_slices: int | None = None
    engines: int | None = None
    lut_lanes: int | None = None
    max_tokens: int | None = None


def legal_configs(
    board: Board, shape: EncoderShape, max_length: int, *, vector_lanes: int = 64, given: GivenSizes = GivenSizes()
) -> list[HardwareConfig]:
    """Every config that runs ``shape`` up to ``max_length`` on the board's kind of DSP slice, whether it fits or not.

    ``vector_lanes`` bounds the output lanes unless they are given. Raises AebertError when there is none.
    """
    if given.max_tokens is not None and given.max_tokens < max_length:
        raise AebertError(f"max_tokens = {given.max_tokens}: must hold one sequence of the maximum length {max_length}")
    found: list[HardwareConfig] = []
    refused: list[_Refusal] = []
    choices = (
        POWERS if given.tokens is None else (given.tokens,),
        [n for n in POWERS if n <= vector_lanes] if given.out_lanes is None else (given.out_lanes,),
        POWERS if given.in_lanes is None else (given.in_lanes,),
        WORD_BYTES,
        ROW_SLICES if given.row_slices is None else (given.row_slices,),
    )
    for tokens, out_lanes, in_lanes, word_bytes, row_slices in product(*choices):
        macs = tokens * out_lanes * in_lanes
        cuts = product(_engine_choices(board, macs, given), _lut_choices(board, macs, in_lanes, given))
        for engines, lut_lanes in cuts:
            sizes = _Sizes(tokens, out_lanes, in_lanes, word_bytes, row_slices, engines, lut_lanes)
            config = _config(board, shape, max_length, given.max_tokens, sizes)
            if isinstance(config, HardwareConfig):
                found.append(config)
            else:
                refused.append(config)
    if not found:
        # What stands in the way of those that come nearest, and of them those with the fewest lanes.
        reason = max(refused, key=lambda refusal: refusal.held).reason
        raise AebertError(f"board {board.name}: no design runs this encoder at length {max_length}: {reason}")
    return found


def _engine_choices(board: Board, macs_per_cycle: int, given: GivenSizes) -> Sequence[int]:
    if given.engines is not None:
        return (given.engines,)
    if len(board.slrs) == 1:
        return (1,)
    largest = max(slr.available.dsp for slr in board.slrs)
    return [n for n in ENGINES if n == 1 or macs_per_cycle / n > SMALL_ENGINE * largest]


def _lut_choices(board: Board, macs_per_cycle: int, in_lanes: int, given: GivenSizes) -> Sequence[int]:
    if given.lut_lanes is not None:
        return (given.lut_lanes,)
    if macs_per_cycle / 2 < LARGE_ARRAY * board.available.dsp:
        return (0,)
    return [0, *(in_lanes // n for n in LUT_SHARES if in_lanes >= n)]


class _Sizes(NamedTuple):
    tokens: int
    out_lanes: int
    in_lanes: int
    word_bytes: int
    row_slices: int
    engines: int
    lut_lanes: int


@dataclass(frozen=True)
class _Refusal:
    """Why a choice of sizes is none; ``held``: how many rules it keeps."""

    reason: str
    held: float


def _config(
    board: Board, shape: EncoderShape, max_length: int, max_tokens: int | None, sizes: _Sizes
) -> HardwareConfig | _Refusal:
    """The config, or why there is none."""
    tokens, in_lanes = sizes.tokens, sizes.in_lanes
    if min(tokens, in_lanes) < 1:
        return _Refusal(f"tokens = {tokens} and in_lanes = {in_lanes} must be powers of two", 0)
    length_groups = -(-max_length // tokens)
    try:
        config = HardwareConfig(
            **sizes._asdict(),
            max_hidden=max(shape.hidden, attention_width(shape, in_lanes)),
            max_ffn=shape.ffn,
            max_length=length_groups * tokens,
            max_groups=length_groups if max_tokens is None else -(-max_tokens // tokens),
            dsp=board.dsp,
            activation=shape.activation,
        )
        config.check_fits(shape)
    except IllegalSizes as error:
        return _Refusal(str(error), error.held)
    except AebertError as error:
        return _Refusal(str(error), np.inf)
    return config


def default_config(
    board: Board,
    shape: EncoderShape,
    *,
    vector_lanes: int = 64,
    max_length: int | None = None,
    given: GivenSizes = GivenSizes(),
    compute_units: int = 1,
) -> HardwareConfig:
    """The fastest design for ``shape`` that fits ``board`` with ``compute_units`` copies of the kernel.

    ``vector_lanes``: outputs that the subnet's pattern zeroes together (BN of a vector BNx1, R of a block RxC; 64 for a
    dense model): more output lanes than that would multiply zeros. ``max_length`` None: the longest of 128, 64 and 32
    that fits. Raises AebertError naming the resource that overflows when nothing fits.
    """
    if vector_lanes < 1:
        raise AebertError(f"vector lanes = {vector_lanes}: must be at least 1")
    lengths = DEFAULT_LENGTHS if max_length is None else (max_length,)
    configs: list[HardwareConfig] = []
    shares = np.zeros(0)
    for length in lengths:
        configs = legal_configs(board, shape, length, vector_lanes=vector_lanes, given=given)
        best, shares = _fastest(configs, board, shape, length, compute_units)
        if best is not None:
            return best
    smallest = configs[int(np.argmin(shares))]
    check_fit(smallest, board, compute_units)
    return smallest


def _fastest(
    configs: list[HardwareConfig], board: Board, shape: EncoderShape, length: int, compute_units: int
) -> tuple[HardwareConfig | None, Floats]:
    """The fastest that fits, if any, and how much of what it may use each config takes of its scarcest resource."""
    sizes = Sizes.of_all(configs)
    usages = [usage(sizes, place) for place in placements(board, compute_units)]
    share = np.min([each.shares.max(axis=0) for each in usages], axis=0)
    clock = np.max([achievable_clock_mhz(board, each) for each in usages], axis=0)
    units = np.full(len(configs), compute_units, np.int64)
    workload = Workload(shape, pattern_tiles(shape, 0.0, 1), (length,))
    memory = memory_rates(sizes, board, np.maximum(clock, 1.0), units)
    cycles = count_cycles(sizes, workload, memory=memory, extrapolate=True).total
    with np.errstate(divide="ignore"):
        time = np.where(share <= 1, cycles / clock, np.inf)
    if not np.isfinite(time).any():
        return None, share
    close = time <= EQUALLY_FAST * time.min()
    # A share is at most 1 here, so output lanes decide first.
    return configs[int(np.argmin(np.where(close, share - 2.0 * sizes.out_lanes, np.inf)))], share
