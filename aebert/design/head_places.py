"""Where the channels of attention heads lie in the accelerator: in the outputs of query, key and value, and in context.

The engine takes a head's channels in whole rows of its input banks. A head whose size is no multiple of the input lanes
is therefore padded with channels that are zero throughout. Each channel stays in the bank, and at the place within a
group of outputs, that it has without padding: what a pattern balances over banks stays balanced.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape, MatrixName, matrix_sizes

Ints = npt.NDArray[np.int64]
_Number = TypeVar("_Number", bound=np.generic)

PROJECTIONS: tuple[MatrixName, ...] = ("query", "key", "value")
_OF_HEADS = (*PROJECTIONS, "attention_output")


def is_padded(shape: EncoderShape, in_lanes: int) -> bool:
    """Whether heads take more channels than they have."""
    return shape.head_size % in_lanes != 0


def head_widths(shape: EncoderShape, in_lanes: Ints) -> Ints:
    """Channels that a head takes, [designs]: as many whole rows of ``in_lanes`` banks as the one that begins in the
    last bank of all needs."""
    last = _first_banks(shape, in_lanes).max(axis=0)
    widths: Ints = -(-(last + shape.head_size) // in_lanes) * in_lanes
    return widths


def head_width(shape: EncoderShape, in_lanes: int) -> int:
    """`head_widths` of one design."""
    return int(head_widths(shape, np.array([in_lanes]))[0])


def _first_banks(shape: EncoderShape, in_lanes: Ints) -> Ints:
    """The bank in which each head begins, [heads, designs]."""
    banks: Ints = np.arange(shape.heads)[:, None] * shape.head_size % in_lanes
    return banks


def attention_width(shape: EncoderShape, in_lanes: int) -> int:
    """Channels that all heads take, one head after another."""
    return shape.heads * head_width(shape, in_lanes)


def head_places(shape: EncoderShape, in_lanes: int) -> Ints:
    """The place of each channel of query, key, value and context among `attention_width`, [hidden]."""
    lanes = np.array([in_lanes])
    first = np.arange(shape.heads)[:, None] * head_widths(shape, lanes) + _first_banks(shape, lanes)
    places: Ints = (first + np.arange(shape.head_size)).reshape(-1)
    return places


def pad_heads(
    matrix: npt.NDArray[_Number], name: MatrixName, shape: EncoderShape, in_lanes: int
) -> npt.NDArray[_Number]:
    """``matrix`` [outputs, inputs] as the accelerator holds it: zeros where heads are padded."""
    if name not in _OF_HEADS or not is_padded(shape, in_lanes):
        return matrix
    places, width = head_places(shape, in_lanes), attention_width(shape, in_lanes)
    outputs, inputs = matrix.shape
    if name == "attention_output":
        padded = np.zeros((outputs, width), matrix.dtype)
        padded[:, places] = matrix
    else:
        padded = np.zeros((width, inputs), matrix.dtype)
        padded[places] = matrix
    return padded


def row_groups(shape: EncoderShape, name: MatrixName, out_lanes: Ints, in_lanes: Ints) -> tuple[Ints, Ints]:
    """Groups of ``out_lanes`` outputs of a matrix [designs]: those with channels of the model, and those that are all
    padding. No group has channels of two heads."""
    if name not in PROJECTIONS:
        groups = matrix_sizes(shape, name)[0] // out_lanes
        return groups, np.zeros_like(groups)
    first = _first_banks(shape, in_lanes)
    filled = ((first + shape.head_size - 1) // out_lanes - first // out_lanes + 1).sum(axis=0)
    return filled, shape.heads * head_widths(shape, in_lanes) // out_lanes - filled
