"""Packs a weight matrix into the tiles that the engine streams, and back.

Input channel ``c`` lies in bank ``c mod in_lanes`` at row ``c // in_lanes``. A tile holds, for ``out_lanes``
consecutive outputs (a row group) and for every bank, one vector of ``out_lanes`` weights and the row it belongs to; the
banks choose their rows independently. All-zero vectors are not stored. Where banks of a row group hold unequal counts,
the shorter ones are filled with zero vectors: bank-balanced patterns leave nothing to fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import PROJECTIONS, head_width
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, matrix_sizes
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class PackedMatrix:
    """``weights`` int8 [tiles, out_lanes, in_lanes], ``rows`` uint16 [tiles, in_lanes], ``counts`` [row groups].

    ``counts`` holds each row group's tiles, at least one; the tiles of row group 0 come first.
    """

    weights: npt.NDArray[np.int8]
    rows: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint16]

    @property
    def tiles(self) -> int:
        return len(self.weights)


def pack_matrix(weight: npt.NDArray[np.int8], out_lanes: int, in_lanes: int) -> PackedMatrix:
    """Packs ``weight`` [outputs, inputs]. Raises AebertError when the sizes are not whole tiles."""
    outputs, inputs = weight.shape
    if outputs % out_lanes or inputs % in_lanes:
        raise AebertError(f"weight matrix {outputs}x{inputs}: must be whole tiles of {out_lanes} x {in_lanes}")
    # [row groups, out_lanes, rows, banks]
    blocks = weight.reshape(outputs // out_lanes, out_lanes, inputs // in_lanes, in_lanes)
    used = blocks.any(axis=1)
    counts = np.maximum(used.sum(axis=1).max(axis=1), 1)
    first_tile = np.concatenate(([0], np.cumsum(counts)))
    row_group, row, bank = np.nonzero(used)
    position = (np.cumsum(used, axis=1) - 1)[row_group, row, bank]
    tile = first_tile[row_group] + position

    packed = np.zeros((int(first_tile[-1]), out_lanes, in_lanes), np.int8)
    rows = np.zeros((len(packed), in_lanes), np.uint16)
    packed[tile, :, bank] = blocks[row_group, :, row, bank]
    rows[tile, bank] = row
    return PackedMatrix(packed, rows, counts.astype(np.uint16))


def unpack_matrix(packed: PackedMatrix, inputs: int) -> npt.NDArray[np.int8]:
    """The inverse of `pack_matrix`: [outputs, inputs]."""
    _, out_lanes, in_lanes = packed.weights.shape
    blocks = np.zeros((len(packed.counts), out_lanes, inputs // in_lanes, in_lanes), np.int64)
    row_group = np.repeat(np.arange(len(packed.counts)), packed.counts)
    # Filling vectors are zero and may name a row that is used: add, so that they change nothing.
    for bank in range(in_lanes):
        np.add.at(
            blocks[:, :, :, bank].transpose(0, 2, 1), (row_group, packed.rows[:, bank]), packed.weights[:, :, bank]
        )
    return blocks.reshape(len(packed.counts) * out_lanes, inputs).astype(np.int8)


def index_words(packed: PackedMatrix, config: HardwareConfig) -> npt.NDArray[np.uint8]:
    """The index stream of one matrix, uint8 [words, word_bytes].

    Up to ``header_counts`` row groups share a header word: uint16 sum of the tile counts, then the counts, zero after
    the last. The rows of their tiles follow, ``index_bytes`` per lane, filled up to a whole word.
    """
    dtype = np.dtype("<u1") if config.index_bytes == 1 else np.dtype("<u2")
    lane_bytes = config.in_lanes * config.index_bytes
    lanes = np.ascontiguousarray(packed.rows.astype(dtype)).view(np.uint8).reshape(packed.tiles, lane_bytes)
    per_word = config.word_bytes // lane_bytes
    pieces = [np.zeros((0, config.word_bytes), np.uint8)]
    first = 0
    for start in range(0, len(packed.counts), config.header_counts):
        counts = packed.counts[start : start + config.header_counts].astype(np.int64)
        total = int(counts.sum())
        header = np.zeros(config.word_bytes // 2, np.dtype("<u2"))
        header[0] = total
        header[1 : 1 + len(counts)] = counts
        block = np.zeros((-(-total // per_word) * per_word, lane_bytes), np.uint8)
        block[:total] = lanes[first : first + total]
        pieces += [header.view(np.uint8)[None], block.reshape(-1, config.word_bytes)]
        first += total
    return np.concatenate(pieces)


def read_tile_counts(
    stream: npt.NDArray[np.uint8], shape: EncoderShape, heads: Sequence[int], config: HardwareConfig
) -> tuple[tuple[int, ...], ...]:
    """Tiles of every matrix, [layers][MATRIX_NAMES], from the headers of an encoder's whole index stream
    (`index_words` of all its matrices), of which each layer keeps so many ``heads``. Raises AebertError when the stream
    is not of such an encoder."""
    words = stream.reshape(-1, config.word_bytes)
    per_word = config.word_bytes // (config.in_lanes * config.index_bytes)
    width = head_width(shape, config.in_lanes)
    position, layers = 0, []
    for kept in heads:
        layer = []
        for name in MATRIX_NAMES:
            outputs = kept * width if name in PROJECTIONS else matrix_sizes(shape, name)[0]
            groups, tiles = outputs // config.out_lanes, 0
            for first in range(0, groups, config.header_counts):
                if position >= len(words):
                    raise AebertError(f"index stream: ends within {name}; generate the project again")
                header = words[position].view(np.dtype("<u2"))
                listed = min(groups - first, config.header_counts)
                # A row group has at least one tile.
                if np.count_nonzero(header[1:]) != listed or not header[1 : 1 + listed].all():
                    raise AebertError(f"index stream: not {groups} row groups of {name}; generate the project again")
                chunk = int(header[0])
                tiles += chunk
                position += 1 - (-chunk // per_word)
            layer.append(tiles)
        layers.append(tuple(layer))
    if position != len(words):
        raise AebertError(f"index stream: {len(words)} words, {position} expected; generate the project again")
    return tuple(layers)
