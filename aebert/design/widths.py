"""Widths of the kernel's counters and addresses: as narrow as the design's largest sizes allow."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import PLACED_TILE_DEPTH
from aebert.design.size_arrays import Ints, Sizes

Number = TypeVar("Number", int, Ints)


@dataclass(frozen=True)
class Widths(Generic[Number]):
    """Bits of unsigned numbers, of one design or int64 [designs]; templates/kernel/config.h.j2 has them as constants.

    ``group``: a token group of a launch; ``slice``: of its rows; ``part``: a slice of a group; ``tile``: a tile of a
    row group; ``operand_row``, ``held_row``, ``residual_row``: addresses of the operand buffer, of keys or values, of
    the residual stream; ``tile_row``: an operand's row behind the one that a step names; ``block``: which of a row's
    blocks of lanes holds the keys of a tile; ``token``, ``lane``: of an engine's tokens and of out_lanes; ``bank``:
    of the operand buffer; ``room``: results that the sums FIFOs can take; ``supply``: tiles that wait for an engine;
    ``channel``: an output of a pass, or a key.
    """

    group: Number
    part: Number
    slice: Number
    tile: Number
    operand_row: Number
    held_row: Number
    tile_row: Number
    block: Number
    token: Number
    lane: Number
    residual_row: Number
    bank: Number
    room: Number
    supply: Number
    channel: Number


def bits_for(values: Ints) -> Ints:
    """Bits that tell ``values`` numbers from 0 on apart, at least one."""
    # The exponent of a float64 is exact for integers below 2^53.
    return np.maximum(np.frexp((values - 1).astype(np.float64))[1], 1).astype(np.int64)


def widths_of_all(sizes: Sizes) -> Widths[Ints]:
    """Those of many designs."""
    groups, hidden = sizes.max_groups, sizes.max_hidden
    largest = np.maximum(np.maximum(sizes.max_ffn, hidden), sizes.max_length)
    return Widths(
        group=bits_for(groups),
        part=bits_for(groups * sizes.row_slices),
        slice=bits_for(sizes.row_slices),
        tile=bits_for(largest // sizes.in_lanes),
        operand_row=bits_for(groups * sizes.operand_rows),
        held_row=bits_for(groups * np.maximum(hidden // sizes.in_lanes, hidden // sizes.out_lanes)),
        tile_row=bits_for(np.maximum(sizes.max_ffn, hidden) // sizes.in_lanes),
        block=bits_for(sizes.tokens // sizes.out_lanes),
        token=bits_for(sizes.engine_tokens),
        lane=bits_for(sizes.out_lanes),
        residual_row=bits_for(groups * hidden * sizes.row_slices),
        bank=bits_for(sizes.in_lanes),
        room=bits_for(sizes.sums_fifo + 1),
        supply=bits_for(np.full_like(sizes.tokens, PLACED_TILE_DEPTH + 1)),
        # One more than the last one must be representable.
        channel=bits_for(largest + sizes.in_lanes),
    )


def widths_of(config: HardwareConfig) -> Widths[int]:
    """Those of one design."""
    widths = widths_of_all(Sizes.of(config))
    return Widths(**{field.name: int(getattr(widths, field.name)[0]) for field in fields(Widths)})
