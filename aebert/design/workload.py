"""What a design is to run: an encoder's sizes, the weight tiles that pruning left, and a launch's sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.sizes import Ints, Sizes
from aebert.encoder import MATRIX_NAMES, Encoder, EncoderShape, Linear, MatrixName
from aebert.errors import AebertError

# Tiles of every matrix on designs of these sizes, int64 [layers, matrices, designs], matrices as in MATRIX_NAMES.
TileCounts = Callable[[Sizes], Ints]


@dataclass(frozen=True)
class Workload:
    """``lengths``: tokens of each sequence of one launch."""

    shape: EncoderShape
    tiles: TileCounts
    lengths: tuple[int, ...]


def matrix_sizes(shape: EncoderShape, name: MatrixName) -> tuple[int, int]:
    """(outputs, inputs)."""
    return {
        "ffn_in": (shape.ffn, shape.hidden),
        "ffn_out": (shape.hidden, shape.ffn),
    }.get(name, (shape.hidden, shape.hidden))


def pattern_tiles(shape: EncoderShape, ratio: float, vector_rows: int) -> TileCounts:
    """Tiles after pruning vectors of ``vector_rows`` outputs x 1 input, an equal count in every bank.

    A tile's lane of ``out_lanes`` outputs is empty when all the vectors it covers are: exactly ``1 - ratio`` of the
    lanes remain while out_lanes <= vector_rows, and ``1 - ratio^(out_lanes / vector_rows)`` beyond, if the vectors'
    places are independent (an assumption; a subnet's own counts need none).
    """
    if not 0 <= ratio < 1:
        raise AebertError(f"ratio = {ratio}: must be at least 0 and less than 1")

    def count(sizes: Sizes) -> Ints:
        covered = np.maximum(sizes.out_lanes / vector_rows, 1.0)
        density = 1.0 - ratio**covered
        layer = []
        for name in MATRIX_NAMES:
            outputs, inputs = matrix_sizes(shape, name)
            rows = np.ceil(density * (inputs // sizes.in_lanes)).astype(np.int64)
            layer.append(outputs // sizes.out_lanes * np.maximum(rows, 1))
        return np.broadcast_to(np.array(layer), (shape.layers, len(MATRIX_NAMES), len(sizes.tokens)))

    return count


def subnet_tiles(encoder: Encoder) -> TileCounts:
    """The tiles that packing this encoder's weights gives: per group of outputs, as many as the fullest bank needs."""
    used = [[linear.weight != 0 for linear in _linears(encoder, layer)] for layer in range(encoder.shape.layers)]
    known: dict[tuple[int, int], list[list[int]]] = {}

    def count(sizes: Sizes) -> Ints:
        lanes = np.stack([sizes.out_lanes, sizes.in_lanes])
        pairs, which = np.unique(lanes, axis=1, return_inverse=True)
        for out_lanes, in_lanes in pairs.T.tolist():
            if (out_lanes, in_lanes) not in known:
                known[out_lanes, in_lanes] = [[_tiles(m, out_lanes, in_lanes) for m in layer] for layer in used]
        # Shape [layers, matrices, pairs].
        table = np.array([known[out_lanes, in_lanes] for out_lanes, in_lanes in pairs.T.tolist()]).transpose(1, 2, 0)
        result: Ints = table[:, :, which.reshape(-1)]
        return result

    return count


def _linears(encoder: Encoder, layer: int) -> list[Linear]:
    return [encoder.layers[layer].matrix(name) for name in MATRIX_NAMES]


def _tiles(used: npt.NDArray[np.bool_], out_lanes: int, in_lanes: int) -> int:
    outputs, inputs = used.shape
    groups = used.reshape(outputs // out_lanes, out_lanes, inputs).any(axis=1)
    per_bank = groups.reshape(-1, inputs // in_lanes, in_lanes).sum(axis=1)
    return int(np.maximum(per_bank.max(axis=1), 1).sum())
