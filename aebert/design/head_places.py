"""Where the channels of attention heads lie in the accelerator: in the outputs of query, key and value, and in context.

The engine takes a head's channels in whole rows of its input banks. A head whose size is no multiple of the input lanes
is therefore padded with channels that are zero throughout. Each channel stays in the bank, and at the place within a
group of outputs, that it has without padding: what a pattern balances over banks stays balanced.

A head is *kept* if the weights of attention_output read any of its context. Of the others nothing is computed: query,
key and value have the channels of kept heads only, one head after another. Context has a place for every head.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def head_channels(shape: EncoderShape, heads: Sequence[int]) -> Ints:
    """The model's channels of ``heads``, [heads * head size]."""
    channels: Ints = (np.array(heads, np.int64)[:, None] * shape.head_size + np.arange(shape.head_size)).reshape(-1)
    return channels


def head_places(shape: EncoderShape, in_lanes: int, heads: Sequence[int] | None = None) -> Ints:
    """The place of each of `head_channels` where ``heads`` (all, where not given) lie one after another."""
    lanes = np.array([in_lanes])
    chosen = np.arange(shape.heads) if heads is None else np.array(heads, np.int64)
    first = np.arange(len(chosen))[:, None] * head_widths(shape, lanes) + _first_banks(shape, lanes)[chosen]
    places: Ints = (first + np.arange(shape.head_size)).reshape(-1)
    return places


def pad_heads(
    matrix: npt.NDArray[_Number],
    name: MatrixName,
    shape: EncoderShape,
    in_lanes: int,
    kept: Sequence[int] | None = None,
) -> npt.NDArray[_Number]:
    """``matrix`` [outputs, inputs] as the accelerator holds it: zeros where heads are padded, and of query, key and
    value the outputs of the ``kept`` heads alone (all, where not given)."""
    padded, removes = is_padded(shape, in_lanes), kept is not None and len(kept) < shape.heads
    if name not in _OF_HEADS or not (padded or (removes and name in PROJECTIONS)):
        return matrix
    outputs, inputs = matrix.shape
    if name == "attention_output":
        held = np.zeros((outputs, attention_width(shape, in_lanes)), matrix.dtype)
        held[:, head_places(shape, in_lanes)] = matrix
        return held
    heads = range(shape.heads) if kept is None else kept
    held = np.zeros((len(heads) * head_width(shape, in_lanes), inputs), matrix.dtype)
    held[head_places(shape, in_lanes, heads)] = matrix[head_channels(shape, heads)]
    return held


def row_groups(shape: EncoderShape, name: MatrixName, out_lanes: Ints, in_lanes: Ints) -> tuple[Ints, Ints]:
    """Groups of ``out_lanes`` outputs of a matrix [designs]: those with channels of the model, and those that are all
    padding. No group has channels of two heads."""
    if name not in PROJECTIONS:
        groups = matrix_sizes(shape, name)[0] // out_lanes
        return groups, np.zeros_like(groups)
    first = _first_banks(shape, in_lanes)
    filled = ((first + shape.head_size - 1) // out_lanes - first // out_lanes + 1).sum(axis=0)
    return filled, shape.heads * head_widths(shape, in_lanes) // out_lanes - filled
